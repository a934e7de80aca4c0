package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// InstanceInput is what may be said of an instance. In a creation, fields left
// out take their defaults; in a change they stay as they are, and null puts a
// field back to its default.
type InstanceInput struct {
	Name          string               `json:"name" doc:"for people" maxLength:"200"`
	Channel       string               `json:"channel" doc:"which platform; fixed at creation" example:"custom"`
	ChannelConfig map[string]any       `json:"channelConfig,omitempty" doc:"see GET /channels for the fields of each channel; secrets are write-only and read as •••"`
	Agent         *AgentInput          `json:"agent,omitempty" doc:"who answers; without it, agentId and routes the instance only records"`
	AgentID       *uuid.UUID           `json:"agentId,omitempty" format:"uuid" doc:"an agent by itself (POST /agents), in the place of agent"`
	Messaging     omni.MessagingConfig `json:"messaging"`
	Media         omni.MediaConfig     `json:"media"`
	Access        omni.AccessConfig    `json:"access"`
}

// AgentInput is an agent's configuration with its key.
type AgentInput struct {
	_ struct{} `nullable:"true"`
	omni.AgentConfig
	APIKey string `json:"apiKey" doc:"secret: write-only, reads as •••"`
}

// Instance is an instance as it is shown: without its secrets.
type Instance struct {
	ID              uuid.UUID            `json:"id" format:"uuid" required:"true"`
	Name            string               `json:"name" required:"true"`
	Channel         string               `json:"channel" required:"true"`
	ChannelConfig   json.RawMessage      `json:"channelConfig" doc:"secrets read as •••" required:"true"`
	Agent           *AgentInput          `json:"agent"`
	AgentID         *uuid.UUID           `json:"agentId" format:"uuid"`
	Messaging       omni.MessagingConfig `json:"messaging" required:"true"`
	Media           omni.MediaConfig     `json:"media" required:"true"`
	Access          omni.AccessConfig    `json:"access" required:"true"`
	Status          channels.Status      `json:"status" enum:"active,inactive,connecting,error,needs_login" required:"true"`
	StatusReason    string               `json:"statusReason"`
	LastConnectedAt *time.Time           `json:"lastConnectedAt"`
	Version         int64                `json:"version" doc:"grows with every change of the configuration"`
	CreatedAt       time.Time            `json:"createdAt" required:"true"`
	UpdatedAt       time.Time            `json:"updatedAt"`
}

// showInstance masks what is secret.
func showInstance(in *omni.Instance) (*Instance, error) {
	config, err := omni.MaskConfig(in.Channel, in.ChannelConfig)
	if err != nil {
		return nil, err
	}
	out := &Instance{
		ID: in.ID, Name: in.Name, Channel: in.Channel, ChannelConfig: config, AgentID: in.Settings.AgentID, Messaging: in.Settings.Messaging,
		Media: in.Settings.Media, Access: in.Settings.Access, Status: in.Status, StatusReason: in.StatusReason,
		LastConnectedAt: in.LastConnectedAt, Version: in.Version, CreatedAt: in.CreatedAt, UpdatedAt: in.UpdatedAt,
	}
	if a := in.Settings.Agent; a != nil {
		out.Agent = &AgentInput{AgentConfig: *a}
		if in.AgentAPIKey != "" {
			out.Agent.APIKey = omni.SecretMask
		}
	}
	return out, nil
}

// inputOf is an instance as the document that a change is merged into, secrets
// in the clear.
func inputOf(in *omni.Instance) (map[string]any, error) {
	doc := struct {
		Name          string          `json:"name"`
		Channel       string          `json:"channel"`
		ChannelConfig json.RawMessage `json:"channelConfig,omitempty"`
		Agent         *AgentInput     `json:"agent,omitempty"`
		omni.InstanceSettings
	}{Name: in.Name, Channel: in.Channel, ChannelConfig: in.ChannelConfig, InstanceSettings: in.Settings}
	if a := in.Settings.Agent; a != nil {
		doc.Agent = &AgentInput{AgentConfig: *a, APIKey: in.AgentAPIKey}
	}
	return toMap(doc)
}

func toMap(v any) (map[string]any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding an instance: %w", err)
	}
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // integers stay integers
	return m, d.Decode(&m)
}

// applyInput merges a request into an instance (RFC 7396) and reads the result
// back into it. It does not validate values. given is what the request says,
// without secrets that came back as they were shown.
func applyInput(in *omni.Instance, patch json.RawMessage) (given map[string]any, err error) {
	base, err := inputOf(in)
	if err != nil {
		return nil, err
	}
	change, err := readObject(patch)
	if err != nil {
		return nil, err
	}
	if agent, ok := change["agent"].(map[string]any); ok && base["agent"] == nil && agent != nil {
		if base["agent"], err = toMap(omni.DefaultAgent()); err != nil {
			return nil, err
		}
	}
	dropMasks(in.Channel, change)
	merged, err := json.Marshal(mergePatch(base, change))
	if err != nil {
		return nil, fmt.Errorf("encoding an instance: %w", err)
	}
	return change, readInput(in, merged)
}

// dropMasks takes out secrets that came back as they were shown: unchanged.
func dropMasks(channel string, change map[string]any) {
	if c, ok := change["channel"].(string); ok && channel == "" {
		channel = c
	}
	if config, ok := change["channelConfig"].(map[string]any); ok {
		for name, v := range config {
			if v == omni.SecretMask && omni.IsSecretField(channel, name) {
				delete(config, name)
			}
		}
	}
	if agent, ok := change["agent"].(map[string]any); ok && agent["apiKey"] == omni.SecretMask {
		delete(agent, "apiKey")
	}
}

// mergePatch is RFC 7396: objects merge, null removes, all else replaces.
func mergePatch(target, patch map[string]any) map[string]any {
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, k)
		case map[string]any:
			sub, _ := target[k].(map[string]any)
			if sub == nil {
				sub = map[string]any{}
			}
			target[k] = mergePatch(sub, v)
		default:
			target[k] = v
		}
	}
	return target
}

// readInput reads a merged document; what is missing in it takes defaults.
func readInput(in *omni.Instance, merged []byte) error {
	defaults := omni.DefaultSettings()
	agent := AgentInput{AgentConfig: omni.DefaultAgent()}
	doc := InstanceInput{Agent: &agent, Messaging: defaults.Messaging, Media: defaults.Media, Access: defaults.Access}
	if err := strictly(merged, &doc, "an instance"); err != nil {
		return err
	}
	var probe struct {
		Agent         json.RawMessage `json:"agent"`
		ChannelConfig json.RawMessage `json:"channelConfig"`
	}
	if err := json.Unmarshal(merged, &probe); err != nil {
		return decodeError(err, "an instance")
	}
	in.Name, in.Channel = strings.TrimSpace(doc.Name), doc.Channel
	in.ChannelConfig = probe.ChannelConfig
	if len(in.ChannelConfig) == 0 {
		in.ChannelConfig = json.RawMessage("{}")
	}
	in.Settings = omni.InstanceSettings{AgentID: doc.AgentID, Messaging: doc.Messaging, Media: doc.Media, Access: doc.Access}
	in.AgentAPIKey = ""
	if len(probe.Agent) > 0 && doc.Agent != nil {
		in.Settings.Agent, in.AgentAPIKey = &doc.Agent.AgentConfig, doc.Agent.APIKey
	}
	return nil
}

// readObject reads a request as the change that it is.
func readObject(body json.RawMessage) (map[string]any, error) {
	change := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&change); err != nil {
		return nil, &Error{Kind: KindMalformed, Code: CodeMalformed, Detail: "the body is not a JSON object"}
	}
	return change, nil
}

// strictly reads a merged document of what ("an instance"), and takes no field
// that it does not know.
func strictly(merged []byte, into any, what string) error {
	d := json.NewDecoder(bytes.NewReader(merged))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return decodeError(err, what)
	}
	return nil
}

// decodeError names the field that does not fit, and never its value: it may
// be a secret in the wrong place.
func decodeError(err error, what string) error {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.ReplaceAll(typ.Field, "AgentConfig.", "")
		return invalid(field, "must be "+jsonType(typ.Type.Kind().String())+", not "+typ.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(strings.Trim(name, `"`), "is not a field of "+what)
	}
	return &Error{Kind: KindMalformed, Code: CodeMalformed, Detail: "the body cannot be read as " + what}
}

func jsonType(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "a list"
	case kind == "struct", kind == "map":
		return "an object"
	default:
		return "a " + kind
	}
}
