package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// End is what a deescalate is to end.
type End struct {
	Run string
	// User and Role are whom and what the caller believes the run to be about; they may be
	// empty. The ledger says it better, unless it cannot be read or was tampered with.
	User, Role string
}

// Deescalate ends a run: it takes back the membership that the run was granted, unless
// another run still has it, and ends the user's sessions where the user does not hold the
// role by another way. All it needs to know is in the ledger, so that it works also for a
// role that is no longer allowed and for a user who was dropped or renamed. A run that the
// ledger does not know is noted as ended, and an escalate that comes later is refused.
//
// Where the ledger cannot be read or written, the membership is taken back all the same, and
// the error says so.
func (l *Ledger) Deescalate(ctx context.Context, end End) (event.Deescalated, error) {
	answer, err := l.end(ctx, end, patiently)
	if err != nil {
		return event.Deescalated{}, err
	}
	return answer, nil
}

// patience is for how long an end waits: for locks that others hold, and for sessions to go.
type patience struct{ locks, sessions time.Duration }

var (
	patiently = patience{maxLockWait, 3 * time.Second}
	hastily   = patience{briefly, 100 * time.Millisecond}
	notAtAll  = patience{time.Millisecond, time.Millisecond}
)

func (l *Ledger) end(ctx context.Context, end End, wait patience) (event.Deescalated, error) {
	var answer event.Deescalated
	var now holding
	attempt := func() error {
		return l.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
			now = holding{}
			answer, err = l.deescalate(ctx, conn, end.Run, &now, wait)
			return err
		})
	}
	err := attempt()
	if untranslatable(err) {
		end.Run = escape(end.Run)
		err = attempt()
	}
	if err != nil {
		// What could be revoked may be revoked all the same; the repetition will tell.
		return event.Deescalated{}, l.takeAnyway(ctx, end, wait, err)
	}
	if now.userNow != end.User || now.roleNow != end.Role {
		if err := l.disbelieve(ctx, end, &answer); err != nil {
			return event.Deescalated{}, err
		}
	}
	l.log.Log(ctx, level(answer.Changed || answer.SessionsEnded > 0), "revoked", "run", end.Run,
		"user", answer.User, "role", answer.Role, "changed", answer.Changed,
		"sessions_ended", answer.SessionsEnded,
		"still_member_through", answer.StillMemberThrough)
	return answer, nil
}

// holding is what the ledger and the catalogue say about a run that is to end.
type holding struct {
	known, revoked, sessionsEnded bool
	// The names in the ledger.
	user, role string
	// The names of today, empty where dropped, and the numbers, which are there also where
	// they were dropped.
	userNow, roleNow string
	userOID, roleOID *uint32
	// others tells whether another run holds the same membership.
	others bool
	// here tells whether the row was written in this server and database.
	here bool
	// grantors are those as whom we granted the membership that there is.
	grantors []string
	version  int
}

const deescalateHolding = `
	SELECT g.run IS NOT NULL, g.revoked_at IS NOT NULL, g.sessions_ended_at IS NOT NULL,
		coalesce(g.username::text, ''), coalesce(g.rolename::text, ''),
		coalesce(u.rolname::text, ''), coalesce(r.rolname::text, ''),
		coalesce(u.oid, CASE WHEN g.origin = h.origin THEN g.user_oid END)::bigint,
		coalesce(r.oid, CASE WHEN g.origin = h.origin THEN g.role_oid END)::bigint,
		EXISTS (SELECT FROM sym.grants o
			WHERE o.run <> g.run AND o.expires_at > clock_timestamp() AND ` + accounts + `),
		coalesce(g.origin = h.origin, false),
		ARRAY(SELECT pg_get_userbyid(m.grantor)::text FROM pg_auth_members m
			WHERE m.roleid = r.oid AND m.member = u.oid AND m.grantor IN (
				CASE WHEN g.origin = h.origin THEN g.grantor END,
				(SELECT oid FROM pg_roles WHERE rolname = current_user))
			ORDER BY m.grantor = g.grantor),
		current_setting('server_version_num')::integer / 10000
	FROM (SELECT sym.origin()) AS h (origin)
	LEFT JOIN sym.grants g ON g.run = $1
	LEFT JOIN pg_roles u ON CASE WHEN g.origin = h.origin THEN u.oid = g.user_oid
		ELSE u.rolname = g.username END
	LEFT JOIN pg_roles r ON CASE WHEN g.origin = h.origin THEN r.oid = g.role_oid
		ELSE r.rolname = g.rolename END`

func (l *Ledger) deescalate(
	ctx context.Context, conn *pgx.Conn, id string, now *holding, wait patience,
) (event.Deescalated, error) {
	// The first round trip takes the lock and looks.
	batch := &pgx.Batch{}
	beginTaking(ctx, batch, wait.locks)
	batch.Queue(lockUserOfRun, id)
	batch.Queue(deescalateHolding, id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now.known, &now.revoked, &now.sessionsEnded, &now.user, &now.role,
			&now.userNow, &now.roleNow, &now.userOID, &now.roleOID, &now.others, &now.here,
			&now.grantors, &now.version)
	})
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}
	answer := event.Deescalated{
		Run: id, User: now.user, Role: now.role, StillMemberThrough: []string{},
	}
	if !now.known {
		return answer, noteEnded(ctx, conn, id, &answer)
	}

	// The second changes, looks at what came of it, and commits; and then ends the sessions:
	// no sooner, since a new session could still take the role until the COMMIT. What the
	// ledger says of the run being over is not believed: the catalogue has the membership.
	took := len(now.grantors) > 0 && !now.others
	still := 0
	batch = &pgx.Batch{}
	if took {
		revoke(batch, now.userNow, now.roleNow, now.grantors, now.version)
	}
	batch.Queue(`UPDATE sym.grants SET revoked_at = clock_timestamp()
		WHERE run = $1 AND revoked_at IS NULL`, id)
	batch.Queue(`SELECT count(*)::integer FROM pg_auth_members m
		JOIN pg_roles g ON g.oid = m.grantor AND g.rolname = ANY ($3)
		WHERE m.member = $1::bigint AND m.roleid = $2::bigint`,
		now.userOID, now.roleOID, now.grantors,
	).QueryRow(func(row pgx.Row) error { return row.Scan(&still) })
	batch.Queue("COMMIT")
	beginSessions(ctx, batch, wait.locks)
	var ended *int
	if !l.options.KeepSessions && (now.here && !now.sessionsEnded || took) {
		queueSessions(batch, now, wait.sessions, &ended)
	}
	if l.options.Readers == nil {
		batch.Queue(noteSessions, id)
	}
	batch.Queue(stillThrough, now.userOID, now.roleOID).QueryRow(func(row pgx.Row) error {
		return row.Scan(&answer.StillMemberThrough)
	})
	batch.Queue("COMMIT")
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}
	if took && still > 0 {
		return event.Deescalated{}, database.DatabaseRefused{Message: fmt.Sprintf("the role %q "+
			"was taken from %q, and the catalogue has the membership still", now.roleNow, now.userNow)}
	}
	answer.Changed = !now.revoked || took
	if ended != nil {
		answer.SessionsEnded = *ended
	}
	if l.options.Readers == nil {
		return answer, nil
	}
	return answer, l.endOnReaders(ctx, conn, now, wait, ended != nil, &answer)
}

// endOnReaders ends the sessions on the readers, if they were ended on the primary, and then
// notes that they are.
func (l *Ledger) endOnReaders(
	ctx context.Context, conn *pgx.Conn, now *holding, wait patience, needed bool,
	answer *event.Deescalated,
) error {
	if needed && now.userOID != nil && now.roleOID != nil {
		readers, err := l.options.Readers.End(ctx, conn, *now.userOID, *now.roleOID, wait.sessions)
		for _, reader := range readers {
			answer.SessionsEnded += reader.Sessions
		}
		if err != nil {
			return err
		}
	}
	batch := &pgx.Batch{}
	beginSessions(ctx, batch, wait.locks)
	batch.Queue(noteSessions, answer.Run)
	batch.Queue("COMMIT")
	return run(ctx, conn, batch)
}

const noteSessions = `UPDATE sym.grants SET sessions_ended_at = clock_timestamp()
	WHERE run = $1 AND revoked_at IS NOT NULL AND sessions_ended_at IS NULL`

// noteEnded writes that a run is over which the ledger does not know. An escalate that is at
// it at this moment has the row first, and the end is done again.
func noteEnded(
	ctx context.Context, conn *pgx.Conn, id string, answer *event.Deescalated,
) error {
	tag, err := conn.Exec(ctx, `INSERT INTO sym.grants (run, revoked_at, sessions_ended_at)
		VALUES ($1, clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING`, id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return overtaken{fmt.Errorf("the run %q began at this moment", id)}
	}
	answer.Changed = true
	_, err = conn.Exec(ctx, "COMMIT")
	return err
}

// revoke queues the REVOKEs of a membership, ours first. From version 16 on each is in the
// name of a grantor.
func revoke(batch *pgx.Batch, user, role string, grantors []string, version int) {
	for _, grantor := range grantors {
		statement := "REVOKE " + name(role) + " FROM " + name(user)
		if version >= 16 {
			statement += " GRANTED BY " + name(grantor)
		}
		batch.Queue(statement)
	}
}

// queueSessions queues the end of the sessions of a user from whom a role was taken. What it
// ended stays nil where the user still holds the role, and keeps the sessions.
func queueSessions(batch *pgx.Batch, now *holding, wait time.Duration, ended **int) {
	batch.Queue(`SELECT sym.end_sessions($1::bigint::oid, $2::bigint::oid,
		$3::bigint * interval '1 millisecond')`, now.userOID, now.roleOID,
		wait.Milliseconds()).QueryRow(func(row pgx.Row) error { return row.Scan(ended) })
}

// stillThrough lists by what a user still holds a role, and heldThrough is that of a pair of
// numbers: the role itself for a membership of the user's own, else the members of the role
// that the user is a member of.
const (
	stillThrough = `WITH pair AS (SELECT $1::bigint::oid AS u, $2::bigint::oid AS r)
		SELECT ARRAY(` + heldThrough + `) FROM pair`

	heldThrough = `
		SELECT DISTINCT CASE WHEN m.member = u.oid THEN r.rolname ELSE via.rolname END::text
		FROM pg_roles u, pg_roles r
		JOIN pg_auth_members m ON m.roleid = r.oid
		JOIN pg_roles via ON via.oid = m.member
		WHERE u.oid = pair.u AND r.oid = pair.r
			AND sym.holds(u.oid, r.oid) AND pg_has_role(u.oid, m.member, 'MEMBER')
		ORDER BY 1`
)
