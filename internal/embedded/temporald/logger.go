package temporald

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger hands the server's lines to slog, one level lower than the server
// puts them: it calls every lost race and every client that left a warning.
type logger struct {
	log  *slog.Logger
	tags []tag.Tag // of With: the server makes many loggers that never log
}

var (
	_ log.Logger     = logger{}
	_ log.WithLogger = logger{}
)

func (l logger) at(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.log.LogAttrs(ctx, level, msg, append(attributes(l.tags), attributes(tags)...)...)
}

func (l logger) Debug(string, ...tag.Tag)           {}
func (l logger) Info(msg string, tags ...tag.Tag)   { l.at(slog.LevelDebug, msg, tags) }
func (l logger) Warn(msg string, tags ...tag.Tag)   { l.at(slog.LevelDebug, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag)  { l.at(slog.LevelInfo, msg, tags) }
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.at(slog.LevelError, msg, tags) }

// Panic must not return: the server relies on it.
func (l logger) Panic(msg string, tags ...tag.Tag) {
	l.at(slog.LevelError, msg, tags)
	panic(fmt.Sprintf("temporal: %s %v", msg, attributes(tags)))
}

// Fatal must not return: the server relies on it.
func (l logger) Fatal(msg string, tags ...tag.Tag) {
	l.at(slog.LevelError, msg, tags)
	os.Exit(1)
}

// With implements log.WithLogger.
func (l logger) With(tags ...tag.Tag) log.Logger {
	return logger{l.log, append(slices.Clip(l.tags), tags...)}
}

func attributes(tags []tag.Tag) []slog.Attr {
	out := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		out = append(out, slog.Any(t.Key(), t.Value()))
	}
	return out
}
