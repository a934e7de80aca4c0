package omni

import "github.com/google/uuid"

// InstanceFilter narrows a list of instances; zero fields do not.
type InstanceFilter struct {
	Channel string
	Status  string
	IDs     []uuid.UUID // nil: all
}
