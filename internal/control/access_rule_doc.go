package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// AccessRuleInput is what may be said of a rule. In a creation, fields left out
// take their defaults; in a change they stay as they are, and null takes one
// away.
type AccessRuleInput struct {
	InstanceID *uuid.UUID      `json:"instanceId,omitempty" format:"uuid" doc:"absent: every instance"`
	Type       string          `json:"type,omitempty" enum:"allow,deny,silent" doc:"silent: denied without a word; required in a creation"`
	Match      omni.RuleMatch  `json:"match" doc:"what must be so, all of it; empty: everybody"`
	Priority   int             `json:"priority,omitempty" doc:"higher goes first" minimum:"-1000000" maximum:"1000000"`
	Reason     string          `json:"reason,omitempty" doc:"for people" maxLength:"500"`
	Notice     string          `json:"notice,omitempty" doc:"told to whom the rule denies, in a direct chat, once in 24 hours" maxLength:"1000"`
	ExpiresAt  *time.Time      `json:"expiresAt,omitempty"`
	Schedule   *omni.Schedule  `json:"schedule,omitempty" doc:"when the rule applies; absent: always"`
	RateLimit  *omni.RateLimit `json:"rateLimit,omitempty" doc:"of each account: a rule that allows denies what is more; one that denies, denies only what is more"`
}

// applyRule merges a request into a rule (RFC 7396), checks the values, and
// reads the result back into it.
func applyRule(r *omni.AccessRule, patch json.RawMessage) error {
	base, err := toMap(AccessRuleInput{InstanceID: r.InstanceID, Type: r.Type, Match: r.Match, Priority: r.Priority, Reason: r.Reason,
		Notice: r.Notice, ExpiresAt: r.ExpiresAt, Schedule: r.Schedule, RateLimit: r.RateLimit})
	if err != nil {
		return err
	}
	change := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(patch))
	d.UseNumber()
	if err := d.Decode(&change); err != nil {
		return &Error{Kind: KindMalformed, Code: CodeMalformed, Detail: "the body is not a JSON object"}
	}
	_, dated := change["expiresAt"]
	merged := mergePatch(base, change)
	in, err := readRule(merged)
	if err != nil {
		return err
	}
	var c checks
	c.noEmptyMatch(merged)
	c.rule(in, dated)
	if err := c.err(); err != nil {
		return err
	}
	r.InstanceID, r.Type, r.Match, r.Priority, r.Reason, r.Notice = in.InstanceID, in.Type, in.Match.Normalized(), in.Priority, in.Reason, in.Notice
	r.ExpiresAt, r.Schedule, r.RateLimit = in.ExpiresAt, in.Schedule, in.RateLimit
	return nil
}

func readRule(merged map[string]any) (*AccessRuleInput, error) {
	b, err := json.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("encoding a rule: %w", err)
	}
	in := &AccessRuleInput{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err = d.Decode(in)
	if err == nil {
		return in, nil
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil, invalid(typ.Field, "must be "+jsonType(typ.Type.Kind().String())+", not "+typ.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return nil, invalid(strings.Trim(name, `"`), "is not a field of a rule")
	}
	return nil, &Error{Kind: KindMalformed, Code: CodeMalformed, Detail: "the body cannot be read as a rule"}
}

// checkRefs looks up what a rule names, where the change names it anew: what
// was named before may be gone by now.
func (s *Access) checkRefs(ctx context.Context, who *omni.APIKey, r, before *omni.AccessRule) error {
	var c checks
	if r.InstanceID != nil && !sameID(r.InstanceID, before.InstanceID) {
		_, err := visibleInstance(ctx, s.store, who, *r.InstanceID)
		if err := c.found(err, "instanceId", "is not an instance"); err != nil {
			return err
		}
	}
	if r.Match.PersonID != nil && !sameID(r.Match.PersonID, before.Match.PersonID) {
		_, err := s.visiblePerson(ctx, who, *r.Match.PersonID)
		if err := c.found(err, "match.personId", "is not a person"); err != nil {
			return err
		}
	}
	if r.Match.ChatID != nil && (!sameID(r.Match.ChatID, before.Match.ChatID) || !sameID(r.InstanceID, before.InstanceID)) {
		chat, err := s.visibleChat(ctx, who, *r.Match.ChatID)
		if err := c.found(err, "match.chatId", "is not a chat"); err != nil {
			return err
		}
		if chat != nil && r.InstanceID != nil && chat.InstanceID != *r.InstanceID {
			c.add("match.chatId", "belongs to another instance")
		}
	}
	return c.err()
}

func (s *Access) visibleChat(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Chat, error) {
	chat, err := s.store.Chat(ctx, who.TenantID, id)
	if err == nil && !who.Sees(chat.InstanceID) {
		return nil, omni.ErrNotFound
	}
	return chat, err
}

func (s *Access) visiblePerson(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Person, error) {
	p, err := s.store.Person(ctx, who.TenantID, id)
	if err == nil && !slices.ContainsFunc(p.Identities, func(i omni.Identity) bool { return who.Sees(i.InstanceID) }) && who.InstanceIDs != nil {
		return nil, omni.ErrNotFound
	}
	return p, err
}

// restricted refuses a rule for every instance to who may not touch them all.
func restricted(who *omni.APIKey, r *omni.AccessRule) error {
	if r.InstanceID == nil && who.InstanceIDs != nil {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key is restricted to instances: the rule must be of one of them"}
	}
	return nil
}

// found complains about a field that names what is not there; any other error
// is the hub's.
func (c *checks) found(err error, field, message string) error {
	if refused, ok := errors.AsType[*Error](err); errors.Is(err, omni.ErrNotFound) || ok && refused.Kind == KindNotFound {
		c.add(field, message)
		return nil
	}
	return err
}

func sameID(a, b *uuid.UUID) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
