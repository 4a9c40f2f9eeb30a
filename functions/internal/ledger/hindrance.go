package ledger

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
)

// hindrances lists who holds a lock that keeps the function from its work: one on the role,
// as an open transaction has from version 16 on that granted it or commented on it, on a
// table of the ledger, or on a table of the catalogue that it writes.
const hindrances = `
	SELECT DISTINCT CASE WHEN l.pid IS NULL
		THEN format('the prepared transaction %L of "%s" (in the database "%s": ROLLBACK PREPARED %L)',
			p.gid, p.owner, p.database, p.gid)
		ELSE format('the session %s of "%s" (SELECT pg_terminate_backend(%s))',
			l.pid, pg_get_userbyid(a.usesysid), l.pid) END
	FROM pg_locks l
	LEFT JOIN pg_stat_activity a ON a.pid = l.pid
	-- A prepared transaction has no session. Its number is that of another of its locks.
	LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
		AND x.virtualtransaction = l.virtualtransaction
	LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
	WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
		AND coalesce(pg_get_userbyid(a.usesysid), '') <> current_user
		AND (l.locktype = 'object' AND l.classid = 'pg_authid'::regclass
				AND l.objid = (SELECT oid FROM pg_roles WHERE rolname = $1::name)
				AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
			OR l.locktype = 'relation' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock',
				'ExclusiveLock', 'AccessExclusiveLock')
				AND (l.relation IN ('pg_auth_members'::regclass, 'pg_authid'::regclass)
					OR l.relation IN (SELECT c.oid FROM pg_class c
						WHERE c.relnamespace = to_regnamespace('sym'))))
	ORDER BY 1`

// explain adds to an error of waiting in vain who is in the way, and what to do.
func (l *Ledger) explain(ctx context.Context, role string, err error) error {
	if _, busy := err.(database.DatabaseBusy); !busy || ctx.Err() != nil {
		return err
	}
	var found []string
	lookup := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(hindrances, role).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		batch.Queue("ROLLBACK")
		return run(ctx, conn, batch)
	})
	if lookup != nil || len(found) == 0 {
		return err
	}
	return explained(err, "", ". In the way: "+strings.Join(found, ", ")+
		". A database administrator has to end it")
}
