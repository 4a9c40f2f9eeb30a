package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// maxSweep is how many runs one sweep ends at most; the next takes the rest.
const maxSweep = 1000

// SweepIncomplete is the error of a sweep that tried all it found and could not end some.
type SweepIncomplete struct{ Message string }

func (e SweepIncomplete) Error() string { return e.Message }

// Sweep ends every run that has expired, finishes those that were left half way, and takes
// back memberships that no run accounts for. Other differences between the ledger and the
// catalogue it reports, since only a person knows what was meant. One that fails does not
// keep it from the others; if any failed, the answer says which, and the error is
// [SweepIncomplete]. A sweep that finds the database gone stops there.
func (l *Ledger) Sweep(ctx context.Context) (event.Swept, error) {
	swept := event.Swept{Revoked: []event.Revoked{}, Failed: []event.Failed{},
		Repaired: []event.Revoked{}, Drift: []event.Drift{}}
	due, drift, err := l.due(ctx)
	if err != nil {
		return swept, err
	}
	for i, id := range due {
		ended, err := l.Deescalate(ctx, id.Run)
		if err == nil {
			if ended.Changed {
				swept.Revoked = append(swept.Revoked, id)
			}
			continue
		}
		l.log.ErrorContext(ctx, "a run could not be ended", "run", id.Run, "user", id.User,
			"role", id.Role, "error", err)
		swept.Failed = append(swept.Failed, event.Failed{
			Run: id.Run, User: id.User, Role: id.Role, Message: err.Error()})
		var unavailable database.DatabaseUnavailable
		var credentials database.CredentialsUnavailable
		if errors.As(err, &unavailable) || errors.As(err, &credentials) || ctx.Err() != nil {
			return swept, SweepIncomplete{fmt.Sprintf(
				"%d of %d expired grants were not revoked: %s", len(due)-i, len(due), err)}
		}
	}
	for _, d := range drift {
		if d.Kind != event.DriftLeftover {
			l.log.WarnContext(ctx, "the catalogue differs from the ledger", "kind", d.Kind,
				"run", d.Run, "user", d.User, "role", d.Role, "message", d.Message)
			swept.Drift = append(swept.Drift, d)
			continue
		}
		switch run, err := l.repair(ctx, d.User, d.Role); {
		case err != nil:
			l.log.ErrorContext(ctx, "a leftover could not be taken back", "user", d.User,
				"role", d.Role, "error", err)
			swept.Failed = append(swept.Failed,
				event.Failed{User: d.User, Role: d.Role, Message: err.Error()})
		case run != "":
			swept.Repaired = append(swept.Repaired,
				event.Revoked{Run: run, User: d.User, Role: d.Role})
		}
	}
	if len(swept.Failed) > 0 {
		return swept, SweepIncomplete{fmt.Sprintf(
			"%d memberships were not taken back, the first since %s",
			len(swept.Failed), swept.Failed[0].Message)}
	}
	return swept, nil
}

// due lists the runs that a sweep has to end, the longest overdue first, and the drift.
func (l *Ledger) due(
	ctx context.Context,
) (due []event.Revoked, drift []event.Drift, err error) {
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch)
		batch.Queue(`
			SELECT run, coalesce(username::text, ''), coalesce(rolename::text, '') FROM (
				(SELECT run, username, rolename, expires_at FROM sym.grants
				WHERE revoked_at IS NULL AND expires_at <= clock_timestamp()
				ORDER BY expires_at LIMIT $1)
				UNION ALL
				(SELECT run, username, rolename, expires_at FROM sym.grants
				WHERE revoked_at IS NOT NULL AND sessions_ended_at IS NULL
				ORDER BY revoked_at LIMIT $1)
			) AS overdue ORDER BY expires_at`, maxSweep,
		).Query(func(rows pgx.Rows) error {
			due, err = pgx.CollectRows(rows, pgx.RowToStructByPos[event.Revoked])
			return err
		})
		queueDrift(batch, &drift)
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return due, drift, err
}

// Status lists the runs that have their role, the oldest first, and every difference
// between the ledger and the catalogue.
func (l *Ledger) Status(ctx context.Context) (event.Status, error) {
	status := event.Status{Active: []event.Active{}, Drift: []event.Drift{}}
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch)
		batch.Queue(`
			SELECT run, username::text, rolename::text, coalesce(requester, ''),
				coalesce(reason, ''), granted_at, expires_at
			FROM sym.grants WHERE revoked_at IS NULL ORDER BY granted_at`,
		).Query(func(rows pgx.Rows) (err error) {
			status.Active, err = pgx.CollectRows(rows, pgx.RowToStructByPos[event.Active])
			return err
		})
		queueDrift(batch, &status.Drift)
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	for i := range status.Active {
		active := &status.Active[i]
		active.GrantedAt = active.GrantedAt.UTC()
		active.ExpiresAt = active.ExpiresAt.UTC()
	}
	return status, err
}
