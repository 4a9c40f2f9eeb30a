package ledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
)

// hindrances lists the sessions and prepared transactions that keep the function from its work:
//   - by a lock on the role, which from version 16 on an open transaction has that granted the
//     role or commented on it;
//   - by a lock on a table of the ledger or the catalogue, or by queueing for one, since everybody
//     else queues behind it;
//   - if the lock table is full, by more than a thousand locks.
//
// It reads the catalogue only for names, since its tables may be what is locked.
const hindrances = `
	SELECT DISTINCT CASE WHEN l.pid IS NULL
		THEN sym.readable(format('the prepared transaction %L of "%s" (in the database "%s": ROLLBACK PREPARED %L)',
			p.gid, p.owner, p.database, p.gid))
		ELSE format('the session %s of "%s" (SELECT pg_terminate_backend(%s))',
			l.pid, pg_get_userbyid(a.usesysid), l.pid) END
	FROM pg_locks l
	LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
	-- A prepared transaction has no session. Its number is that of another of its locks.
	LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
		AND x.virtualtransaction = l.virtualtransaction
	LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
	WHERE l.pid IS DISTINCT FROM pg_backend_pid()
		AND (l.granted AND l.locktype = 'object' AND l.classid = 1260
				AND l.objid = (SELECT oid FROM pg_roles WHERE rolname = $1::name)
				AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
			OR l.locktype = 'relation' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock',
				'ExclusiveLock', 'AccessExclusiveLock')
				AND (l.relation < 16384 OR l.relation IN (SELECT c.oid FROM pg_class c
						WHERE c.relnamespace = to_regnamespace('sym')))
			OR $2 AND l.pid IN (SELECT n.pid FROM pg_locks n GROUP BY n.pid HAVING count(*) > 1000))
	ORDER BY 1`

// numbered lists the hindrances by process number alone, without the catalogue and with as few
// locks as possible: for when the catalogue is locked or the lock table is full.
const numbered = `
	SELECT DISTINCT format('the session %s (SELECT pg_terminate_backend(%s))', l.pid, l.pid)
	FROM pg_lock_status() l
	WHERE l.pid <> pg_backend_pid() AND (l.locktype = 'relation' AND l.relation < 16384
			AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		OR $1 AND l.pid IN (SELECT n.pid FROM pg_lock_status() n GROUP BY n.pid HAVING count(*) > 1000))
	ORDER BY 1`

const inTheWay = ". In the way: "

// explain adds who is in the way, and what to do, to the error of a wait that failed.
func (l *Ledger) explain(ctx context.Context, role string, err error) error {
	busy, ok := err.(database.DatabaseBusy)
	if !ok || ctx.Err() != nil || strings.Contains(busy.Message, inTheWay) {
		return err
	}
	// Holders of locks are to blame only if the wait was for a lock.
	switch busy.SQLState {
	case lockTimeout, noRoom, "57014":
	default:
		return err
	}
	crowded := busy.SQLState == noRoom
	found, lookup := l.lookup(ctx, hindrances, role, crowded)
	if lookup != nil || len(found) == 0 {
		found, lookup = l.lookup(ctx, numbered, crowded)
	}
	if lookup != nil || len(found) == 0 {
		return err
	}
	more := ""
	if len(found) > mostNamed {
		more = fmt.Sprintf(" and %d more", len(found)-mostNamed)
		found = found[:mostNamed]
	}
	return explained(err, "", inTheWay+strings.Join(found, ", ")+more+
		". A database administrator has to end it, or restart the server if it does not respond")
}

// lookup runs one of the queries above.
func (l *Ledger) lookup(ctx context.Context, query string, args ...any) (found []string, err error) {
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(query, args...).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		batch.Queue("ROLLBACK")
		return run(ctx, conn, batch)
	})
	return found, err
}
