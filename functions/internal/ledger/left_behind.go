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

// OnEnd says what happens to what the holder of a role left behind.
type OnEnd string

// The values of [OnEnd]. The zero value is [Report].
const (
	// Report lists it.
	Report OnEnd = "report"
	// TakeBack lists it and takes back what is safe to take back.
	TakeBack OnEnd = "revoke"
)

// maxLook is the longest that a search may take: it must not delay the end of a run.
const maxLook = 3 * time.Second

// lookBehind adds to the answer of an end what the holder left behind, or why there was no
// search. It runs after the role is gone, in its own transaction, and never makes an end fail.
func (l *Ledger) lookBehind(ctx context.Context, answer *event.Deescalated) {
	if answer.User == "" {
		return // A run that never began.
	}
	// A person who still holds the role may keep what they made with it.
	gone := len(answer.StillMemberThrough) == 0
	var found search
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found = search{}
		return l.search(ctx, conn, answer.Run, gone, &found)
	})
	switch {
	case err != nil:
		answer.NotLookedFor = reasonNotLooked(err)
	case found.Reason != "":
		answer.NotLookedFor = found.Reason
	}
	if answer.NotLookedFor != "" {
		l.log.Warn("could not search for what was left behind", "run", answer.Run,
			"reason", answer.NotLookedFor)
		return
	}
	answer.LeftBehind, answer.LeftBehindMore = found.Found, found.More
	for _, left := range found.Found {
		l.log.Warn("left behind", "run", answer.Run, "user", answer.User, "role", answer.Role,
			"kind", left.Kind, "what", left.What, "taken_back", left.TakenBack)
	}
}

// search is what sym.search answers: the first findings, how many there are more, and, if there
// was no search, the reason.
type search struct {
	Found  []event.LeftBehind `json:"found"`
	More   int                `json:"more"`
	Reason string             `json:"reason"`
}

// search lists what the holder of a run's role made or was given since the grant. If the role is
// gone it takes back what is safe to take back, where the options say so.
func (l *Ledger) search(
	ctx context.Context, conn *pgx.Conn, id string, gone bool, found *search,
) error {
	soon, cancel := context.WithTimeout(ctx, lookTime(ctx))
	defer cancel()
	taking := l.options.OnEnd == TakeBack
	batch := &pgx.Batch{}
	begin(soon, batch, briefly)
	batch.Queue("SELECT sym.search($1, $2, $3, $4)::text", id, gone, taking, event.MaxLeftBehind).QueryRow(func(row pgx.Row) error { return scanJSON(row, found) })
	batch.Queue("COMMIT")
	if gone && taking {
		// What was taken back is so for everybody else only now.
		begin(soon, batch, briefly)
		batch.Queue("SELECT sym.note_open($1)", id)
		batch.Queue("COMMIT")
	}
	return run(ctx, conn, batch)
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
	refused, _ := errors.AsType[database.DatabaseRefused](err)
	switch refused.SQLState {
	case "42883", "3F000", "42703", "42P01", "42501":
		return "The database was set up by an older setup.sql. A database administrator has to " +
			"run the present one."
	}
	return "The search failed: " + strings.TrimSuffix(err.Error(), ".") + "."
}
