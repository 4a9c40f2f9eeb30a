package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// End names the run that a deescalate ends.
type End struct {
	Run string
	// User and Role are what the caller believes the run to be about; they may be empty. The
	// ledger takes precedence, unless it cannot be read or was tampered with.
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
	l.lookBehind(ctx, &answer)
	return answer, nil
}

// patience is how long an end waits for locks that others hold, and for sessions to end. With no
// time for sessions it only takes the role.
type patience struct{ locks, sessions time.Duration }

var (
	patiently = patience{maxLockWait, 3 * time.Second}
	revoking  = patience{briefly, 0}
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
		// The role may be revoked all the same; the repetition finds out.
		return event.Deescalated{}, l.takeAnyway(ctx, end, wait, err)
	}
	if now.UserNow != end.User || now.RoleNow != end.Role {
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

// holding is what the ledger and the catalogue say about a run that is to end, as sym.holding
// answers it.
type holding struct {
	Known         bool `json:"known"`
	Revoked       bool `json:"revoked"`
	SessionsEnded bool `json:"sessions_ended"`
	// The names in the ledger.
	User string `json:"user"`
	Role string `json:"role"`
	// The current names, empty if dropped, and the numbers, which remain even then.
	UserNow string  `json:"user_now"`
	RoleNow string  `json:"role_now"`
	UserOID *uint32 `json:"user_oid"`
	RoleOID *uint32 `json:"role_oid"`
	// Others tells whether another run holds the same membership.
	Others bool `json:"others"`
	// Here tells whether the row was written in this server and database.
	Here bool `json:"here"`
	// Grantors are the roles in whose name we granted the present membership, ourselves first.
	Grantors []string `json:"grantors"`
	Version  int      `json:"version"`
}

func (l *Ledger) deescalate(
	ctx context.Context, conn *pgx.Conn, id string, now *holding, wait patience,
) (event.Deescalated, error) {
	// The first round trip takes the lock and looks.
	batch := &pgx.Batch{}
	beginTaking(ctx, batch, wait.locks)
	batch.Queue("SELECT sym.holding($1)::text", id).QueryRow(func(row pgx.Row) error {
		return scanJSON(row, now)
	})
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}
	answer := event.Deescalated{
		Run: id, User: now.User, Role: now.Role, StillMemberThrough: []string{},
	}
	if !now.Known {
		return answer, noteEnded(ctx, conn, id, &answer)
	}

	// The second changes, checks the result, and commits; and then ends the sessions: no
	// sooner, since a new session could still take the role until the COMMIT. Even if the ledger
	// says that the run is over, the membership in the catalogue decides.
	took := len(now.Grantors) > 0 && !now.Others
	still := 0
	var finished finished
	batch = &pgx.Batch{}
	if took {
		revoke(batch, now)
	}
	batch.Queue("SELECT sym.note_revoked($1, $2::bigint, $3::bigint, $4::text[])",
		id, now.UserOID, now.RoleOID, now.Grantors,
	).QueryRow(func(row pgx.Row) error { return row.Scan(&still) })
	batch.Queue("COMMIT")
	if wait.sessions > 0 {
		beginSessions(ctx, batch, wait.locks)
		batch.Queue(`SELECT sym.finish($1, $2::bigint, $3::bigint, $4::boolean, $5::boolean,
			$6::bigint)::text`, id, now.UserOID, now.RoleOID,
			!l.options.KeepSessions && (now.Here && !now.SessionsEnded || took),
			l.options.Readers.listed(), wait.sessions.Milliseconds(),
		).QueryRow(func(row pgx.Row) error { return scanJSON(row, &finished) })
		batch.Queue("COMMIT")
	}
	if err := run(ctx, conn, batch); err != nil {
		return event.Deescalated{}, err
	}
	if took && still > 0 {
		return event.Deescalated{}, database.DatabaseRefused{Message: fmt.Sprintf("the role %q "+
			"was taken from %q, and the catalogue has the membership still", now.RoleNow, now.UserNow)}
	}
	answer.Changed = !now.Revoked || took
	answer.StillMemberThrough = finished.StillThrough
	if finished.Ended != nil {
		answer.SessionsEnded = *finished.Ended
	}
	if finished.Readers {
		err := l.endOnReaders(ctx, conn, now, wait, len(finished.Prepared) == 0, &answer)
		if err != nil {
			return answer, err
		}
	}
	if len(finished.Prepared) > 0 {
		return answer, database.DatabaseBusy{Message: fmt.Sprintf("since the role %q was granted to "+
			"%q, transactions have been prepared that may contain work with it, and can be "+
			"committed without it. A person has to end them: %s",
			now.RoleNow, now.UserNow, strings.Join(finished.Prepared, "; "))}
	}
	return answer, nil
}

// finished is the result of sym.finish: how many sessions were ended, nil if the user still holds
// the role and keeps them; whether there are readers, which may have sessions too; and the
// statements that end the user's prepared transactions.
type finished struct {
	Ended        *int     `json:"ended"`
	Readers      bool     `json:"readers"`
	Prepared     []string `json:"prepared"`
	StillThrough []string `json:"still_through"`
}

// endOnReaders ends the sessions on the readers. If that completes the end, it records it.
func (l *Ledger) endOnReaders(
	ctx context.Context, conn *pgx.Conn, now *holding, wait patience, complete bool,
	answer *event.Deescalated,
) error {
	if l.options.Readers != nil && now.UserOID != nil && now.RoleOID != nil {
		readers, err := l.options.Readers.End(ctx, conn, *now.UserOID, *now.RoleOID, wait.sessions)
		for _, reader := range readers {
			answer.SessionsEnded += reader.Sessions
		}
		if err != nil {
			return err
		}
	}
	if !complete {
		return nil
	}
	batch := &pgx.Batch{}
	beginSessions(ctx, batch, wait.locks)
	batch.Queue("SELECT sym.note_complete($1)", answer.Run)
	batch.Queue("COMMIT")
	return run(ctx, conn, batch)
}

// noteEnded records the end of a run that the ledger does not know. If an escalate of the same
// run inserts the row first, the end is repeated.
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

// revoke queues the REVOKEs of a membership. From version 16 on each names its grantor.
func revoke(batch *pgx.Batch, now *holding) {
	for _, grantor := range now.Grantors {
		statement := "REVOKE " + name(now.RoleNow) + " FROM " + name(now.UserNow)
		if now.Version >= 16 {
			statement += " GRANTED BY " + name(grantor)
		}
		batch.Queue(statement)
	}
}
