package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/event"
)

// tidy runs after a sweep has taken back what it could: it looks for what was left behind, and
// compares the ledger with the catalogue.
func (s *sweep) tidy(ctx context.Context) {
	for i := range s.ends {
		if ctx.Err() == nil {
			s.lookBehind(ctx, &s.ends[i])
			s.reportLeft(s.ends[i])
		}
	}
	s.compare(ctx)
	looked := s.lookAgain(ctx)
	s.looked(ctx, looked)
}

// compare takes back memberships that no run accounts for, and reports all other differences
// between the ledger and the catalogue.
func (s *sweep) compare(ctx context.Context) {
	drift, err := s.drift(ctx)
	if err != nil {
		s.told = append(s.told, fmt.Sprintf(
			"The ledger could not be compared with the catalogue: %s.", s.explain(ctx, "", err)))
		return
	}
	for _, d := range drift {
		if d.Kind != event.DriftLeftover {
			s.log.WarnContext(ctx, "the catalogue differs from the ledger", "kind", d.Kind,
				"run", d.Run, "user", d.User, "role", d.Role, "message", d.Message)
			s.swept.Drift = append(s.swept.Drift, d)
			if d.Kind == event.DriftExposed || d.Kind == event.DriftTarget {
				s.told = append(s.told, d.Message)
			}
			continue
		}
		switch run, err := s.repair(ctx, d.User, d.Role); {
		case err != nil:
			err = s.explain(ctx, d.Role, err)
			s.log.ErrorContext(ctx, "a leftover could not be taken back", "user", d.User,
				"role", d.Role, "error", err)
			s.swept.Failed = append(s.swept.Failed,
				event.Failed{User: d.User, Role: d.Role, Message: err.Error()})
			s.late = append(s.late, fmt.Sprintf("%q has the role %q from this function, no run "+
				"accounts for it, and it could not be taken back: %s.", d.User, d.Role, err))
		case run != "":
			s.swept.Repaired = append(s.swept.Repaired,
				event.Revoked{Run: run, User: d.User, Role: d.Role})
		}
	}
}

// repair takes back a leftover, unless a new run accounts for it by now. It returns the name of
// the run under which the ledger records this, or an empty string if there was nothing to do.
func (l *Ledger) repair(ctx context.Context, user, role string) (run string, err error) {
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		run, err = l.takeBack(ctx, conn, user, role)
		return err
	})
	if err == nil && run != "" {
		l.log.WarnContext(ctx, "took back a membership that no run accounts for",
			"run", run, "user", user, "role", role)
	}
	return run, err
}

// isLeftover asks whether a membership is a leftover. A membership that a copy of this database has
// handed out looks the same, so it also asks for another database that the broker has rights in:
// then the membership is not ours to judge. Rights to other objects do not count, since anybody
// can grant the broker rights to their own, and neither does a database whose owner could not
// have set up a broker there.
const isLeftover = `
	SELECT EXISTS (SELECT FROM pg_auth_members m
		JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
		JOIN pg_roles us ON us.oid = m.grantor AND us.rolname = current_user
		WHERE u.rolname = $1::name AND r.rolname = $2::name
			AND NOT EXISTS (SELECT FROM sym.grants o WHERE ` + accounts + `)),
		(SELECT min(d.datname)::text FROM pg_database d, aclexplode(d.datacl) a
			JOIN pg_roles us ON us.oid = a.grantee AND us.rolname = current_user
			WHERE d.datname <> current_database() AND EXISTS (SELECT FROM pg_roles w
				WHERE w.oid = d.datdba AND (w.rolsuper OR w.rolcreaterole
						AND current_setting('server_version_num')::integer < 160000
					OR pg_has_role(w.oid, us.oid, 'MEMBER WITH ADMIN OPTION')))),
		current_setting('server_version_num')::integer / 10000`

func (l *Ledger) takeBack(
	ctx context.Context, conn *pgx.Conn, user, role string,
) (string, error) {
	leftover, elsewhere, version := false, (*string)(nil), 0
	batch := &pgx.Batch{}
	beginTaking(ctx, batch, maxLockWait/5)
	batch.Queue(lockUser, user)
	batch.Queue(isLeftover, user, role).QueryRow(func(row pgx.Row) error {
		return row.Scan(&leftover, &elsewhere, &version)
	})
	if err := run(ctx, conn, batch); err != nil {
		return "", err
	}
	if !leftover {
		return "", rollback(ctx, conn, nil)
	}
	if elsewhere != nil {
		return "", rollback(ctx, conn, fmt.Errorf("the broker hands out roles in the database %q "+
			"as well, which may have given it: every database needs a broker of its own", *elsewhere))
	}

	id := "sweep:" + uuid.NewString()
	statement := "REVOKE " + name(role) + " FROM " + name(user)
	if version >= 16 {
		statement += " GRANTED BY CURRENT_USER"
	}
	batch = &pgx.Batch{}
	batch.Queue(statement)
	batch.Queue(`
		INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid, reason, revoked_at)
		SELECT $1, u.rolname, u.oid, r.rolname, r.oid, 'No run accounted for it.',
			clock_timestamp()
		FROM pg_roles u, pg_roles r WHERE u.rolname = $2::name AND r.rolname = $3::name`,
		id, user, role)
	batch.Queue("COMMIT")
	if err := run(ctx, conn, batch); err != nil {
		return "", err
	}
	// Its sessions end like those of any finished run.
	_, err := l.deescalate(ctx, conn, id, &holding{}, patience{maxLockWait / 5, time.Second})
	return id, err
}
