package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/event"
)

// Status lists the runs that have their role, the oldest first, and every difference between the
// ledger and the catalogue. Times that cannot be represented, such as infinity, are zero.
func (l *Ledger) Status(ctx context.Context) (event.Status, error) {
	status := event.Status{Active: []event.Active{}, Drift: []event.Drift{}}
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, maxLockWait)
		batch.Queue(`
			SELECT run, username::text, rolename::text, coalesce(requester, ''),
				coalesce(reason, ''), ` + micros("granted_at") + `, ` + micros("expires_at") + `
			FROM sym.grants WHERE revoked_at IS NULL ORDER BY granted_at`,
		).Query(func(rows pgx.Rows) (err error) {
			status.Active, err = pgx.CollectRows(rows, toActive)
			return err
		})
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	if err != nil {
		return status, l.explain(ctx, "", err)
	}
	status.Drift, err = l.drift(ctx)
	return status, err
}

func toActive(row pgx.CollectableRow) (active event.Active, err error) {
	var granted, expires *int64
	err = row.Scan(&active.Run, &active.User, &active.Role, &active.Requester, &active.Reason,
		&granted, &expires)
	active.GrantedAt, active.ExpiresAt = at(granted), at(expires)
	return active, err
}
