package ledger

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/event"
)

// findDrift compares the runs that have their role with the catalogue. It looks only at
// runs that are not revoked and at memberships that there are, so that it costs the same
// however long the ledger is.
//
// Up to version 15 a membership is one row, and a second GRANT without options by somebody
// else leaves nothing behind that could be noticed.
const findDrift = `
	WITH active AS (
		SELECT g.run, g.username, g.rolename, g.granted_at, g.standing, g.grantor,
			u.oid AS user_oid, u.rolname AS user_now, u.rolinherit,
			r.oid AS role_oid, r.rolname AS role_now
		FROM sym.grants g
		LEFT JOIN pg_roles u ON u.oid = sym.resolve(g.username, g.user_oid)
		LEFT JOIN pg_roles r ON r.oid = sym.resolve(g.rolename, g.role_oid)
		WHERE g.revoked_at IS NULL
	), member AS (
		-- The options are columns from version 16 on.
		SELECT m.roleid, m.member, m.grantor, m.admin_option,
			coalesce((to_jsonb(m)->>'set_option')::boolean, true) AS set_option,
			(to_jsonb(m)->>'inherit_option')::boolean AS inherit_option,
			m.grantor = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS ours
		FROM pg_auth_members m
	), drift (kind, run, username, rolename, message) AS (
		SELECT 'leftover', '', u.rolname::text, r.rolname::text,
			format('%I has the role %I from this function, and no run accounts for it.',
				u.rolname, r.rolname)
		FROM member m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
		WHERE m.ours AND NOT EXISTS (SELECT FROM active a
			WHERE a.user_oid = m.member AND a.role_oid = m.roleid)
		UNION ALL
		SELECT 'missing', a.run, a.username::text, a.rolename::text, CASE
			WHEN a.user_oid IS NULL THEN format('The user %I was dropped.', a.username)
			WHEN a.role_oid IS NULL THEN format('The role %I was dropped.', a.rolename)
			ELSE format('Somebody took the role %I from %I while a run has it.',
				a.role_now, a.user_now) END
		FROM active a
		WHERE NOT EXISTS (SELECT FROM member m
			WHERE m.member = a.user_oid AND m.roleid = a.role_oid AND (a.grantor IS NULL
				OR m.grantor = a.grantor OR current_setting('server_version_num')::int < 160000))
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('%I is now called %I.', a.username, a.user_now)
		FROM active a WHERE a.username <> a.user_now
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('%I is now called %I.', a.rolename, a.role_now)
		FROM active a WHERE a.rolename <> a.role_now
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text, CASE
			WHEN m.grantor = a.grantor THEN format(
				'Somebody changed the options with which %I has the role %I.',
				a.user_now, a.role_now)
			ELSE format('%I has granted %I the role %I as well, which stays when the run ends.',
				pg_get_userbyid(m.grantor), a.user_now, a.role_now) END
		FROM active a JOIN member m ON m.member = a.user_oid AND m.roleid = a.role_oid
		WHERE CASE
			WHEN m.grantor = a.grantor THEN m.admin_option OR NOT m.set_option
				OR m.inherit_option <> a.rolinherit
			ELSE NOT a.standing AND NOT m.ours AND NOT EXISTS (SELECT FROM active o
				WHERE o.user_oid = m.member AND o.role_oid = m.roleid AND o.grantor = m.grantor)
			END
	)
	SELECT kind, run, username, rolename, message FROM drift ORDER BY 1, 3, 4, 2, 5`

// queueDrift queues the search.
func queueDrift(batch *pgx.Batch, found *[]event.Drift) {
	batch.Queue(findDrift).Query(func(rows pgx.Rows) (err error) {
		*found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[event.Drift])
		return err
	})
}

// repair takes back a leftover, unless a run has come to account for it since. The ledger
// notes it under a name of its own, which it returns, empty where there was nothing to do.
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

func (l *Ledger) takeBack(
	ctx context.Context, conn *pgx.Conn, user, role string,
) (string, error) {
	leftover, version := false, 0
	batch := &pgx.Batch{}
	begin(ctx, batch)
	batch.Queue(lockUser, user)
	batch.Queue(`
		SELECT EXISTS (SELECT FROM pg_auth_members m
			JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
			JOIN pg_roles us ON us.oid = m.grantor AND us.rolname = current_user
			WHERE u.rolname = $1::name AND r.rolname = $2::name AND NOT EXISTS (
				SELECT FROM sym.grants g
				WHERE g.user_oid = u.oid AND g.role_oid = r.oid AND g.revoked_at IS NULL)),
			current_setting('server_version_num')::integer / 10000`, user, role,
	).QueryRow(func(row pgx.Row) error { return row.Scan(&leftover, &version) })
	if err := run(ctx, conn, batch); err != nil {
		return "", err
	}
	if !leftover {
		_, err := conn.Exec(ctx, "ROLLBACK")
		return "", err
	}

	id, ended := "sweep:"+uuid.NewString(), 0
	revoke := "REVOKE " + name(role) + " FROM " + name(user)
	if version >= 16 {
		revoke += " GRANTED BY CURRENT_USER"
	}
	batch = &pgx.Batch{}
	batch.Queue(revoke)
	batch.Queue(`
		INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid, reason, revoked_at)
		SELECT $1, u.rolname, u.oid, r.rolname, r.oid, 'No run accounted for it.',
			clock_timestamp()
		FROM pg_roles u, pg_roles r WHERE u.rolname = $2::name AND r.rolname = $3::name`,
		id, user, role)
	batch.Queue("COMMIT")
	beginSessions(ctx, batch)
	l.queueSessions(batch, id, &ended)
	batch.Queue("COMMIT")
	return id, run(ctx, conn, batch)
}
