package telegramtest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// serveControl is the test's side of the Server over HTTP:
//
//	POST /control/say    {"user":{"id":1,"first_name":"Ana"},"text":"hi"}  → {"updateId","messageId"}
//	POST /control/push   {"kind":"message_reaction","content":{…}}         → {"updateId","messageId"}
//	POST /control/fault  {"method":"sendMessage","fault":{"status":429,"retryAfter":3}}
//	POST /control/file   {"name","mimeType","text"}                        → {"fileId"}
//	GET  /control/sent?chat=1    GET /control/calls?method=sendMessage    GET /control/violations
func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	var in struct {
		User     User           `json:"user"`
		Text     string         `json:"text"`
		Kind     string         `json:"kind"`
		Content  map[string]any `json:"content"`
		Method   string         `json:"method"`
		Fault    Fault          `json:"fault"`
		Name     string         `json:"name"`
		MimeType string         `json:"mimeType"`
	}
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	pushed := func(updateID int64, messageID int) any {
		return map[string]any{"updateId": updateID, "messageId": messageID}
	}
	var out any = map[string]any{}
	switch r.Method + " " + r.URL.Path {
	case "POST /control/say":
		out = pushed(s.Say(in.User, in.Text))
	case "POST /control/push":
		out = pushed(s.Push(in.Kind, in.Content))
	case "POST /control/fault":
		s.Fault(in.Method, in.Fault)
	case "POST /control/file":
		out = map[string]any{"fileId": s.AddFile(in.Name, in.MimeType, []byte(in.Text))}
	case "GET /control/sent":
		id, _ := strconv.ParseInt(r.URL.Query().Get("chat"), 10, 64)
		out = s.Sent(id)
	case "GET /control/calls":
		out = s.Calls(r.URL.Query().Get("method"))
	case "GET /control/violations":
		out = s.Violations()
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}
