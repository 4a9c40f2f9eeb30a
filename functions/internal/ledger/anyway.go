package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// takeAnyway takes a membership back when the ledger could not be read or written, because it is
// locked or of another version. Access that outlives its time is worse than a ledger that
// lacks the end. It returns the error of the first try, extended by what this one achieved.
func (l *Ledger) takeAnyway(
	ctx context.Context, end End, wait patience, cause error,
) error {
	switch cause.(type) {
	case database.DatabaseBusy, database.DatabaseRefused:
	default:
		return cause
	}
	user, role := l.aboutWhom(ctx, end)
	if user == "" || role == "" || ctx.Err() != nil {
		return l.explain(ctx, "", cause)
	}
	took, err := l.takeBare(ctx, user, role, wait)
	if err != nil {
		return l.explain(ctx, role, cause)
	}
	if took {
		l.log.WarnContext(ctx, "took a role back without the ledger", "run", end.Run, "user", user,
			"role", role, "error", cause)
	}
	// Ending the sessions needs no ledger either.
	if err := l.endBare(ctx, user, role, wait); err != nil {
		l.log.WarnContext(ctx, "sessions may be left", "user", user, "role", role, "error", err)
	}
	return explained(l.explain(ctx, "", cause), fmt.Sprintf(tookBare+" of the role %q was taken "+
		"from %q, but the end is not complete: ", role, user), "")
}

// tookBare is the prefix of the error of an end that took the role and could not do the rest.
const tookBare = "what this function had granted"

// endBare ends the sessions of a user who no longer holds a role.
func (l *Ledger) endBare(ctx context.Context, user, role string, wait patience) error {
	if l.options.KeepSessions {
		return nil
	}
	return l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, wait.locks)
		batch.Queue(`SELECT sym.end_sessions(u.oid, r.oid, $3::bigint * interval '1 millisecond')
			FROM pg_roles u, pg_roles r WHERE u.rolname = $1::name AND r.rolname = $2::name`,
			user, role, wait.sessions.Milliseconds())
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
}

// aboutWhom returns the user and the role of a run: from the ledger if it can be read at once,
// otherwise from the caller. It reads only columns that the ledger's first version had.
func (l *Ledger) aboutWhom(ctx context.Context, end End) (user, role string) {
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(`SELECT coalesce(u.rolname::text, ''), coalesce(r.rolname::text, '')
			FROM sym.grants g LEFT JOIN pg_roles u ON u.oid = g.user_oid
			LEFT JOIN pg_roles r ON r.oid = g.role_oid
			WHERE g.run = $1 AND NOT EXISTS (SELECT FROM sym.grants o
				WHERE o.user_oid = g.user_oid AND o.role_oid = g.role_oid AND o.run <> g.run
					AND o.revoked_at IS NULL AND o.expires_at > clock_timestamp())`, end.Run,
		).QueryRow(func(row pgx.Row) error { return row.Scan(&user, &role) })
		batch.Queue("ROLLBACK")
		return run(ctx, conn, batch)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "" // Another run has it, or there is none.
	}
	if err != nil {
		return end.User, end.Role
	}
	return user, role
}

// takeBare takes back what we have granted, using only the catalogue. It reports whether there
// was anything to take; if it returns no error, nothing is left.
func (l *Ledger) takeBare(
	ctx context.Context, user, role string, wait patience,
) (took bool, err error) {
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		version := 0
		batch := &pgx.Batch{}
		beginTaking(ctx, batch, wait.locks)
		batch.Queue(`SELECT EXISTS (SELECT FROM pg_auth_members m
				JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
				JOIN pg_roles us ON us.oid = m.grantor AND us.rolname = current_user
				WHERE u.rolname = $1::name AND r.rolname = $2::name),
			current_setting('server_version_num')::integer / 10000`, user, role,
		).QueryRow(func(row pgx.Row) error { return row.Scan(&took, &version) })
		if err := run(ctx, conn, batch); err != nil || !took {
			return errors.Join(err, rollback(ctx, conn, nil))
		}
		batch = &pgx.Batch{}
		statement := "REVOKE " + name(role) + " FROM " + name(user)
		if version >= 16 {
			statement += " GRANTED BY CURRENT_USER"
		}
		batch.Queue(statement)
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return took, err
}

// disbelieve checks the membership that the caller named if the ledger has another one for this
// run, or has no such run. It takes back what we granted and no run accounts for, and reports
// through which roles the user still holds the role.
func (l *Ledger) disbelieve(ctx context.Context, end End, answer *event.Deescalated) error {
	if end.User == "" || end.Role == "" {
		return nil
	}
	id, err := l.repair(ctx, end.User, end.Role)
	if err != nil {
		return err
	}
	if id != "" {
		answer.User, answer.Role, answer.Changed = end.User, end.Role, true
	}
	return l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, maxLockWait)
		batch.Queue(`SELECT sym.still_through((SELECT oid FROM pg_roles WHERE rolname = $1::name),
			(SELECT oid FROM pg_roles WHERE rolname = $2::name))`, end.User, end.Role,
		).QueryRow(func(row pgx.Row) error { return row.Scan(&answer.StillMemberThrough) })
		batch.Queue("ROLLBACK")
		return run(ctx, conn, batch)
	})
}

// explained puts a text before and after an error's own, and keeps its type.
func explained(err error, before, after string) error {
	switch named := err.(type) {
	case database.DatabaseBusy:
		return database.DatabaseBusy{
			Message: before + named.Message + after, SQLState: named.SQLState}
	case database.DatabaseRefused:
		return database.DatabaseRefused{
			Message: before + named.Message + after, SQLState: named.SQLState}
	}
	return err
}
