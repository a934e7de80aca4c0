package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// InstanceStore is what the instances' use cases need of the store. PatchInstance
// holds the row while change runs.
type InstanceStore interface {
	CreateInstance(ctx context.Context, in omni.Instance) (*omni.Instance, error)
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
	ListInstances(ctx context.Context, tenant string, f omni.InstanceFilter, p omni.Page) ([]omni.Instance, error)
	PatchInstance(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.Instance) error) (*omni.Instance, error)
	DeleteInstance(ctx context.Context, tenant string, id uuid.UUID) error
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
}

// Announcer tells the other processes what they should look at now. Best
// effort: each of them finds out by itself, later.
type Announcer interface {
	Announce(ctx context.Context, instanceID uuid.UUID) error
	// RequestRestart asks whichever gateway holds the instance for a new session.
	RequestRestart(ctx context.Context, instanceID uuid.UUID) error
	// PublishCancel hurries the process that makes a turn's call.
	PublishCancel(ctx context.Context, turnID uuid.UUID) error
}

// Instances are the use cases around instances. Safe for concurrent use.
type Instances struct {
	store     InstanceStore
	announce  Announcer
	log       *slog.Logger
	publicURL string
	checkURL  func(rawURL string) error
	checkHost func(ctx context.Context, rawURL string) error // looks names up; nil: they are not
	providers []string
}

// InstanceStatus is the state of the connection.
type InstanceStatus struct {
	Status          channels.Status `json:"status" enum:"active,inactive,connecting,error,needs_login" required:"true"`
	StatusReason    string          `json:"statusReason"`
	LastConnectedAt *time.Time      `json:"lastConnectedAt"`
}

// Create makes an instance of what the request says (InstanceInput as JSON)
// and lets a gateway connect it.
func (s *Instances) Create(ctx context.Context, who *omni.APIKey, body json.RawMessage) (*Instance, error) {
	if who.InstanceIDs != nil {
		return nil, &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key is restricted to instances that exist"}
	}
	in := omni.Instance{
		ID: uuid.Must(uuid.NewV7()), TenantID: who.TenantID, Settings: omni.DefaultSettings(),
		Status: channels.StatusConnecting,
	}
	if _, err := applyInput(&in, body); err != nil {
		return nil, err
	}
	if err := s.validate(ctx, &in); err != nil {
		return nil, err
	}
	if err := lookUpHosts(ctx, s.checkHost, urlsOfInstance(body)); err != nil {
		return nil, err
	}
	created, err := s.store.CreateInstance(ctx, in)
	if err != nil {
		return nil, err
	}
	s.changed(ctx, created.ID)
	return showInstance(created)
}

// Get reads one instance.
func (s *Instances) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*Instance, error) {
	in, err := visibleInstance(ctx, s.store, who, id)
	if err != nil {
		return nil, err
	}
	return showInstance(in)
}

// List reads a page of instances.
func (s *Instances) List(ctx context.Context, who *omni.APIKey, f omni.InstanceFilter, p Paging) (*List[Instance], error) {
	f.IDs = who.InstanceIDs
	found, err := list(ctx, who, f, p, s.store.ListInstances, func(v *omni.Instance) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
	if err != nil {
		return nil, err
	}
	shown := &List[Instance]{Items: make([]Instance, 0, len(found.Items)), Next: found.Next}
	for i := range found.Items {
		in, err := showInstance(&found.Items[i])
		if err != nil {
			return nil, err
		}
		shown.Items = append(shown.Items, *in)
	}
	return shown, nil
}

// Patch merges a change into an instance (JSON merge patch); secrets that come
// back as "•••" stay as they are. The gateway reconnects with the new
// configuration.
func (s *Instances) Patch(ctx context.Context, who *omni.APIKey, id uuid.UUID, body json.RawMessage) (*Instance, error) {
	if _, err := visibleInstance(ctx, s.store, who, id); err != nil {
		return nil, err
	}
	if err := lookUpHosts(ctx, s.checkHost, urlsOfInstance(body)); err != nil { // not while the row is held
		return nil, err
	}
	return s.change(ctx, who, id, func(in *omni.Instance) error {
		before := *in
		given, err := applyInput(in, body)
		if err != nil {
			return err
		}
		if in.Channel != before.Channel {
			return invalid("channel", "cannot be changed; create another instance")
		}
		if err := s.validate(ctx, in); err != nil {
			return err
		}
		return checkSecretMoves(who, &before, in, given)
	})
}

// Delete disconnects an instance and hides it; what it recorded stays.
func (s *Instances) Delete(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	if !who.Sees(id) {
		return notFound("instance")
	}
	if err := s.store.DeleteInstance(ctx, who.TenantID, id); err != nil {
		return orNotFound(err, "instance")
	}
	s.changed(ctx, id)
	return nil
}

// Connect lets a gateway hold a session for the instance.
func (s *Instances) Connect(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*Instance, error) {
	return s.change(ctx, who, id, enable)
}

// enable leaves the status of an instance that is connected to its gateway.
func enable(in *omni.Instance) error {
	if in.Disabled {
		in.Disabled, in.Status, in.StatusReason = false, channels.StatusConnecting, ""
	}
	return nil
}

// Disconnect ends the session; the instance stays disconnected over restarts
// of the hub, until it is connected again.
func (s *Instances) Disconnect(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*Instance, error) {
	return s.change(ctx, who, id, func(in *omni.Instance) error {
		in.Disabled = true
		in.Status, in.StatusReason = channels.StatusInactive, "disconnected by call"
		return nil
	})
}

// Restart makes the gateway close the session and open a new one.
func (s *Instances) Restart(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*Instance, error) {
	in, err := s.change(ctx, who, id, enable)
	if err != nil || s.announce == nil {
		return in, err
	}
	if err := s.announce.RequestRestart(ctx, id); err != nil {
		return nil, &Error{Kind: KindUnavailable, Code: CodeUnavailable, Detail: "the gateways cannot be reached right now"}
	}
	return in, nil
}

// Status reads the state of the connection.
func (s *Instances) Status(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*InstanceStatus, error) {
	in, err := visibleInstance(ctx, s.store, who, id)
	if err != nil {
		return nil, err
	}
	return &InstanceStatus{Status: in.Status, StatusReason: in.StatusReason, LastConnectedAt: in.LastConnectedAt}, nil
}

// QR would give the code to scan. Channels that need no login refuse with
// capability_not_supported.
func (s *Instances) QR(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	in, err := visibleInstance(ctx, s.store, who, id)
	if err != nil {
		return err
	}
	ch, ok := channels.Lookup(in.Channel)
	if !ok || !ch.Info().Capabilities.Login {
		return NotSupported(in.Channel, "login by QR code")
	}
	return &Error{Kind: KindNotFound, Code: CodeNoLoginNeeded, Detail: "there is no QR code to scan right now"}
}

func (s *Instances) change(ctx context.Context, who *omni.APIKey, id uuid.UUID, change func(*omni.Instance) error) (*Instance, error) {
	if !who.Sees(id) {
		return nil, notFound("instance")
	}
	in, err := s.store.PatchInstance(ctx, who.TenantID, id, change)
	if err != nil {
		return nil, orNotFound(err, "instance")
	}
	s.changed(ctx, id)
	return showInstance(in)
}

func (s *Instances) changed(ctx context.Context, id uuid.UUID) {
	announceChange(ctx, s.announce, s.log, id)
}

// instanceReader reads one instance of any tenant.
type instanceReader interface {
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// visibleInstance reads an instance if the caller may see it.
func visibleInstance(ctx context.Context, from instanceReader, who *omni.APIKey, id uuid.UUID) (*omni.Instance, error) {
	if !who.Sees(id) {
		return nil, notFound("instance")
	}
	in, err := from.Instance(ctx, id)
	if err != nil {
		return nil, orNotFound(err, "instance")
	}
	if in.TenantID != who.TenantID {
		return nil, notFound("instance")
	}
	return in, nil
}
