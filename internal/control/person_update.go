package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// PersonInput is what people say of a person. In a change, fields left out stay
// as they are and null takes one away.
type PersonInput struct {
	DisplayName         string   `json:"displayName,omitempty" maxLength:"200"`
	Phone               string   `json:"phone,omitempty" maxLength:"64" doc:"with the country's code; it is kept as E.164"`
	Email               string   `json:"email,omitempty" maxLength:"254"`
	Notes               string   `json:"notes,omitempty" maxLength:"10000" doc:"for people"`
	Labels              []string `json:"labels,omitempty" maxItems:"50" doc:"all of them: the list replaces the one before"`
	PreferredIdentityID string   `json:"preferredIdentityId,omitempty" doc:"one of the person's identities: messages to the person go to it; null: to the one that they used last"`
}

const (
	maxNotes      = 10_000 // runes
	maxLabels     = 50
	maxLabel      = 64 // runes
	maxEmail      = 254
	maxPersonName = 200 // runes
)

// Update merges a change into a person (JSON merge patch of PersonInput). A
// caller that is limited to instances may prefer only an account that it sees,
// and changes phone and e-mail only of whom it sees whole: access rules of other
// instances look at them.
func (s *Persons) Update(ctx context.Context, who *omni.APIKey, id uuid.UUID, patch json.RawMessage) (*omni.Person, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(patch, &fields); err != nil || fields == nil {
		return nil, &Error{Kind: KindMalformed, Code: CodeMalformed, Detail: "the body is not a JSON object"}
	}
	p, err := s.Get(ctx, who, id)
	if err != nil {
		return nil, err
	}
	p, err = s.store.UpdatePerson(ctx, who.TenantID, p.ID, who.Name, func(p *omni.Person) error {
		var c checks
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			c.personField(who, p, name, fields[name])
		}
		return c.err()
	})
	if err != nil {
		return nil, orNotFound(err, "person")
	}
	return s.shown(who, p)
}

// personField checks one field and puts it into p.
func (c *checks) personField(who *omni.APIKey, p *omni.Person, name string, raw json.RawMessage) {
	if (name == "phone" || name == "email") && hides(who, p) {
		c.add(name, "cannot be changed by this key: it says who may write on instances that the key does not see")
		return
	}
	switch name {
	case "displayName":
		c.readLine(name, raw, maxPersonName, &p.DisplayName)
	case "notes":
		c.readText(name, raw, maxNotes, &p.Notes)
	case "phone":
		if c.readLine(name, raw, maxPersonName, &p.Phone) && p.Phone != "" {
			e164, ok := omni.NormalizePhone(p.Phone)
			if !ok {
				c.add(name, "must be a phone number with its country's code, such as +5511987654321")
			}
			p.Phone = e164
		}
	case "email":
		if c.readLine(name, raw, maxEmail, &p.Email) && p.Email != "" {
			email := omni.VerifiedEmail(p.Email)
			if email == "" {
				c.add(name, "must be an e-mail address")
			}
			p.Email = email
		}
	case "labels":
		c.labels(name, raw, p)
	case "preferredIdentityId":
		c.preferred(who, p, name, raw)
	default:
		c.add(name, "is not a field that can be changed: displayName, phone, email, notes, labels and preferredIdentityId are")
	}
}

// hides reports whether a person has accounts that the caller does not see.
func hides(who *omni.APIKey, p *omni.Person) bool {
	return slices.ContainsFunc(p.Identities, func(i omni.Identity) bool { return !who.Sees(i.InstanceID) })
}

// readText reads a text; null is none.
func (c *checks) readText(field string, raw json.RawMessage, most int, into *string) bool {
	var v *string
	switch {
	case json.Unmarshal(raw, &v) != nil:
		c.add(field, "must be a text")
		return false
	case v == nil:
		*into = ""
		return true
	}
	text := strings.TrimSpace(*v)
	switch {
	case utf8.RuneCountInString(text) > most:
		c.add(field, fmt.Sprintf("is longer than %d characters", most))
		return false
	case strings.ContainsRune(text, 0):
		c.add(field, "must not contain NUL")
		return false
	}
	*into = text
	return true
}

// readLine reads a text of one line.
func (c *checks) readLine(field string, raw json.RawMessage, most int, into *string) bool {
	var text string
	if !c.readText(field, raw, most, &text) {
		return false
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		c.add(field, "must be printable")
		return false
	}
	*into = text
	return true
}

func (c *checks) labels(field string, raw json.RawMessage, p *omni.Person) {
	var given []string
	if json.Unmarshal(raw, &given) != nil {
		c.add(field, "must be a list of texts")
		return
	}
	c.atMost(field, len(given), maxLabels)
	p.Labels = []string{}
	for i, label := range given {
		label = strings.TrimSpace(label)
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case label == "" || strings.ContainsFunc(label, unicode.IsControl):
			c.add(at, "must be printable")
		case utf8.RuneCountInString(label) > maxLabel:
			c.add(at, fmt.Sprintf("is longer than %d characters", maxLabel))
		case !slices.Contains(p.Labels, label):
			p.Labels = append(p.Labels, label)
		}
	}
}

func (c *checks) preferred(who *omni.APIKey, p *omni.Person, field string, raw json.RawMessage) {
	var id *uuid.UUID
	if bytes.Equal(raw, []byte(`""`)) {
		raw = []byte("null")
	}
	err := json.Unmarshal(raw, &id)
	if err == nil && id != nil && !slices.ContainsFunc(p.Identities, func(i omni.Identity) bool { return i.ID == *id && who.Sees(i.InstanceID) }) {
		err = errors.New("somebody else's")
	}
	if err != nil {
		c.add(field, "must be the id of one of the person's identities")
		return
	}
	p.PreferredIdentityID = id
}
