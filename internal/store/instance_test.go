package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	_ "github.com/omnihub/omni/channels/custom"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

func sealedStore(t *testing.T, url, key string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), url, 4)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	if key != "" {
		box, err := secret.New(key)
		require.NoError(t, err)
		st.UseSecrets(box)
	}
	return st
}

func TestInstanceSecretsAreSealed(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	st := sealedStore(t, url, secret.GenerateKey())
	in, err := st.CreateInstance(t.Context(), omni.Instance{Name: "x", Channel: "custom", Settings: omni.DefaultSettings(),
		ChannelConfig: json.RawMessage(`{"secret":"s3cret","callbackUrl":"https://x"}`), AgentAPIKey: "sk"})
	require.NoError(t, err)
	require.JSONEq(t, `{"secret":"s3cret","callbackUrl":"https://x"}`, string(in.ChannelConfig))
	require.Equal(t, "sk", in.AgentAPIKey)
	require.Equal(t, channels.StatusConnecting, in.Status)

	plain := sealedStore(t, url, "")
	_, err = plain.Instance(t.Context(), in.ID)
	require.ErrorContains(t, err, "no encryption key")
	_, err = plain.CreateInstance(t.Context(), omni.Instance{Name: "y", Channel: "custom", AgentAPIKey: "sk"})
	require.ErrorContains(t, err, "no encryption key")

	// One that cannot be opened does not keep the others offline.
	other := sealedStore(t, url, secret.GenerateKey())
	mine, err := other.CreateInstance(t.Context(), omni.Instance{Name: "z", Channel: "custom", AgentAPIKey: "sk2"})
	require.NoError(t, err)
	list, err := other.ConnectableInstances(t.Context())
	require.ErrorIs(t, err, secret.ErrOtherKey)
	require.Len(t, list, 1)
	require.Equal(t, mine.ID, list[0].ID)
	require.NotContains(t, err.Error(), "sk")
}

func TestPatchInstanceHoldsTheRow(t *testing.T) {
	t.Parallel()
	st := sealedStore(t, testkit.Postgres(t), secret.GenerateKey())
	in, err := st.CreateInstance(t.Context(), omni.Instance{Name: "0", Channel: "custom"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := st.PatchInstance(context.Background(), omni.DefaultTenant, in.ID, func(i *omni.Instance) error {
				i.Name += "x"
				return nil
			})
			if err != nil {
				t.Errorf("patching: %v", err)
			}
		})
	}
	wg.Wait()
	got, err := st.Instance(t.Context(), in.ID)
	require.NoError(t, err)
	require.Len(t, got.Name, 11, "no change is lost")
	require.Equal(t, int64(11), got.Version)

	refused := errors.New("refused")
	_, err = st.PatchInstance(t.Context(), omni.DefaultTenant, in.ID, func(*omni.Instance) error { return refused })
	require.ErrorIs(t, err, refused)
	_, err = st.PatchInstance(t.Context(), "other", in.ID, func(*omni.Instance) error { return nil })
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestInstanceStateIsWrittenOncePerChange(t *testing.T) {
	t.Parallel()
	st := sealedStore(t, testkit.Postgres(t), secret.GenerateKey())
	in, err := st.CreateInstance(t.Context(), omni.Instance{Name: "x", Channel: "custom"})
	require.NoError(t, err)
	for _, s := range []channels.Status{channels.StatusActive, channels.StatusActive, channels.StatusError, channels.StatusActive} {
		require.NoError(t, st.SetInstanceState(t.Context(), in.ID, s, ""))
	}
	got, err := st.Instance(t.Context(), in.ID)
	require.NoError(t, err)
	require.NotNil(t, got.LastConnectedAt)
	require.Equal(t, int64(1), got.Version, "a state is no configuration")
	events, err := st.ListEvents(t.Context(), omni.DefaultTenant, omni.EventFilter{InstanceID: in.ID}, omni.Position{}, 10)
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.ErrorIs(t, st.SetInstanceState(t.Context(), uuid.New(), channels.StatusActive, ""), store.ErrNotFound)
}

// countingReader counts reads and can hold them.
type countingReader struct {
	mu    sync.Mutex
	reads int
	name  string
	hold  chan struct{}
}

func (r *countingReader) Instance(_ context.Context, id uuid.UUID) (*omni.Instance, error) {
	r.mu.Lock()
	r.reads++
	name, hold := r.name, r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if name == "" {
		return nil, store.ErrNotFound
	}
	return &omni.Instance{ID: id, Name: name}, nil
}

func (r *countingReader) set(name string, hold chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name, r.hold = name, hold
}

func (r *countingReader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

func TestInstanceCache(t *testing.T) {
	t.Parallel()
	from := &countingReader{}
	c := store.NewInstanceCache(from, time.Hour)
	id := uuid.New()
	_, err := c.Get(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
	from.set("one", nil)
	in, err := c.Get(t.Context(), id)
	require.NoError(t, err, "what is unknown is not remembered")
	require.Equal(t, "one", in.Name)
	_, err = c.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 2, from.count())
	from.set("two", nil)
	c.Invalidate(id)
	in, err = c.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "two", in.Name)

	// Changed while it is being read: what was read is old.
	c.Invalidate(id)
	hold := make(chan struct{})
	from.set("old", hold)
	got := make(chan string, 1)
	go func() {
		in, err := c.Get(context.Background(), id)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		got <- in.Name
	}()
	require.Eventually(t, func() bool { return from.count() == 4 }, 20*time.Second, time.Millisecond)
	from.set("new", nil)
	c.Invalidate(id)
	close(hold)
	<-got
	in, err = c.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "new", in.Name)
}

func TestInstanceCacheExpires(t *testing.T) {
	t.Parallel()
	from := &countingReader{name: "x"}
	c := store.NewInstanceCache(from, time.Nanosecond)
	for range 3 {
		_, err := c.Get(t.Context(), uuid.Nil)
		require.NoError(t, err)
	}
	require.Equal(t, 3, from.count())
}
