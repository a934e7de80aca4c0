package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// How well a person fits what is searched for; the best first. Where very many
// fit, they are not all looked at to be ranked: first come those of exactly that
// name (manyExact), then the others (manyRest), each the newest first.
const (
	fitField  byte = 0 // a whole field
	fitStart  byte = 1 // the beginning of one
	fitWord   byte = 2 // the beginning of a word
	fitPart   byte = 3 // any part
	manyExact byte = 16
	manyRest  byte = 17
)

const (
	// rankAtMost is how many fields that fit are looked at to be ranked.
	rankAtMost = 2000
	// searchFor is how long one call looks for what fits, where very many do: then
	// the page ends with what there is, so much the later as looking through
	// scanMost persons takes.
	searchFor = 60 * time.Millisecond
	scanFirst = 250
	scanMost  = 1000
)

// SearchPersons reads a page of the persons that f.Query fits, the best first,
// without identities. It may be short of limit and yet have a next page.
func (s *Store) SearchPersons(ctx context.Context, tenant string, f omni.PersonFilter, after *omni.RankedKey, limit int,
) ([]omni.Person, *omni.RankedKey, error) {
	q, err := s.searchQuery(ctx, f.Query)
	if err != nil || !q.some() {
		return nil, nil, err
	}
	look := personSearch{Store: s, tenant: tenant, filter: f, query: q, limit: limit, until: time.Now().Add(searchFor)}
	var keys []omni.RankedKey
	var next *omni.RankedKey
	many := after != nil && after.Rank >= manyExact
	if !many {
		keys, next, many, err = look.ranked(ctx, after)
	}
	if many && err == nil {
		keys, next, err = look.newest(ctx, after)
	}
	if err != nil {
		return nil, nil, wrap(err, "searching persons")
	}
	found, err := s.personsInOrder(ctx, tenant, keys)
	return found, next, err
}

// personSearch is one search.
type personSearch struct {
	*Store
	tenant string
	filter omni.PersonFilter
	query  searchQuery
	limit  int
	until  time.Time
}

// rankedQuery reads everything that fits.
func (l personSearch) rankedQuery(after *omni.RankedKey) (sql string, args []any) {
	var w where
	tenant, most := w.arg(l.tenant), w.arg(rankAtMost+1)
	persons := "p.tenant_id = " + tenant + " AND " + l.query.fits(&w, "p.search") + l.visible(&w)
	accounts := "i.tenant_id = " + tenant + " AND " + l.query.fits(&w, "i.search") + l.within(&w)
	sql = `WITH hits AS MATERIALIZED (
		(SELECT p.id, ` + l.query.rank(&w, "p.search") + ` AS rank FROM persons p WHERE ` + persons + ` LIMIT ` + most + `)
		UNION ALL
		(SELECT i.person_id, ` + l.query.rank(&w, "i.search") + ` FROM identities i WHERE ` + accounts + ` LIMIT ` + most + `)
	), best AS (SELECT id, min(rank) AS rank FROM hits GROUP BY id)
	SELECT (SELECT count(*) FROM hits), r.rank, r.created_at, r.id
	FROM (VALUES (1)) AS one (n) LEFT JOIN (
		SELECT b.rank, p.created_at, p.id FROM best b JOIN persons p ON p.id = b.id AND p.tenant_id = ` + tenant + `
		WHERE true` + l.ofInstance(&w)
	if after != nil {
		rank := w.arg(int(after.Rank))
		sql += ` AND (b.rank > ` + rank + ` OR b.rank = ` + rank + ` AND (p.created_at, p.id) < (` + w.arg(after.At) + `, ` + w.arg(after.ID) + `))`
	}
	sql += ` ORDER BY b.rank, p.created_at DESC, p.id DESC LIMIT ` + w.arg(l.limit+1) + `) r ON true ORDER BY r.rank, r.created_at DESC, r.id DESC`
	return sql, w.args
}

// ranked looks at everything that fits. many: there is too much of it, and
// nothing is answered.
func (l personSearch) ranked(ctx context.Context, after *omni.RankedKey) (keys []omni.RankedKey, next *omni.RankedKey, many bool, err error) {
	sql, args := l.rankedQuery(after)
	rows, err := l.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, nil, false, err
	}
	var hits int
	var rank *int
	var at *time.Time
	var id uuid.NullUUID
	_, err = pgx.ForEachRow(rows, []any{&hits, &rank, &at, &id}, func() error {
		if id.Valid {
			keys = append(keys, omni.RankedKey{Rank: byte(*rank), Key: omni.Key{At: *at, ID: id.UUID}}) //nolint:gosec // 0 to 3
		}
		return nil
	})
	if err != nil || after == nil && hits > rankAtMost {
		return nil, nil, err == nil, err
	}
	keys, next = l.cut(keys)
	return keys, next, false, nil
}

// cut ends a page where it is full.
func (l personSearch) cut(keys []omni.RankedKey) ([]omni.RankedKey, *omni.RankedKey) {
	if len(keys) <= l.limit {
		return keys, nil
	}
	return keys[:l.limit], &keys[l.limit-1]
}

// newest lists those of exactly the name first, then all others that fit.
func (l personSearch) newest(ctx context.Context, after *omni.RankedKey) ([]omni.RankedKey, *omni.RankedKey, error) {
	var keys []omni.RankedKey
	if after == nil || after.Rank == manyExact {
		found, err := l.exact(ctx, after)
		if err != nil {
			return nil, nil, err
		}
		if len(found) > l.limit {
			keys, next := l.cut(found)
			return keys, next, nil
		}
		keys, after = found, nil
	}
	for chunk := scanFirst; ; chunk = min(chunk*4, scanMost) {
		rest, scanned, err := l.scan(ctx, after, chunk)
		if err != nil {
			return nil, nil, err
		}
		if keys = append(keys, rest...); len(keys) > l.limit {
			keys, next := l.cut(keys)
			if next.Rank == manyExact { // and all of those are told
				next = &omni.RankedKey{Rank: manyRest, Key: beforeAll}
			}
			return keys, next, nil
		}
		if scanned == nil {
			return keys, nil, nil
		}
		if after = scanned; time.Now().After(l.until) {
			return keys, after, nil
		}
	}
}

// beforeAll is the place before the newest.
var beforeAll = omni.Key{At: time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)}

func (l personSearch) exactQuery(after *omni.RankedKey) (sql string, args []any) {
	var w where
	w.and("p.tenant_id = ?", l.tenant)
	w.and("left(person_fold(p.display_name), 64) = left(?, 64) AND person_fold(p.display_name) = ?", l.query.whole)
	w.conds = append(w.conds, "true"+l.visible(&w)+l.ofInstance(&w))
	sql = "SELECT p.created_at, p.id FROM persons p" + w.page("p.", omni.Page{Limit: l.limit + 1, After: placeOf(after)})
	return sql, w.args
}

func placeOf(k *omni.RankedKey) *omni.Key {
	if k == nil {
		return nil
	}
	return &k.Key
}

// exact reads those whose name is what is searched for.
func (l personSearch) exact(ctx context.Context, after *omni.RankedKey) ([]omni.RankedKey, error) {
	sql, args := l.exactQuery(after)
	rows, err := l.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (omni.RankedKey, error) {
		k := omni.RankedKey{Rank: manyExact}
		return k, row.Scan(&k.At, &k.ID)
	})
}

// scanQuery looks through the next persons.
func (l personSearch) scanQuery(after *omni.RankedKey, chunk int) (sql string, args []any) {
	var w where
	w.and("p.tenant_id = ?", l.tenant)
	next := "SELECT p.* FROM persons p" + w.page("p.", omni.Page{Limit: chunk, After: placeOf(after)})
	// An aggregate, not EXISTS: that would be answered by reading all that fits.
	sql = `SELECT p.created_at, p.id, person_fold(p.display_name) <> ` + w.arg(l.query.whole) + ` AND (` + l.query.fits(&w, "p.search") + l.visible(&w) +
		` OR coalesce((SELECT bool_or(` + l.query.fits(&w, "i.search") + `) FROM identities i WHERE i.person_id = p.id` + l.within(&w) + `), false))` + l.ofInstance(&w) +
		` FROM (` + next + `) p ORDER BY p.created_at DESC, p.id DESC`
	return sql, w.args
}

// scan looks through the next persons for those that fit. scanned is the last
// one looked at, nil at the end.
func (l personSearch) scan(ctx context.Context, after *omni.RankedKey, chunk int) (found []omni.RankedKey, scanned *omni.RankedKey, err error) {
	sql, args := l.scanQuery(after, chunk)
	rows, err := l.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, nil, err
	}
	n := 0
	k := omni.RankedKey{Rank: manyRest}
	var fits bool
	_, err = pgx.ForEachRow(rows, []any{&k.At, &k.ID, &fits}, func() error {
		if n++; fits {
			found = append(found, k)
		}
		return nil
	})
	if err != nil || n < chunk {
		return found, nil, err
	}
	return found, &k, nil
}

// visible restricts persons to those of whom the caller may see an account.
func (l personSearch) visible(w *where) string {
	if l.filter.Within == nil {
		return ""
	}
	return " AND EXISTS (SELECT FROM identities v WHERE v.person_id = p.id AND v.instance_id = ANY (" + w.arg(l.filter.Within) + "::uuid[]))"
}

// within restricts accounts to those that the caller may see: what others are
// called is not found either.
func (l personSearch) within(w *where) string {
	if l.filter.Within == nil {
		return ""
	}
	return " AND i.instance_id = ANY (" + w.arg(l.filter.Within) + "::uuid[])"
}

// ofInstance restricts persons to those with an account on the instance asked for.
func (l personSearch) ofInstance(w *where) (conds string) {
	if l.filter.InstanceID != uuid.Nil {
		conds = " AND EXISTS (SELECT FROM identities o WHERE o.person_id = p.id AND o.instance_id = " + w.arg(l.filter.InstanceID) + ")"
	}
	if l.filter.PersonID != uuid.Nil {
		conds += " AND p.id = " + w.arg(l.filter.PersonID)
	}
	return conds
}

func (s *Store) personsInOrder(ctx context.Context, tenant string, keys []omni.RankedKey) ([]omni.Person, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	rows, err := s.pool.Query(ctx, "SELECT "+personColumns+" FROM persons p WHERE p.id = ANY ($1) AND p.tenant_id = $2", ids, tenant)
	if err != nil {
		return nil, wrap(err, "reading persons")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.Person])
	if err != nil {
		return nil, wrap(err, "reading persons")
	}
	byID := make(map[uuid.UUID]omni.Person, len(found))
	for _, row := range found {
		byID[row.ID] = personView(row)
	}
	out := make([]omni.Person, 0, len(found))
	for _, id := range ids {
		if p, ok := byID[id]; ok { // else merged into another one since
			out = append(out, p)
		}
	}
	return out, nil
}

// searchQuery is what a person typed, as it is searched.
type searchQuery struct {
	whole  string   // folded, one blank between words
	words  []string // patterns: each must fit
	digits string   // of what may be a phone number; "" where it is none
}

const maxSearchWords = 8

func (s *Store) searchQuery(ctx context.Context, typed string) (searchQuery, error) {
	var folded string
	if err := s.pool.QueryRow(ctx, "SELECT person_fold($1)", typed).Scan(&folded); err != nil {
		return searchQuery{}, wrap(err, "reading what is searched for")
	}
	q := searchQuery{digits: phoneDigits(typed)}
	fields := strings.Fields(folded)
	if len(fields) > 0 {
		fields[0] = strings.TrimPrefix(fields[0], "@") // as handles are written
	}
	q.whole = strings.Join(fields, " ")
	for _, word := range fields {
		if len(q.words) < maxSearchWords && strings.ContainsFunc(word, alphanumeric) {
			q.words = append(q.words, wordPattern(word))
		}
	}
	return q, nil
}

func alphanumeric(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// wordPattern fits a word anywhere. What is shorter than a trigram is in too
// many places: it fits where a word begins.
func wordPattern(word string) string {
	if len(word) < 3 {
		return "% " + escapeLike(word) + "%"
	}
	return "%" + escapeLike(word) + "%"
}

// phoneDigits is what identifies a phone number, however it was written: no
// prefix for dialling, no formatting. "" where it is no number.
func phoneDigits(typed string) string {
	typed = strings.ReplaceAll(strings.TrimSpace(typed), "(0)", "")
	var digits strings.Builder
	for _, r := range typed {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case !strings.ContainsRune("+()-./ \u00a0", r):
			return ""
		}
	}
	if n := strings.TrimLeft(digits.String(), "0"); len(n) >= 3 {
		return n
	}
	return ""
}

func (q searchQuery) some() bool { return len(q.words) > 0 || q.digits != "" }

// fits is the condition that a column of terms fits.
func (q searchQuery) fits(w *where, column string) string {
	var conds []string
	for _, word := range q.words {
		conds = append(conds, column+" LIKE "+w.arg(word))
	}
	cond := strings.Join(conds, " AND ")
	if q.digits == "" {
		return "(" + cond + ")"
	}
	byPhone := column + " LIKE " + w.arg("%"+q.digits+"%")
	if cond == "" {
		return "(" + byPhone + ")"
	}
	return "(" + cond + " OR " + byPhone + ")"
}

// rank is how well a column of terms that fits does.
func (q searchQuery) rank(w *where, column string) string {
	like := func(before, after string) string {
		cond := column + " LIKE " + w.arg(before+escapeLike(q.whole)+after)
		if q.digits != "" {
			cond += " OR " + column + " LIKE " + w.arg(before+q.digits+after)
		}
		return cond
	}
	return fmt.Sprintf("CASE WHEN %s THEN %d WHEN %s THEN %d WHEN %s THEN %d ELSE %d END",
		like("%\n ", " \n%"), fitField, like("%\n ", "%"), fitStart, like("% ", "%"), fitWord, fitPart)
}
