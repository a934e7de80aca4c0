package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
)

// cause is the innermost message of an activity's failure: what went wrong,
// without the engine's frames around it. Implementations have scrubbed it.
func cause(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return "timed out: " + timeout.TimeoutType().String()
	}
	return err.Error()
}

func causeType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}
