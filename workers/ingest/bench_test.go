package ingest_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workers/ingest"
)

// BenchmarkRecorder measures events from the edge until they are in the database.
func BenchmarkRecorder(b *testing.B) {
	st, err := store.Open(b.Context(), testkit.Postgres(b), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	hub, err := bus.Open(b.Context(), testkit.NATS(b), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	r := ingest.NewRecorder(ingest.RecorderDeps{Store: st, Instances: store.NewInstanceCache(st, time.Minute), Bus: hub, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(b.Context()) }()
	instance := uuid.New()
	b.ResetTimer()
	var wg sync.WaitGroup
	for p := range 16 {
		wg.Go(func() {
			for i := p; i < b.N; i += 16 {
				e := &omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(),
					Event: message.Inbound{ID: fmt.Sprint(i), Kind: message.KindMessage, Timestamp: time.Now().UTC(), Chat: message.Chat{ID: fmt.Sprint(i % 100)},
						Sender: message.Sender{ID: fmt.Sprint(i % 100)}, Content: message.Content{Type: message.TypeText, Text: "hello"}}}
				e.MessageID = omni.MessageID(instance, e.ExternalKey())
				if _, _, err := hub.PublishInbound(b.Context(), e); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for {
		floor, err := st.Floor(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if floor >= uint64(b.N) { //nolint:gosec // positive
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
