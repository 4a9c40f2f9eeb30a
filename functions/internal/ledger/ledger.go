// Package ledger grants and revokes memberships in database roles, and keeps the ledger of
// them in the database itself: schema sym, which modules/postgres-lambda/setup.sql makes.
//
// A membership and its row in the ledger change in one transaction, under a lock on a row of
// the ledger that only the broker can take. Every exported method may be repeated at any
// time and in any order, by any number of processes, and changes nothing the second time. Its
// error is either an [*event.Refusal], after which nothing has changed and no repetition
// helps, or one of the types of package database, after which the call is to be repeated.
//
// The people whom the ledger governs can log in to its database. If the ledger and the catalogue
// disagree, the catalogue counts. If the ledger cannot be read or written, a role is taken back
// all the same.
package ledger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sym-postgres-quickstart/functions/internal/database"
)

// Ledger is the ledger of one database.
type Ledger struct {
	session *database.Session
	log     *slog.Logger
	options Options
}

// Options change what a ledger does.
type Options struct {
	// KeepSessions leaves the user's sessions alone when a role is taken back. One that did
	// SET ROLE, or has a cursor open, then keeps the role until its end.
	KeepSessions bool
	// Readers ends sessions on the database's readers, too; nil where it has none.
	Readers *Readers
	// MakeUsers makes users that do not exist yet, instead of refusing them.
	MakeUsers bool
	// OnEnd decides what happens at the end of a run to what its holder left behind.
	OnEnd OnEnd
}

// New makes a ledger that works over a session.
func New(session *database.Session, log *slog.Logger, options Options) *Ledger {
	return &Ledger{session: session, log: log, options: options}
}

// overtaken is the error of work that lost a race against another process. It is repeated, and
// then sees what the other has done.
type overtaken struct{ error }

// inOrder is an error after which the connection can be used again.
type inOrder struct{ error }

func (e inOrder) Unwrap() error { return e.error }

// do runs work with a connection, and keeps the connection usable after a refusal or an error of
// the server. Work that was overtaken runs again, a few times.
func (l *Ledger) do(ctx context.Context, work func(context.Context, *pgx.Conn) error) error {
	for try := 0; ; try++ {
		err := l.session.Do(ctx, func(err error) bool {
			_, ok := errors.AsType[inOrder](err)
			return ok
		}, func(ctx context.Context, conn *pgx.Conn) error {
			return settle(ctx, conn, work(ctx, conn))
		})
		if !isOvertaken(err) || try == 4 || ctx.Err() != nil {
			if kept, ok := errors.AsType[inOrder](err); ok {
				err = kept.error
			}
			if late, ok := errors.AsType[overtaken](err); ok {
				return database.DatabaseBusy{Message: late.Error()}
			}
			return database.Named(err)
		}
	}
}

// settle ends the transaction that an error has left open, so that the connection need not
// be given up.
func settle(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || conn.IsClosed() || ctx.Err() != nil {
		return err
	}
	if conn.PgConn().TxStatus() != 'I' {
		if _, rollback := conn.Exec(ctx, "ROLLBACK"); rollback != nil {
			return err
		}
	}
	return inOrder{err}
}

// isOvertaken reports whether an error only means that another process did the same at the same
// moment: it made the same row or user, or changed the same row of the catalogue.
func isOvertaken(err error) bool {
	if _, ok := errors.AsType[overtaken](err); ok {
		return true
	}
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (database.Meeting(server) ||
		slices.Contains([]string{"23505", "42710", "40P01", "40001"}, server.Code))
}

// level logs repetitions at debug level only.
func level(changed bool) slog.Level {
	if changed {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// run sends a batch and waits for all of its results.
func run(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	return conn.SendBatch(ctx, batch).Close()
}

// name quotes an identifier.
func name(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

// micros is an expression for a time as microseconds since 1970, a format that no setting
// changes; NULL for a time that we cannot have written, such as infinity.
func micros(column string) string {
	return "CASE WHEN " + column + " BETWEEN '1970-01-01 00:00+00' AND '9999-12-31 00:00+00' " +
		"THEN (extract(epoch FROM " + column + ") * 1000000)::bigint END"
}

// at converts a result of [micros] to a time; NULL is the zero time.
func at(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros).UTC()
}
