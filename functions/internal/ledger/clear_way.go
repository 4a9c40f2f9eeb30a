package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// blocker is a row of sym.clear_way: the owner of a session or prepared transaction that locks
// the ledger or the catalogue or, if Crowding, fills the lock table; and whether it was ended.
type blocker struct {
	Whose           string
	Ended, Crowding bool
}

func queueClearing(batch *pgx.Batch, found *[]blocker, crowded bool) {
	batch.Queue(`SELECT whose, ended, crowding FROM sym.clear_way($1)`, crowded).Query(func(rows pgx.Rows) (err error) {
		*found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[blocker])
		return err
	})
}

// clearWay ends the sessions whose locks keep runs from being ended. It does nothing if the runs
// failed for another reason than a lock.
func (s *sweep) clearWay(ctx context.Context, left []dueRun) {
	met := func(code string) bool {
		return slices.ContainsFunc(left, func(run dueRun) bool { return state(run.err) == code })
	}
	if !met(lockTimeout) && !met(noRoom) {
		return
	}
	var found []blocker
	err := s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, time.Second)
		queueClearing(batch, &found, met(noRoom))
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	if err != nil {
		s.log.WarnContext(ctx, "could not find out who locks the ledger", "error", err)
	}
	s.cleared(ctx, found)
}

// cleared says whose sessions were ended, each once.
func (s *sweep) cleared(ctx context.Context, found []blocker) {
	for _, b := range found {
		message := fmt.Sprintf("The ledger or the catalogue was locked by %s. ", b.Whose)
		if b.Crowding {
			message = fmt.Sprintf("The server had no room for another lock, and many are those of %s. ",
				b.Whose)
		}
		if b.Ended {
			message += "That session was ended."
		} else {
			message += "It could not be ended by this function: a database administrator has to end " +
				"it, or restart the server if it does not respond."
		}
		if slices.Contains(s.told, message) {
			continue
		}
		s.log.WarnContext(ctx, "somebody was in the way", "by", b.Whose, "ended", b.Ended,
			"crowding", b.Crowding)
		s.swept.Drift = append(s.swept.Drift,
			event.Drift{Kind: event.DriftExposed, Message: message})
		s.told = append(s.told, message)
	}
}

// PostgreSQL's codes for a lock that was not granted in time, and for a full lock table.
const lockTimeout, noRoom = "55P03", "53200"

// state returns the SQLSTATE of a [database.DatabaseBusy], or an empty string.
func state(err error) string {
	busy, _ := errors.AsType[database.DatabaseBusy](err)
	return busy.SQLState
}

func isBusy(err error) bool {
	_, busy := errors.AsType[database.DatabaseBusy](err)
	return busy
}
