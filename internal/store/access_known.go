package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// knownRule is a rule as it was in one version.
type knownRule struct {
	version string
	rule    *omni.AccessRule // shared: read only
}

// accessRules are the rules that access_candidates found. Each is named with
// the version that stands now, so what this process has read of them before is
// used only where it is what would be read again.
func (s *Store) accessRules(ctx context.Context, found string) ([]omni.AccessRule, error) {
	named := strings.Fields(found)
	rules := make([]omni.AccessRule, 0, len(named))
	var unknown []uuid.UUID
	for _, word := range named {
		name, version, _ := strings.Cut(word, "/")
		id, err := uuid.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("reading which access rules were found: %w", err)
		}
		if known, ok := s.rules.GetIfPresent(id); ok && known.version == version {
			rules = append(rules, *known.rule)
			continue
		}
		unknown = append(unknown, id)
	}
	if len(unknown) == 0 {
		return rules, nil
	}
	read, err := s.readAccessRules(ctx, unknown)
	return append(rules, read...), err
}

// readAccessRules reads rules as they are now: one that was deleted since it
// was found counts no more.
func (s *Store) readAccessRules(ctx context.Context, ids []uuid.UUID) ([]omni.AccessRule, error) {
	rows, err := s.pool.Query(ctx, `SELECT xmin::text AS version, `+accessRuleColumns+` FROM access_rules WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, wrap(err, "reading access rules")
	}
	type versioned struct {
		Version string
		dbsqlc.AccessRule
	}
	read, err := pgx.CollectRows(rows, pgx.RowToStructByName[versioned])
	if err != nil {
		return nil, wrap(err, "reading access rules")
	}
	rules := make([]omni.AccessRule, 0, len(read))
	for _, row := range read {
		r, err := accessRuleView(row.AccessRule)
		if err != nil {
			return nil, err
		}
		s.rules.Set(r.ID, knownRule{row.Version, r})
		rules = append(rules, *r)
	}
	return rules, nil
}
