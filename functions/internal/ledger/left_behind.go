package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// OnEnd says what happens to what the holder of a role left behind.
type OnEnd string

// The values of [OnEnd]. The zero value is [Report].
const (
	// Report lists it.
	Report OnEnd = "report"
	// TakeBack lists it and takes back what is safe to take back.
	TakeBack OnEnd = "revoke"
)

const (
	// maxLook is the longest that a search may take: it must not delay the end of a run.
	maxLook = 3 * time.Second
	// maxWhat is the longest description, in characters. People choose the names in it.
	maxWhat = 300
)

// notLooked is the reason, for people, why there was no search.
type notLooked struct{ reason string }

func (e notLooked) Error() string { return e.reason }

// lookBehind adds to the answer of an end what the holder left behind, or why there was no
// search. It runs after the role is gone, in its own transaction, and never makes an end fail.
func (l *Ledger) lookBehind(ctx context.Context, answer *event.Deescalated) {
	if answer.User == "" {
		return // A run that never began.
	}
	// A person who still holds the role may keep what they made with it.
	gone := len(answer.StillMemberThrough) == 0
	var found []event.LeftBehind
	var more int
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		found, more, err = l.leftBehind(ctx, conn, answer.Run, gone)
		return err
	})
	if err != nil {
		answer.NotLookedFor = reasonNotLooked(err)
		l.log.Warn("could not search for what was left behind", "run", answer.Run, "error", err)
		return
	}
	answer.LeftBehind, answer.LeftBehindMore = found, more
	l.noteTold(ctx, answer)
	for _, left := range found {
		l.log.Warn("left behind", "run", answer.Run, "user", answer.User, "role", answer.Role,
			"kind", left.Kind, "what", left.What, "taken_back", left.TakenBack)
	}
}

// noteTold records what people are told now, so that a later search does not repeat it.
func (l *Ledger) noteTold(ctx context.Context, answer *event.Deescalated) {
	if len(answer.LeftBehind) == 0 {
		return
	}
	var kinds, whats []string
	for _, left := range answer.LeftBehind {
		kinds, whats = append(kinds, left.Kind), append(whats, left.What)
	}
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(`UPDATE sym.grants SET told = (SELECT array_agg(sym.mark(t.kind, t.what))
			FROM unnest($2::text[], $3::text[]) AS t (kind, what))
			WHERE run = $1 AND open_then IS NOT NULL`, answer.Run, kinds, whats)
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	if err != nil {
		l.log.Warn("what was left behind may be told twice", "run", answer.Run, "error", err)
	}
}

// mayLook returns the reason why a run cannot be searched, or an empty string.
const mayLook = `
	SELECT CASE WHEN origin IS DISTINCT FROM sym.origin() THEN
			'The role was granted in another server or database, before this ledger was copied.'
		WHEN granted_in IS NULL THEN
			'The role was granted before the ledger noted what is needed for it.'
		ELSE '' END
	FROM sym.grants WHERE run = $1`

// leftBehind lists what the holder of a run's role made or was given since the grant, the
// first [event.MaxLeftBehind], and counts the others. With mayTakeBack it takes back what is
// safe to take back, where the options say so.
func (l *Ledger) leftBehind(
	ctx context.Context, conn *pgx.Conn, id string, mayTakeBack bool,
) (found []event.LeftBehind, more int, err error) {
	list := "SELECT kind, what, false FROM sym.left_behind(u, r, s, o) WITH ORDINALITY AS l " +
		"(kind, what, undo, safe, n)"
	if mayTakeBack && l.options.OnEnd == TakeBack {
		list = "SELECT kind, what, taken_back FROM sym.take_back(u, r, s, o) WITH ORDINALITY AS l " +
			"(kind, what, undo, taken_back, n)"
	}
	soon, cancel := context.WithTimeout(ctx, lookTime(ctx))
	defer cancel()
	batch := &pgx.Batch{}
	begin(soon, batch, briefly)
	batch.Queue(mayLook, id).QueryRow(func(row pgx.Row) error {
		var reason string
		if err := row.Scan(&reason); err != nil {
			return err
		}
		if reason != "" {
			return notLooked{reason}
		}
		return nil
	})
	batch.Queue(fmt.Sprintf(`
		SELECT kind, left(what, %d), taken_back, total FROM (
			SELECT l.*, count(*) OVER ()::integer AS total
			FROM (SELECT user_oid AS u, role_oid AS r, granted_in AS s, oldest_then AS o
				FROM sym.grants WHERE run = $1 AND origin = sym.origin()
					AND granted_in IS NOT NULL) AS g, LATERAL (%s ORDER BY n) AS l
				(kind, what, taken_back)
			LIMIT %d) AS first`, maxWhat, list, event.MaxLeftBehind), id,
	).Query(func(rows pgx.Rows) error {
		var total int
		for rows.Next() {
			var left event.LeftBehind
			if err := rows.Scan(&left.Kind, &left.What, &left.TakenBack, &total); err != nil {
				return err
			}
			found = append(found, left)
		}
		more = total - len(found)
		return rows.Err()
	})
	batch.Queue("COMMIT")
	err = run(ctx, conn, batch)
	return found, more, err
}

// lookTime is how long a search may take: half of the remaining time, at most [maxLook].
func lookTime(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(maxLook, time.Until(deadline)/2)
	}
	return maxLook
}

// reasonNotLooked says in a sentence why there was no search.
func reasonNotLooked(err error) string {
	if told, ok := errors.AsType[notLooked](err); ok {
		return told.reason
	}
	refused, _ := errors.AsType[database.DatabaseRefused](err)
	switch refused.SQLState {
	case "42883", "3F000", "42703", "42P01", "42501":
		return "The database was set up by an older setup.sql. A database administrator has to " +
			"run the present one."
	}
	return "The search failed: " + strings.TrimSuffix(err.Error(), ".") + "."
}
