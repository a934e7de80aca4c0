package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// Sealer encrypts what must not be readable in the database, bound to its
// owner (secret.Box).
type Sealer interface {
	Seal(plain []byte, owner string) ([]byte, error)
	Open(sealed []byte, owner string) ([]byte, error)
}

// UseSecrets hands the store the box for secrets. To be called before use.
func (s *Store) UseSecrets(box Sealer) { s.box = box }

// instanceSecrets is what column secrets holds, sealed.
type instanceSecrets struct {
	ChannelConfig map[string]json.RawMessage `json:"channelConfig,omitempty"`
	AgentAPIKey   string                     `json:"agentApiKey,omitempty"`
}

// instanceCols is an instance as columns.
type instanceCols struct {
	settings, config json.RawMessage
	secrets          []byte
}

func (s *Store) instanceColumns(in *omni.Instance) (instanceCols, error) {
	var cols instanceCols
	public, hidden, err := omni.SplitConfig(in.Channel, in.ChannelConfig)
	if err != nil {
		return cols, err
	}
	if cols.config, err = json.Marshal(public); err != nil {
		return cols, fmt.Errorf("encoding channelConfig: %w", err)
	}
	if cols.settings, err = json.Marshal(in.Settings); err != nil {
		return cols, fmt.Errorf("encoding the settings: %w", err)
	}
	if len(hidden) == 0 && in.AgentAPIKey == "" {
		return cols, nil
	}
	if s.box == nil {
		return cols, errors.New("sealing secrets: no encryption key is configured (OMNI_ENCRYPTION_KEY)")
	}
	plain, err := json.Marshal(instanceSecrets{ChannelConfig: hidden, AgentAPIKey: in.AgentAPIKey})
	if err != nil {
		return cols, fmt.Errorf("encoding the secrets: %w", err)
	}
	cols.secrets, err = s.box.Seal(plain, in.ID.String())
	return cols, err
}

func (s *Store) instances(rows []dbsqlc.Instance) ([]omni.Instance, error) {
	out := make([]omni.Instance, 0, len(rows))
	for _, row := range rows {
		in, err := s.instance(row)
		if err != nil {
			return nil, err
		}
		out = append(out, *in)
	}
	return out, nil
}

// instance is a row with its secrets opened.
func (s *Store) instance(row dbsqlc.Instance) (*omni.Instance, error) {
	in := &omni.Instance{
		ID: row.ID, TenantID: row.TenantID, Name: row.Name, Channel: row.Channel, Status: channels.Status(row.Status),
		StatusReason: row.StatusReason, LastConnectedAt: row.LastConnectedAt, Disabled: row.Disabled, Version: row.Version,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	// Fields that a newer version added take their defaults in older rows.
	in.Settings = omni.DefaultSettings()
	if err := json.Unmarshal(row.Settings, &in.Settings); err != nil {
		return nil, fmt.Errorf("reading the settings of instance %s: %w", row.ID, err)
	}
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(row.ChannelConfig, &config); err != nil {
		return nil, fmt.Errorf("reading the channelConfig of instance %s: %w", row.ID, err)
	}
	hidden, err := s.openSecrets(row.ID, row.Secrets)
	if err != nil {
		return nil, err
	}
	maps.Copy(config, hidden.ChannelConfig)
	in.AgentAPIKey = hidden.AgentAPIKey
	in.ChannelConfig, err = json.Marshal(config)
	return in, err
}

func (s *Store) openSecrets(id uuid.UUID, sealed []byte) (instanceSecrets, error) {
	var hidden instanceSecrets
	if len(sealed) == 0 {
		return hidden, nil
	}
	if s.box == nil {
		return hidden, fmt.Errorf("reading instance %s: it has secrets and no encryption key is configured (OMNI_ENCRYPTION_KEY)", id)
	}
	plain, err := s.box.Open(sealed, id.String())
	if err != nil {
		return hidden, fmt.Errorf("reading instance %s: %w", id, err)
	}
	if err := json.Unmarshal(plain, &hidden); err != nil {
		// The error of json may quote its input.
		return hidden, fmt.Errorf("reading instance %s: the sealed secrets are not JSON", id)
	}
	return hidden, nil
}

// optional makes "" the NULL that a filter ignores.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
