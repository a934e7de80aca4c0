package telegramtest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxDownload is the largest file that the Bot API gives to a bot.
const maxDownload = 20 << 20

// file is something that can be downloaded.
type file struct {
	id   string
	path string
	name string
	mime string
	data []byte
}

// json renders a file as the field of a message. A photo is a list of sizes.
func (f *file) json(field string) any {
	out := map[string]any{"file_id": f.id, "file_unique_id": "u" + f.id, "file_size": len(f.data)}
	switch field {
	case "photo":
		out["width"], out["height"] = 90, 90
		return []any{out}
	case "document", "audio", "video", "animation":
		out["file_name"] = f.name
	}
	if f.mime != "" && field != "sticker" && field != "video_note" {
		out["mime_type"] = f.mime
	}
	switch field {
	case "audio", "voice", "video", "animation", "video_note":
		out["duration"] = 1
	}
	return out
}

// AddFile makes bytes known under a file id, to be used in updates.
func (s *Server) AddFile(name, mimeType string, data []byte) (fileID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addFile(name, mimeType, data).id
}

func (s *Server) addFile(name, mimeType string, data []byte) *file {
	id := fmt.Sprintf("FILE%06d", len(s.files)+1)
	f := &file{id: id, path: "documents/" + id + "_" + name, name: name, mime: mimeType, data: data}
	s.files[id] = f
	return f
}

// resolveFile finds what a call means by a file: an upload, one of its id, or
// a URL that Telegram would fetch. The lock is held.
func (s *Server) resolveFile(r request, field, value string) (*file, *apiError) {
	name := field
	if attached, ok := strings.CutPrefix(value, "attach://"); ok {
		name = attached
	}
	if up, ok := r.files[name]; ok {
		return s.addFile(up.name, "", up.data), nil
	}
	if f, ok := s.files[value]; ok {
		return f, nil
	}
	u, err := url.Parse(value)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return s.addFile(u.Path[strings.LastIndex(u.Path, "/")+1:], "", []byte(value)), nil
	}
	if value == "" {
		return nil, badRequest("there is no %s in the request", field)
	}
	return nil, badRequest("wrong file identifier/HTTP URL specified")
}

func (s *Server) getFile(r request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[r.params["file_id"]]
	if !ok {
		return nil, badRequest("invalid file_id")
	}
	if len(f.data) > maxDownload {
		return nil, badRequest("file is too big")
	}
	return map[string]any{"file_id": f.id, "file_unique_id": "u" + f.id, "file_size": len(f.data), "file_path": f.path}, nil
}

// serveFile answers /file/bot<token>/<path>.
func (s *Server) serveFile(w http.ResponseWriter, rest string) {
	token, path, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if token == s.token && f.path == path {
			if f.mime != "" {
				w.Header().Set("Content-Type", f.mime)
			}
			_, _ = w.Write(f.data)
			return
		}
	}
	writeError(w, &apiError{code: http.StatusNotFound, desc: "Not Found"})
}
