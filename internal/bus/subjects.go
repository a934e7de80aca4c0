package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

const (
	subjectInstanceChanged = "omni.instance.changed"
	subjectInstanceRestart = "omni.instance.restart"
	subjectLog             = "omni.log"
)

// EventSubject is where an event is published: <type>.<tenant>.<channel>.<instance>.
func EventSubject(e *omni.Event) string {
	return string(e.Type) + "." + token(e.TenantID) + "." + token(e.Channel) + "." + e.InstanceID.String()
}

func inboundSubject(e *omni.Envelope) string {
	return string(omni.EventChannelInbound) + "." + token(e.TenantID) + "." + token(e.Channel) + "." + e.InstanceID.String()
}

// turnCancelSubjects matches every turnCancelSubject.
const turnCancelSubjects = "turn.*.cancel"

func turnCancelSubject(turnID uuid.UUID) string { return "turn." + turnID.String() + ".cancel" }

// LiveSubject is the best-effort fan-out of one topic of an instance. Topics
// are the channel's own words, so they are hashed.
func LiveSubject(instanceID, topic string) string {
	sum := sha256.Sum256([]byte(topic))
	return "live." + token(instanceID) + "." + hex.EncodeToString(sum[:16])
}

// token makes one subject token of a value: never empty, no separator, no wildcard.
func token(s string) string {
	if s == "" {
		return "_"
	}
	if !strings.ContainsAny(s, ".*> \t\r\n\x00") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(".*> \t\r\n\x00", r) {
			return '_'
		}
		return r
	}, s)
}
