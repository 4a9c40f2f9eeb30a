package ledger

import (
	"context"
	"time"

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
		SELECT g.run, g.username, g.rolename, g.granted_at, g.expires_at, g.standing, g.grantor,
			g.origin = h.origin AS here,
			u.oid AS user_oid, u.rolname AS user_now, u.rolinherit,
			r.oid AS role_oid, r.rolname AS role_now
		FROM (SELECT sym.origin()) AS h (origin), sym.grants g
		LEFT JOIN pg_roles u ON u.oid = sym.resolve(g.username, g.user_oid, g.origin)
		LEFT JOIN pg_roles r ON r.oid = sym.resolve(g.rolename, g.role_oid, g.origin)
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
			WHEN NOT coalesce(a.here, false) THEN format('The run comes from another server, '
				'where %I had the role %I; in this one it was not granted.', a.username, a.rolename)
			ELSE format('%I does not have the role %I, which a run has: somebody took it, or this '
				'function did while it could not read the ledger.', a.user_now, a.role_now) END
		FROM active a
		WHERE NOT EXISTS (SELECT FROM member m
			WHERE m.member = a.user_oid AND m.roleid = a.role_oid AND (a.grantor IS NULL
				OR m.grantor = a.grantor OR NOT coalesce(a.here, false)
				OR current_setting('server_version_num')::int < 160000))
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('%I is now called %I.', a.username, a.user_now)
		FROM active a WHERE a.username <> a.user_now
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('%I is now called %I.', a.rolename, a.role_now)
		FROM active a WHERE a.rolename <> a.role_now
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('The run of %I has an expiry that this function cannot have written (%s). It '
				'ends now.', a.username, a.expires_at)
		FROM active a WHERE a.expires_at > '9999-12-31 00:00+00'
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
		UNION ALL
		SELECT 'changed', a.run, a.username::text, a.rolename::text,
			format('%I has become a member of %I, and with it has the role %I.', p.rolname,
				a.user_now, a.role_now)
		FROM active a JOIN member m ON m.roleid = a.user_oid JOIN pg_roles p ON p.oid = m.member
		WHERE NOT p.rolsuper AND (m.set_option OR m.inherit_option IS NOT FALSE)
			AND p.oid NOT IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym')
	)
	SELECT kind, run, username, rolename, message FROM drift ORDER BY 1, 3, 4, 2, 5`

// findOpen lists rights and settings that make the ledger or the targets less safe than setup.sql
// left them.
const findOpen = `
	-- The roles are found first: a planner that expects few memberships would otherwise examine
	-- every role that anybody is a member of.
	WITH targets AS MATERIALIZED (
		SELECT r.oid, r.rolname
		FROM pg_auth_members m JOIN pg_roles us ON us.oid = m.member AND us.rolname = current_user
		JOIN pg_roles r ON r.oid = m.roleid WHERE m.admin_option
	)
	SELECT 'exposed', '', '', '', sym.readable(what) || ' Run setup.sql again.' FROM sym.exposed()
	UNION ALL
	SELECT 'target', '', '', sym.readable(r.rolname::text), sym.readable(format('The role "%s" is not handed out any more: it '
		'is, or is a member of, "%s", which %s.', r.rolname, e.through, e.what))
	FROM targets r, sym.examine(r.oid, false) e
	WHERE (e.severity = 'never' OR e.severity = 'lasting'
		AND NOT EXISTS (SELECT FROM sym.allowed WHERE rolename = r.rolname))
	ORDER BY 1, 4, 5`

// drift finds every difference.
func (l *Ledger) drift(ctx context.Context) (drift []event.Drift, err error) {
	drift = []event.Drift{}
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		drift = []event.Drift{}
		batch := &pgx.Batch{}
		begin(ctx, batch, time.Second)
		for _, query := range []string{findDrift, findOpen} {
			batch.Queue(query).Query(func(rows pgx.Rows) error {
				found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[event.Drift])
				drift = append(drift, found...)
				return err
			})
		}
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return drift, err
}
