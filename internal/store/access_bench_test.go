package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// BenchmarkAccess measures what deciding about a message costs among a million
// accounts and ten thousand rules, beside a bare select and a bare update by
// key in the same run:
//
//	go test ./internal/store -run xxx -bench Access -benchtime 1x
//
// resolve is the reading of identity.Resolve, of a message whose decision
// stands; check is what access.Check decides by, read and decided; resolve+check
// is both in one reading, as where the message is not in memory; decide is the
// storing of the decision with its event.
func BenchmarkAccess(b *testing.B) {
	w := newMasses(b)
	const rounds = 3000
	times := map[string][]time.Duration{}
	lap := func(name string, measured func()) {
		began := time.Now()
		measured()
		times[name] = append(times[name], time.Since(began))
	}
	for b.Loop() {
		for range rounds { // in turn, so that whatever else runs here troubles all alike
			id := w.messages[w.next]
			w.next++
			w.check(id) // a message that is decided about has just been recorded: what it touches is in memory
			w.bare()
			lap("select", w.bare)
			lap("resolve+check", func() { w.resolve(id) })
			lap("check", func() { w.check(id) })
			lap("update", w.touch)
			lap("decide", func() { w.decide(id) })
			lap("resolve", func() { w.resolve(id) })
		}
	}
	p50 := func(name string) time.Duration {
		slices.Sort(times[name])
		return times[name][len(times[name])/2]
	}
	for _, pair := range [][2]string{{"resolve", "select"}, {"check", "select"}, {"resolve+check", "select"}, {"decide", "update"}} {
		took, bare := p50(pair[0]), p50(pair[1])
		ratio := float64(took) / float64(bare)
		b.Logf("%s p50 %v, bare %s p50 %v: ratio %.2f", pair[0], took, pair[1], bare, ratio)
		b.ReportMetric(ratio, pair[0]+"/"+pair[1])
	}
}

// masses is a database with a million accounts, each a person's, ten thousand
// rules, and messages that nobody has decided about.
type masses struct {
	*store.Store
	b        *testing.B
	instance uuid.UUID
	messages []uuid.UUID
	people   []uuid.UUID
	next     int
	decided  map[string]int
}

func newMasses(b *testing.B) *masses {
	b.Helper()
	st, filled := benchStore(b, "crowd")
	w := &masses{Store: st, b: b, instance: uuid.New(), decided: map[string]int{}}
	if !filled {
		w.fill()
	}
	require.NoError(b, st.Pool().QueryRow(b.Context(), `SELECT array_agg(message ORDER BY random()), array_agg(identity ORDER BY random())
		FROM crowd JOIN messages m ON m.id = message WHERE m.access_decision IS NULL`).Scan(&w.messages, &w.people))
	return w
}

func (w *masses) fill() {
	for _, sql := range []string{
		// What is not looked at here only takes time to fill.
		`DROP INDEX IF EXISTS identities_search, persons_search, persons_name`,
		`INSERT INTO instances (id, tenant_id, name, channel, settings) VALUES ('` + w.instance.String() + `', 'default', 'crowd', 'custom',
			'{"access":{"mode":"blocklist"}}')`,
		`CREATE TABLE crowd AS SELECT n, gen_random_uuid() AS person, gen_random_uuid() AS identity, gen_random_uuid() AS chat,
			gen_random_uuid() AS message, '+55119' || lpad(n::text, 8, '0') AS phone FROM generate_series(1, 1000000) n`,
		`INSERT INTO persons (id, tenant_id, display_name, phone) SELECT person, 'default', 'Person ' || n, phone FROM crowd`,
		`INSERT INTO identities (id, tenant_id, instance_id, channel, platform_user_id, person_id, name, username, phone)
			SELECT identity, 'default', '` + w.instance.String() + `', 'custom', 'user-' || n, person, 'Person ' || n, 'handle' || n, phone FROM crowd`,
		`INSERT INTO identity_evidence (identity_id, kind, tenant_id, value) SELECT identity, 'phone', 'default', phone FROM crowd`,
		`INSERT INTO chats (id, tenant_id, instance_id, channel, external_id, person_id)
			SELECT chat, 'default', '` + w.instance.String() + `', 'custom', 'chat-' || n, person FROM crowd WHERE n % 20 = 0`,
		`INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, status,
				sender_platform_id, sent_at)
			SELECT message, 'default', '` + w.instance.String() + `', 'custom', chat, person, identity, 'inbound', '{"type":"text","text":"hi"}',
				'hi', 'received', 'user-' || n, now() FROM crowd WHERE n % 20 = 0`,
	} {
		_, err := w.Pool().Exec(w.b.Context(), sql)
		require.NoError(w.b, err, sql)
	}
	w.rules()
	_, err := w.Pool().Exec(w.b.Context(), `VACUUM ANALYZE`)
	require.NoError(w.b, err)
}

// rules of every kind, most of them about nobody here: accounts, phones,
// handles, persons, patterns of all lengths, and a few about everybody.
func (w *masses) rules() {
	for n := range 10_000 {
		r := omni.AccessRule{ID: uuid.Must(uuid.NewV7()), TenantID: omni.DefaultTenant, Type: omni.RuleDeny, Source: omni.RuleFromAPI}
		if n%2 == 0 {
			r.InstanceID = &w.instance
		}
		switch n % 10 {
		case 0, 1, 2:
			r.Match.PlatformUserID = fmt.Sprint("user-", n*97)
		case 3, 4:
			r.Match.Phone = fmt.Sprintf("+55119%08d", n*89)
		case 5:
			r.Match.Phone = fmt.Sprintf("+5511%05d*", n) // of the same city, most of them about others
		case 6:
			r.Match.Handle = fmt.Sprint("handle", n*83)
		case 7:
			r.Match.Handle = fmt.Sprintf("spam%d*", n)
		case 8:
			person := uuid.New()
			r.Match.PersonID = &person
		case 9:
			r.Match.PlatformUserID = fmt.Sprintf("bot-%d*", n)
		}
		if n%1000 == 999 {
			r.Type, r.Match, r.Priority = omni.RuleAllow, omni.RuleMatch{Channel: "tele*"}, -1
		}
		_, err := w.CreateAccessRule(w.b.Context(), r)
		require.NoError(w.b, err)
	}
}

func (w *masses) bare() {
	var person uuid.UUID
	require.NoError(w.b, w.Pool().QueryRow(w.b.Context(), `SELECT person_id FROM identities WHERE id = $1`, w.people[w.next]).Scan(&person))
}

func (w *masses) touch() {
	_, err := w.Pool().Exec(w.b.Context(), `UPDATE messages SET error = 'x' WHERE id = $1`, w.messages[len(w.messages)-w.next])
	require.NoError(w.b, err)
}

func (w *masses) resolve(id uuid.UUID) {
	m, err := w.InboundMessage(w.b.Context(), id)
	require.NoError(w.b, err)
	require.True(w.b, m.PersonID.Valid)
	if m.Question != nil {
		m.Question.Plan(m, time.Now())
	}
}

func (w *masses) plan(id uuid.UUID) omni.AccessPlan {
	q, err := w.AccessQuestion(w.b.Context(), id)
	require.NoError(w.b, err)
	return q.Plan(&omni.InboundMessage{Kind: message.KindMessage}, time.Now())
}

func (w *masses) check(id uuid.UUID) { w.decided[w.plan(id).Steps[0].Within]++ }

func (w *masses) decide(id uuid.UUID) {
	_, err := w.CheckMessage(w.b.Context(), id, omni.PlanAccess(omni.AccessBlocklist, nil, &omni.AccessFacts{}, time.Now()),
		omni.Attempt{StartedAt: time.Now(), Number: 1})
	require.NoError(w.b, err)
}
