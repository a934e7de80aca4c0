package relay_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workers/relay"
)

// BenchmarkRelay measures events from the log to their streams.
func BenchmarkRelay(b *testing.B) {
	st, err := store.Open(b.Context(), testkit.Postgres(b), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	hub, err := bus.Open(b.Context(), testkit.NATS(b), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := st.Pool().Exec(b.Context(), `INSERT INTO events (id, tenant_id, type, instance_id, channel, traceparent, data)
		SELECT gen_random_uuid(), 'default', 'message.received', gen_random_uuid(), 'custom', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
		       jsonb_build_object('text', repeat('x', 400)) FROM generate_series(1, $1)`, b.N); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	r := relay.New(relay.Deps{Store: st, Bus: hub, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(b.Context()) }()
	for at, head := int64(0), int64(1); at < head; {
		time.Sleep(time.Millisecond)
		p, err := st.LogHead(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		c, err := st.RelayCursor(b.Context(), "relay")
		if err != nil {
			b.Fatal(err)
		}
		head, at = max(p.Seq, 1), c.Seq
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
