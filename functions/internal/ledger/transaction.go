package ledger

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// maxLockWait is how long a change waits for others, in a deadline that is longer.
	maxLockWait = 5 * time.Second
	// briefly is how long it waits where others are waiting for it in turn.
	briefly = 50 * time.Millisecond
)

// begin queues the start of a transaction that keeps within the context's deadline, and that the
// server ends by itself if this process stops responding in the middle of it. It limits how
// long the transaction waits for a lock.
//
// The database's owner and administrators of its roles can set defaults for this session. The
// transaction overrides those that would change what it does or how its values are read. It sets
// them for the transaction only, so that they work behind a pooler.
func begin(ctx context.Context, batch *pgx.Batch, wait time.Duration, commits ...string) {
	left := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), time.Millisecond)
	}
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	synchronous := ""
	for _, how := range commits {
		synchronous = ", set_config('synchronous_commit', '" + how + "', true)"
	}
	batch.Queue(`SELECT set_config('search_path', 'pg_catalog, pg_temp', true),
		set_config('role', 'none', true),
		set_config('row_security', 'on', true),
		set_config('datestyle', 'ISO, YMD', true),
		set_config('timezone', 'UTC', true),
		set_config('intervalstyle', 'postgres', true),
		set_config('jit', 'off', true),
		set_config('statement_timeout', $1, true),
		set_config('idle_in_transaction_session_timeout', $1, true),
		set_config('lock_timeout', $2, true)`+synchronous,
		milliseconds(left), milliseconds(min(left/2, wait)))
}

// beginTaking is begin for a transaction that takes a role back. Its COMMIT waits for the disk but
// not for a synchronous standby: if that standby is gone, such a COMMIT hangs. A standby that
// is promoted without the transaction also lacks the ledger's note of it, so the run is still due.
func beginTaking(ctx context.Context, batch *pgx.Batch, wait time.Duration) {
	begin(ctx, batch, wait, "local")
}

// beginSessions is begin for the transaction that ends sessions. All that it writes is that
// they were ended, which a crash of the server makes true by itself: its COMMIT need not wait
// for the disk.
func beginSessions(ctx context.Context, batch *pgx.Batch, wait time.Duration) {
	begin(ctx, batch, wait, "off")
}

// milliseconds returns at least one, since the server takes zero as no limit.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// rollback ends a transaction in which nothing was changed, and returns the reason for it,
// unless ending it fails.
func rollback(ctx context.Context, conn *pgx.Conn, reason error) error {
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return reason
}

// lockUser locks the row of a user. The lock covers all roles of the user, and the user's
// assignment to a person. A run needs no lock of its own: its row is unique.
const lockUser = `INSERT INTO sym.locks (user_oid) SELECT oid FROM pg_roles WHERE rolname = $1::name
	ON CONFLICT (user_oid) DO UPDATE SET user_oid = excluded.user_oid`

// accounts is a condition: whether the run o, which has its role, is about the user u and the role
// r. It compares numbers in the server where the row was written, and names elsewhere.
const accounts = `(o.revoked_at IS NULL AND o.user_oid = u.oid AND o.role_oid = r.oid
			AND o.origin = (SELECT sym.origin())
		OR o.revoked_at IS NULL AND o.username = u.rolname AND o.rolename = r.rolname
			AND o.origin IS DISTINCT FROM (SELECT sym.origin()))`
