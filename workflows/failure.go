package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
)

// cause is the innermost message of an activity's failure: what went wrong,
// without the engine's frames around it. Implementations have scrubbed it.
func cause(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return "timed out: " + timeout.TimeoutType().String()
	}
	return err.Error()
}

func causeType(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type()
	}
	return ""
}
