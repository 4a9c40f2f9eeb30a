package ledger

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// Request is what an escalate asks for.
type Request struct {
	Run  string
	User string
	Role string
	// Requester is the e-mail address of the person, in lower case.
	Requester string
	Reason    string
	Duration  time.Duration
}

// Escalate grants the role to the user until the duration is over. Where the run has the
// role already it changes nothing and answers with the times of the first grant.
//
// It refuses a run that has ended, an unknown user or role, a role that is dangerous or whose
// holders could keep access, a role that setup.sql was not given, a user who administers the
// database or has members, and a user who belongs to another person.
func (l *Ledger) Escalate(ctx context.Context, request Request) (event.Escalated, error) {
	var answer event.Escalated
	err := l.storable(ctx, &request, func() error {
		return l.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
			answer, err = l.escalate(ctx, conn, request)
			return err
		})
	})
	if err != nil {
		return event.Escalated{}, installed(err)
	}
	l.log.Log(ctx, level(answer.Changed), "granted", "run", answer.Run, "user", answer.User,
		"role", answer.Role, "requester", request.Requester, "reason", request.Reason,
		"user_made", answer.UserMade,
		"expires_at", answer.ExpiresAt, "changed", answer.Changed, "standing", answer.Standing)
	return answer, nil
}

// Check refuses what Escalate would refuse, and changes nothing.
func (l *Ledger) Check(ctx context.Context, request Request) (event.Checked, error) {
	var now situation
	err := l.storable(ctx, &request, func() error {
		return l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			now = situation{}
			if err := now.ask(ctx, conn, request); err != nil {
				return err
			}
			now.makeUser = l.options.MakeUsers && !now.UserExists
			return rollback(ctx, conn, now.refuse(request))
		})
	})
	if err != nil {
		return event.Checked{}, installed(err)
	}
	return event.Checked{
		User: request.User, Role: request.Role, UserMissing: now.makeUser,
		NeedsSetRole: !now.Inherits, CouldLeave: now.couldLeave(),
	}, nil
}

// installed turns the error about a missing schema, table, column or function into a refusal.
func installed(err error) error {
	refused, ok := errors.AsType[database.DatabaseRefused](err)
	if !ok {
		return err
	}
	switch refused.SQLState {
	case "3F000", "42P01", "42703", "42883":
		return event.Refuse(event.NotInstalled, "The database is not prepared for granting "+
			"roles, or was prepared for an older version of this function: a database "+
			"administrator has to run setup.sql in it.")
	}
	return err
}

func (l *Ledger) escalate(
	ctx context.Context, conn *pgx.Conn, request Request,
) (event.Escalated, error) {
	// The first round trip takes the lock and looks.
	var now situation
	batch := &pgx.Batch{}
	begin(ctx, batch, maxLockWait)
	now.look(batch, request, true)
	if err := run(ctx, conn, batch); err != nil {
		return event.Escalated{}, err
	}

	now.makeUser = l.options.MakeUsers && !now.UserExists
	if refusal := now.refuse(request); refusal != nil {
		return event.Escalated{}, rollback(ctx, conn, refusal)
	}
	answer := event.Escalated{
		Run: request.Run, User: request.User, Role: request.Role, Standing: now.Foreign,
		NeedsSetRole: !now.Inherits, CouldLeave: now.couldLeave(),
	}
	if now.Known {
		answer.GrantedAt, answer.ExpiresAt = at(now.Granted), at(now.Expires)
		answer.Standing = now.Standing
		return answer, rollback(ctx, conn, nil)
	}

	// The second changes, and commits. Everything in the answer has been read by then: if a
	// read failed after the commit, the requester would have access and be told of a failure.
	answer.GrantedAt = at(&now.Now)
	answer.ExpiresAt = answer.GrantedAt.Add(request.Duration)
	answer.Changed, answer.UserMade = true, now.makeUser
	if err := run(ctx, conn, now.grant(request, answer)); err != nil {
		return event.Escalated{}, err
	}
	return answer, nil
}

// grant is the batch that changes.
func (s *situation) grant(request Request, answer event.Escalated) *pgx.Batch {
	batch := &pgx.Batch{}
	if s.makeUser {
		batch.Queue(`SELECT sym.create_user($1::name, $2)`, request.User, request.Requester)
	}
	// Up to version 15 a membership is one row, whoever grants it, so an existing one is left
	// alone. From 16 on every grantor has a row of their own, and ours is added beside it.
	grant := !s.Ours && (s.Version >= 16 || !s.Foreign && !s.FromRuns)
	if grant {
		batch.Queue("GRANT " + name(request.Role) + " TO " + name(request.User) +
			" GRANTED BY CURRENT_USER")
	}
	batch.Queue(`SELECT sym.note_granted($1, $2, $3, $4, $5, $6::bigint, $7::bigint,
		$8::boolean, $9::boolean)`,
		request.Run, request.User, request.Role, request.Requester, request.Reason,
		answer.GrantedAt.UnixMicro(), answer.ExpiresAt.UnixMicro(), s.Foreign, grant || s.Ours)
	batch.Queue("COMMIT")
	return batch
}

// storable runs work with a request whose text the database can hold. Text in PostgreSQL can
// hold any character but NUL, and in a database of another encoding than UTF-8 only the
// characters of that encoding: the others are then written as \u and their number.
func (l *Ledger) storable(ctx context.Context, request *Request, work func() error) error {
	request.Reason = shorten(strings.ReplaceAll(request.Reason, "\x00", "\uFFFD"))
	err := work()
	if !untranslatable(err) || ctx.Err() != nil {
		return err
	}
	request.Reason, request.Requester = escape(request.Reason), escape(request.Requester)
	if err = work(); untranslatable(err) {
		// The run comes last: its end has to find it, by its name alone.
		request.Run = escape(request.Run)
		err = work()
	}
	if untranslatable(err) {
		return event.Refuse(event.InvalidName, "The database cannot hold the name of the user %q "+
			"or of the role %q: its encoding lacks a character of it.", request.User, request.Role)
	}
	return err
}
