package telegramtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Call is one call of the bot, refused ones too.
type Call struct {
	At       time.Time
	Method   string
	Params   map[string]string // texts as they are, everything else as JSON
	Files    map[string]string // uploaded files: field to file name
	Accepted bool              // it was carried out (whatever was answered then)
}

// Fault is how the Server treats one call of a method.
type Fault struct {
	Status      int           `json:"status"`      // answer this error
	RetryAfter  int           `json:"retryAfter"`  // seconds, with Status 429
	Description string        `json:"description"` // of the error
	Drop        bool          `json:"drop"`        // close the connection instead of answering
	Accept      bool          `json:"accept"`      // carry the call out before misbehaving
	Delay       time.Duration `json:"delay"`       // wait before anything else (or until the caller leaves)
}

// Fault queues how the next calls of a method ("" for any but getUpdates) are
// treated, one each.
func (s *Server) Fault(method string, f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[method] = append(s.faults[method], f...)
}

// Calls returns the calls of a method ("" for all), in order.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if method == "" || strings.EqualFold(c.Method, method) {
			out = append(out, c)
		}
	}
	return out
}

// Violations returns what a real server would not have understood.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.violations...)
}

// request is a parsed call.
type request struct {
	ctx    context.Context
	params map[string]string
	files  map[string]upload
}

type upload struct {
	name string
	data []byte
}

type handler func(s *Server, r request) (any, *apiError)

// methods are those of the Bot API that a chat bot uses. Method names are case-insensitive.
var methods = map[string]handler{
	"getme": (*Server).getMe, "getupdates": (*Server).getUpdates,
	"setwebhook": (*Server).setWebhook, "deletewebhook": (*Server).deleteWebhook, "getwebhookinfo": (*Server).getWebhookInfo,
	"sendmessage": (*Server).sendMessage, "sendphoto": media("photo"), "senddocument": media("document"), "sendaudio": media("audio"),
	"sendvideo": media("video"), "sendvoice": media("voice"), "sendanimation": media("animation"), "sendsticker": media("sticker"),
	"sendvideonote": media("video_note"), "sendmediagroup": (*Server).sendMediaGroup,
	"sendlocation": (*Server).sendLocation, "sendvenue": (*Server).sendVenue, "sendcontact": (*Server).sendContact, "sendpoll": (*Server).sendPoll,
	"editmessagetext": (*Server).editMessageText, "editmessagecaption": (*Server).editMessageCaption,
	"deletemessage": (*Server).deleteMessage, "setmessagereaction": (*Server).setMessageReaction,
	"sendchataction": (*Server).sendChatAction, "getchat": (*Server).getChat, "getfile": (*Server).getFile,
	"answercallbackquery": (*Server).answerCallbackQuery,
}

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request, method string) {
	// The whole body first: a caller that leaves in the middle has done nothing
	// wrong, and later leaving is noticed only behind the body's end.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	req, err := parseRequest(r)
	if err != nil {
		s.violate("%s: %v", method, err)
		writeError(w, badRequest("can't parse request: %v", err))
		return
	}
	c := Call{At: time.Now(), Method: method, Params: req.params, Files: map[string]string{}}
	for field, f := range req.files {
		c.Files[field] = f.name
	}
	f := s.nextFault(method)
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		case <-s.quit:
		}
	}
	faulty := f.Status != 0 || f.Drop
	var result any
	var refused *apiError
	if !faulty || f.Accept {
		result, refused = s.carryOut(method, req)
		c.Accepted = refused == nil
	}
	s.record(c)
	switch {
	case f.Drop:
		// The only way to break a connection off from inside a handler.
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		writeError(w, f.asError())
	case refused != nil:
		writeError(w, refused)
	default:
		writeResult(w, result)
	}
}

func (f Fault) asError() *apiError {
	e := &apiError{code: f.Status, desc: f.Description, retryAfter: f.RetryAfter}
	switch {
	case e.desc != "":
	case f.Status == http.StatusTooManyRequests:
		e.desc = fmt.Sprintf("Too Many Requests: retry after %d", f.RetryAfter)
	default:
		e.desc = http.StatusText(f.Status)
	}
	return e
}

func (s *Server) carryOut(method string, req request) (any, *apiError) {
	h, ok := methods[strings.ToLower(method)]
	if !ok {
		s.violate("unknown method %q", method)
		return nil, &apiError{code: http.StatusNotFound, desc: "Not Found: method not found"}
	}
	return h(s, req)
}

func (s *Server) nextFault(method string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range []string{method, ""} {
		if key == "" && strings.EqualFold(method, "getUpdates") {
			break
		}
		if list := s.faults[key]; len(list) > 0 {
			s.faults[key] = list[1:]
			return list[0]
		}
	}
	return Fault{}
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	s.signal()
}

func (s *Server) violate(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// parseRequest takes a query, JSON, a form or multipart.
func parseRequest(r *http.Request) (request, error) {
	req := request{ctx: r.Context(), params: map[string]string{}, files: map[string]upload{}}
	for k, v := range r.URL.Query() {
		req.params[k] = v[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return req, req.readJSON(r.Body)
	case "multipart/form-data":
		return req, req.readMultipart(r)
	default:
		if err := r.ParseForm(); err != nil {
			return req, err
		}
		for k, v := range r.PostForm {
			req.params[k] = v[0]
		}
		return req, nil
	}
}

func (r request) readJSON(body io.Reader) error {
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(body).Decode(&fields); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for k, v := range fields {
		var text string
		switch {
		case json.Unmarshal(v, &text) == nil && string(v) != "null":
			r.params[k] = text
		case string(v) != "null":
			r.params[k] = string(v)
		}
	}
	return nil
}

func (r request) readMultipart(req *http.Request) error {
	parts, err := req.MultipartReader()
	if err != nil {
		return err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil // also where a client sends no part at all
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if part.FileName() != "" {
			r.files[part.FormName()] = upload{name: part.FileName(), data: data}
		} else {
			r.params[part.FormName()] = string(data)
		}
	}
}
