package telegramtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

const (
	maxText    = 4096 // UTF-16 units after parsing
	maxCaption = 1024
)

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// formatted parses a text as the call asks.
func formatted(r request, field string, limit int) (string, []Entity, *apiError) {
	text := r.params[field]
	var entities []Entity
	switch mode := r.params["parse_mode"]; strings.ToLower(mode) {
	case "":
	case "html":
		var err error
		if text, entities, err = ParseHTML(text); err != nil {
			return "", nil, badRequest("can't parse entities: %v", err)
		}
	default:
		return "", nil, badRequest("unsupported parse_mode (this fake knows HTML)")
	}
	if units(text) > limit {
		if field == "caption" {
			return "", nil, badRequest("message caption is too long")
		}
		return "", nil, badRequest("message is too long")
	}
	return text, entities, nil
}

func (s *Server) sendMessage(r request) (any, *apiError) {
	text, entities, refused := formatted(r, "text", maxText)
	if refused != nil {
		return nil, refused
	}
	if strings.TrimSpace(text) == "" {
		return nil, badRequest("message text is empty")
	}
	if refused := checkMarkup(r); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.target(r)
	if refused != nil {
		return nil, refused
	}
	return s.post(c, r, &Message{Kind: "text", Text: text, Entities: entities})
}

// media makes the handler of a method that sends one file, given by id, by
// URL, or uploaded.
func media(field string) handler {
	return func(s *Server, r request) (any, *apiError) {
		caption, entities, refused := formatted(r, "caption", maxCaption)
		if refused != nil {
			return nil, refused
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c, refused := s.target(r)
		if refused != nil {
			return nil, refused
		}
		if refused := checkMarkup(r); refused != nil {
			return nil, refused
		}
		f, refused := s.resolveFile(r, field, r.params[field])
		if refused != nil {
			return nil, refused
		}
		return s.post(c, r, &Message{Kind: field, Text: caption, Entities: entities, extra: map[string]any{field: f.json(field)}})
	}
}

// sendMediaGroup sends two to ten files as one album.
func (s *Server) sendMediaGroup(r request) (any, *apiError) {
	var items []struct {
		Type      string `json:"type"`
		Media     string `json:"media"`
		Caption   string `json:"caption"`
		ParseMode string `json:"parse_mode"`
	}
	if json.Unmarshal([]byte(r.params["media"]), &items) != nil {
		return nil, badRequest("can't parse media JSON object")
	}
	if len(items) < 2 || len(items) > 10 {
		return nil, badRequest("wrong number of items in the album")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.target(r)
	if refused != nil {
		return nil, refused
	}
	var out []any
	for _, it := range items {
		caption, entities, refused := formatted(request{params: map[string]string{"caption": it.Caption, "parse_mode": it.ParseMode}}, "caption", maxCaption)
		if refused != nil {
			return nil, refused
		}
		f, refused := s.resolveFile(r, it.Type, it.Media)
		if refused != nil {
			return nil, refused
		}
		sent, refused := s.post(c, r, &Message{Kind: it.Type, Text: caption, Entities: entities, extra: map[string]any{it.Type: f.json(it.Type), "media_group_id": "1"}})
		if refused != nil {
			return nil, refused
		}
		out = append(out, sent)
	}
	return out, nil
}

func coordinates(r request) (map[string]any, *apiError) {
	lat, err1 := strconv.ParseFloat(r.params["latitude"], 64)
	lon, err2 := strconv.ParseFloat(r.params["longitude"], 64)
	if err1 != nil || err2 != nil || lat < -90 || lat > 90 || lon < -180 || lon > 180 {
		return nil, badRequest("wrong latitude or longitude specified")
	}
	return map[string]any{"latitude": lat, "longitude": lon}, nil
}

func (s *Server) postExtra(r request, kind, text string, extra map[string]any) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.target(r)
	if refused != nil {
		return nil, refused
	}
	m := &Message{Kind: kind, extra: extra}
	out, refused := s.post(c, r, m)
	m.Text = text // for Sent; it is not part of the JSON
	return out, refused
}

func (s *Server) sendLocation(r request) (any, *apiError) {
	loc, refused := coordinates(r)
	if refused != nil {
		return nil, refused
	}
	return s.postExtra(r, "location", "", map[string]any{"location": loc})
}

func (s *Server) sendVenue(r request) (any, *apiError) {
	loc, refused := coordinates(r)
	if refused != nil {
		return nil, refused
	}
	if r.params["title"] == "" || r.params["address"] == "" {
		return nil, badRequest("venue title and address must be non-empty")
	}
	return s.postExtra(r, "venue", r.params["title"], map[string]any{"location": loc,
		"venue": map[string]any{"location": loc, "title": r.params["title"], "address": r.params["address"]}})
}

func (s *Server) sendContact(r request) (any, *apiError) {
	if r.params["phone_number"] == "" {
		return nil, badRequest("phone number is empty")
	}
	if r.params["first_name"] == "" {
		return nil, badRequest("first name is empty")
	}
	return s.postExtra(r, "contact", r.params["first_name"], map[string]any{"contact": map[string]any{
		"phone_number": r.params["phone_number"], "first_name": r.params["first_name"]}})
}

func (s *Server) sendPoll(r request) (any, *apiError) {
	var options []any
	if json.Unmarshal([]byte(r.params["options"]), &options) != nil {
		return nil, badRequest("can't parse options JSON object")
	}
	if n := units(r.params["question"]); n == 0 || n > 300 {
		return nil, badRequest("poll question must be non-empty and at most 300 characters long")
	}
	if len(options) < 2 || len(options) > 12 {
		return nil, badRequest("poll must have at least 2 and at most 12 options")
	}
	var shown []map[string]any
	for _, o := range options {
		text, _ := o.(string)
		if m, ok := o.(map[string]any); ok {
			text = fmt.Sprint(m["text"])
		}
		shown = append(shown, map[string]any{"text": text, "voter_count": 0})
	}
	return s.postExtra(r, "poll", r.params["question"], map[string]any{"poll": map[string]any{"id": "1", "question": r.params["question"],
		"options": shown, "total_voter_count": 0, "is_closed": false, "is_anonymous": true, "type": "regular",
		"allows_multiple_answers": r.params["allows_multiple_answers"] == "true"}})
}
