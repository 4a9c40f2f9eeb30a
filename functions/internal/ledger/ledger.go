// Package ledger grants and revokes memberships in database roles, and keeps the ledger of
// them in the database itself: schema sym, which modules/postgres-lambda/setup.sql makes.
//
// A membership and its row in the ledger change in one transaction, under an advisory lock
// on the database user. Every exported method may be repeated at any time and in any order,
// by any number of processes, and changes nothing the second time. Its error is either an
// [*event.Refusal], after which nothing has changed and no repetition helps, or one of the
// types of package database, after which the call is to be repeated.
package ledger

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// maxLockWait is how long a change waits for others, in a deadline that is longer.
const maxLockWait = 5 * time.Second

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
	// MakeUsers makes the users that the database does not know, instead of refusing them.
	MakeUsers bool
}

// New makes a ledger that works over a session.
func New(session *database.Session, log *slog.Logger, options Options) *Ledger {
	return &Ledger{session: session, log: log, options: options}
}

// do runs work with a connection, which a refusal leaves in order.
func (l *Ledger) do(ctx context.Context, work func(context.Context, *pgx.Conn) error) error {
	return l.session.Do(ctx, func(err error) bool {
		var refusal *event.Refusal
		return errors.As(err, &refusal)
	}, work)
}

// level has repetitions out of the log unless somebody looks for them.
func level(changed bool) slog.Level {
	if changed {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// begin queues the start of a transaction that keeps within the deadline of the context,
// and that the server ends by itself should this process stand still in the middle of it.
func begin(ctx context.Context, batch *pgx.Batch) {
	left := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), time.Millisecond)
	}
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	// Being set for the transaction alone, these pass through a pooler.
	batch.Queue(`SELECT set_config('search_path', 'pg_catalog, pg_temp', true),
		set_config('statement_timeout', $1, true),
		set_config('idle_in_transaction_session_timeout', $1, true),
		set_config('lock_timeout', $2, true)`,
		milliseconds(left), milliseconds(min(left/2, maxLockWait)))
}

// beginSessions queues the start of the transaction that ends sessions. All that it writes is
// that they were ended, which a crash of the server makes true by itself: its COMMIT need
// not wait for the disk.
func beginSessions(ctx context.Context, batch *pgx.Batch) {
	begin(ctx, batch)
	batch.Queue("SET LOCAL synchronous_commit = off")
}

// milliseconds is at least one, since zero means no limit to the server.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// run sends a batch and waits for all of its results.
func run(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	return conn.SendBatch(ctx, batch).Close()
}

// rollback ends a transaction in which nothing was changed, and returns the reason for it,
// unless ending it fails.
func rollback(ctx context.Context, conn *pgx.Conn, reason error) error {
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return reason
}

// name quotes an identifier.
func name(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

// The locks. The run's is taken first by everyone, then the user's, so that nobody waits in
// a circle; names that share a hash merely wait for each other. The user's lock covers all
// roles of that user, and so also the question whose user it is.
const (
	lockRun = `SELECT pg_advisory_xact_lock(hashtext('sym run'), hashtext($1))`

	lockUser = `SELECT pg_advisory_xact_lock(hashtext('sym user'), hashtext($1))`

	lockUserOfRun = `SELECT pg_advisory_xact_lock(hashtext('sym user'), hashtext(username::text))
		FROM sym.grants WHERE run = $1 AND username IS NOT NULL`
)
