package workflows_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/omnihub/omni/activities"
)

// renameSteps gives the local activities of a recorded history other names: in
// the marker's payload, where the SDK keeps them.
func renameSteps(history []byte) []byte {
	var v any
	if err := json.Unmarshal(history, &v); err != nil {
		panic(err)
	}
	b, err := json.Marshal(renamed(v))
	if err != nil {
		panic(err)
	}
	return b
}

func renamed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = renamed(x)
		}
		return v
	case []any:
		for i, x := range v {
			v[i] = renamed(x)
		}
		return v
	case string:
		raw, err := base64.StdEncoding.DecodeString(v)
		if err != nil || !strings.Contains(string(raw), activities.IdentityResolve) {
			return v
		}
		return base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(raw), activities.IdentityResolve, "identity.Another")))
	default:
		return v
	}
}
