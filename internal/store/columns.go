package store

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// The columns of hand-written lists: those that the generated row knows. Not
// "*": a newer version's migration may have added one by now.
var (
	messageColumns    = columnsOf[dbsqlc.Message]("")
	chatColumns       = columnsOf[dbsqlc.Chat]("") + ", " + lastMessageAt
	personColumns     = columnsOf[dbsqlc.Person]("p.")
	deadLetterColumns = columnsOf[dbsqlc.DeadLetter]("d.")
	apiKeyColumns     = columnsOf[dbsqlc.ApiKey]("")
	accessRuleColumns = columnsOf[dbsqlc.AccessRule]("")
)

func columnsOf[Row any](alias string) string {
	t := reflect.TypeFor[Row]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = alias + snake(t.Field(i).Name)
	}
	return strings.Join(names, ", ")
}

// snake undoes sqlc's naming: SenderPlatformID is sender_platform_id.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = !unicode.IsUpper(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
