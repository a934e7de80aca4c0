package workers

import (
	"context"
	"errors"

	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/workers/ingest"
)

// ingestRole is the two consumers of stream CHANNEL. Neither waits for the other.
type ingestRole struct {
	lifecycle.Group

	recorder *ingest.Recorder
	starter  *ingest.Starter
}

func newIngest(d Deps) *ingestRole {
	r := &ingestRole{
		recorder: ingest.NewRecorder(ingest.RecorderDeps{Store: d.Store, Instances: d.Instances, Bus: d.Bus, Log: d.Log,
			Metrics: d.Metrics, Tracer: d.Tracer}),
		starter: ingest.NewStarter(ingest.StarterDeps{Engine: d.Engine, Instances: d.Instances, Own: d.Store, Bus: d.Bus, Log: d.Log,
			Metrics: d.Metrics, Tracer: d.Tracer}),
	}
	r.Log = d.Log
	r.Add("recorder", r.recorder)
	r.Add("starter", r.starter)
	return r
}

// Health reports whether what comes in is recorded and started.
func (r *ingestRole) Health(ctx context.Context) error {
	return errors.Join(r.recorder.Health(ctx), r.starter.Health(ctx))
}
