package cli

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/telemetry"
)

// setupTelemetry logs to stderr, so that stdout is the banner's.
func setupTelemetry(ctx context.Context, cfg *config.Config, env Env) (*telemetry.Telemetry, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, err
	}
	format := cfg.LogFormat
	if format == "auto" {
		format = telemetry.FormatJSON
		if isTerminal(env.Stderr) {
			format = telemetry.FormatText
		}
	}
	release, _ := buildVersion()
	return telemetry.Setup(ctx, telemetry.Options{
		Version: release, OTLPEndpoint: cfg.OTLPEndpoint, LogLevel: level, LogFormat: format, LogOutput: env.Stderr,
	})
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// quieter lowers every line by one level: what a library tells of its ordinary
// work is of interest when debugging it.
type quieter struct{ slog.Handler }

const levelStep = slog.LevelInfo - slog.LevelDebug

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, level-levelStep)
}

func (q quieter) Handle(ctx context.Context, record slog.Record) error {
	record.Level -= levelStep
	return q.Handler.Handle(ctx, record)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs)}
}
func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }

// sdkLog is the logger of Temporal's client.
func sdkLog(log *slog.Logger) *slog.Logger {
	return slog.New(quieter{log.With("part", "temporal-sdk").Handler()})
}
