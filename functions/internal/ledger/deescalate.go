package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/event"
)

// Deescalate ends a run: it takes back the membership that the run was granted, unless
// another run still has it, and ends the user's sessions where the user does not hold the
// role by another way. All it needs to know is in the ledger, so that it works also for a
// role that is no longer allowed and for a user who was dropped or renamed. A run that the
// ledger does not know is noted as ended, and an escalate that comes later is refused.
func (l *Ledger) Deescalate(ctx context.Context, run string) (event.Deescalated, error) {
	answer := event.Deescalated{Run: run}
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		answer, err = l.deescalate(ctx, conn, run)
		return err
	})
	if err != nil {
		// What could be revoked may be revoked all the same; the repetition will tell.
		return event.Deescalated{}, err
	}
	l.log.Log(ctx, level(answer.Changed || answer.SessionsEnded > 0), "revoked", "run", run,
		"user", answer.User, "role", answer.Role, "changed", answer.Changed,
		"sessions_ended", answer.SessionsEnded,
		"still_member_through", answer.StillMemberThrough)
	return answer, nil
}

// holding is what the ledger and the catalogue say about a run that is to end.
type holding struct {
	known, revoked bool
	// The names in the ledger.
	user, role string
	// The names of today, empty where dropped.
	userNow, roleNow string
	// others tells whether another run holds the same membership.
	others bool
	// grantors are those as whom we granted the membership that there is.
	grantors []string
	version  int
}

const deescalateHolding = `
	SELECT g.run IS NOT NULL, g.revoked_at IS NOT NULL,
		coalesce(g.username::text, ''), coalesce(g.rolename::text, ''),
		coalesce(u.rolname::text, ''), coalesce(r.rolname::text, ''),
		EXISTS (SELECT FROM sym.grants o
			WHERE o.user_oid = g.user_oid AND o.role_oid = g.role_oid AND o.run <> g.run
				AND o.revoked_at IS NULL AND o.expires_at > clock_timestamp()),
		ARRAY(SELECT pg_get_userbyid(m.grantor)::text FROM pg_auth_members m
			WHERE m.roleid = r.oid AND m.member = u.oid AND m.grantor IN (
				g.grantor, (SELECT oid FROM pg_roles WHERE rolname = current_user))),
		current_setting('server_version_num')::integer / 10000
	FROM (SELECT) AS one
	LEFT JOIN sym.grants g ON g.run = $1
	LEFT JOIN pg_roles u ON u.oid = sym.resolve(g.username, g.user_oid)
	LEFT JOIN pg_roles r ON r.oid = sym.resolve(g.rolename, g.role_oid)`

func (l *Ledger) deescalate(
	ctx context.Context, conn *pgx.Conn, id string,
) (event.Deescalated, error) {
	// The first round trip takes the locks and looks.
	var now holding
	batch := &pgx.Batch{}
	begin(ctx, batch)
	batch.Queue(lockRun, id)
	batch.Queue(lockUserOfRun, id)
	batch.Queue(deescalateHolding, id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now.known, &now.revoked, &now.user, &now.role, &now.userNow,
			&now.roleNow, &now.others, &now.grantors, &now.version)
	})
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}

	// The second changes and commits, and then ends the sessions: no sooner, since a new
	// session could still take the role until the COMMIT.
	answer := event.Deescalated{
		Run: id, User: now.user, Role: now.role, StillMemberThrough: []string{},
	}
	batch = &pgx.Batch{}
	switch {
	case !now.known:
		batch.Queue(`INSERT INTO sym.grants (run, revoked_at, sessions_ended_at)
			VALUES ($1, clock_timestamp(), clock_timestamp())`, id)
	case !now.revoked:
		for _, grantor := range now.grantors {
			if now.others {
				break
			}
			revoke := "REVOKE " + name(now.roleNow) + " FROM " + name(now.userNow)
			if now.version >= 16 {
				revoke += " GRANTED BY " + name(grantor)
			}
			batch.Queue(revoke)
		}
		batch.Queue(`UPDATE sym.grants SET revoked_at = clock_timestamp() WHERE run = $1`, id)
	}
	batch.Queue("COMMIT")
	if now.known {
		beginSessions(ctx, batch)
		l.queueSessions(batch, id, &answer.SessionsEnded)
		batch.Queue(stillThrough, now.userNow, now.roleNow).QueryRow(func(row pgx.Row) error {
			return row.Scan(&answer.StillMemberThrough)
		})
		batch.Queue("COMMIT")
	}
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}
	answer.Changed = !now.revoked
	return answer, nil
}

// queueSessions queues the end of the sessions of a run that was ended, or the note that they
// are left alone.
func (l *Ledger) queueSessions(batch *pgx.Batch, run string, ended *int) {
	if l.options.KeepSessions {
		batch.Queue(`UPDATE sym.grants SET sessions_ended_at = clock_timestamp()
			WHERE run = $1 AND revoked_at IS NOT NULL AND sessions_ended_at IS NULL`, run)
		return
	}
	batch.Queue(`SELECT sym.end_sessions($1)`, run).QueryRow(func(row pgx.Row) error {
		return row.Scan(ended)
	})
}

// stillThrough lists by what a user still holds a role: the role itself for a membership of
// the user's own, else the members of the role that the user is a member of.
const stillThrough = `
	SELECT ARRAY(
		SELECT DISTINCT CASE WHEN m.member = u.oid THEN r.rolname ELSE via.rolname END::text
		FROM pg_roles u, pg_roles r
		JOIN pg_auth_members m ON m.roleid = r.oid
		JOIN pg_roles via ON via.oid = m.member
		WHERE u.rolname = $1::name AND r.rolname = $2::name
			AND sym.holds(u.oid, r.oid) AND pg_has_role(u.oid, m.member, 'MEMBER')
		ORDER BY 1)`
