package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

const (
	// mostAgain is how many runs a sweep looks at again; the next takes the rest.
	mostAgain = 100
	// maxAgain is the longest that it looks at one of them, and allAgain at all together.
	maxAgain, allAgain = 2 * time.Second, 6 * time.Second
)

// look is a run that a sweep looks at again.
type look struct {
	Run, User, Role string
	// Failed tells whether people know that a look has failed.
	Failed bool
	// state is what sym.looked records; nil if the look failed.
	state *string
}

// sight is what sym.look_again answers: findings that nobody has been told about yet.
type sight struct {
	// First tells whether there was no search when the run ended.
	First bool `json:"first"`
	// Shared tells whether somebody else has held the role since.
	Shared bool `json:"shared"`
	// Used are tables that other people's transactions use, Found is what has appeared, and More
	// is how many more of these there are.
	Used  []event.LeftBehind `json:"used"`
	Found []event.LeftBehind `json:"found"`
	More  int                `json:"more"`
	State json.RawMessage    `json:"state"`
}

// lookAgain looks again at runs that have ended. Somebody else's transaction, from before the end,
// can be inside a function that the holder made, go on with the rights of the role, and leave
// something behind when it commits. Nobody reads the answer of a sweep, so a finding makes it
// fail: a failure is what reaches a person.
//
// It returns the runs that it has looked at. Only when everybody has been told may the ledger
// record that: see [sweep.looked].
func (s *sweep) lookAgain(ctx context.Context) (looked []look) {
	end := time.Now().Add(allAgain)
	if deadline, ok := ctx.Deadline(); ok {
		end = time.Now().Add(min(allAgain, time.Until(deadline)/2))
	}
	runs, err := s.toLookAt(ctx)
	if err != nil {
		s.told = append(s.told, fmt.Sprintf("What was left behind after the end of runs could "+
			"not be looked at. %s", reasonNotLooked(s.explain(ctx, "", err))))
		return nil
	}
	for _, run := range runs {
		if !time.Now().Before(end) {
			break
		}
		seen, err := s.lookAt(ctx, run)
		switch err.(type) {
		case nil:
			state := string(seen.State)
			run.state = &state
			s.reportSight(ctx, run, seen)
		case database.DatabaseUnavailable, database.CredentialsUnavailable:
			return looked // The next sweep looks.
		default:
			// Later sweeps try it again, after all others, and tell nobody again.
			s.log.WarnContext(ctx, "a look at what was left behind failed", "run", run.Run, "error", err)
			if run.Failed {
				continue
			}
			s.reportAgain(ctx, run, "unseen", fmt.Sprintf("What was left behind by %q, who has lost "+
				"the role %q, could not be looked at: %s. A database administrator has to look at what "+
				"was made with that role: see sym.left_behind.", run.User, run.Role, s.explain(ctx, "", err)))
		}
		looked = append(looked, run)
	}
	return looked
}

// toLookAt lists the runs that have to be looked at again.
func (s *sweep) toLookAt(ctx context.Context) (runs []look, err error) {
	err = s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue("SELECT run, username, rolename, failed FROM sym.to_look_at($1)", mostAgain).Query(func(rows pgx.Rows) (err error) {
			runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (run look, err error) {
				return run, row.Scan(&run.Run, &run.User, &run.Role, &run.Failed)
			})
			return err
		})
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return runs, err
}

// lookAt looks at one run, in a transaction of its own.
func (s *sweep) lookAt(ctx context.Context, of look) (seen sight, err error) {
	err = s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		soon, cancel := context.WithTimeout(ctx, maxAgain)
		defer cancel()
		seen = sight{}
		batch := &pgx.Batch{}
		begin(soon, batch, briefly)
		batch.Queue("SELECT sym.look_again($1, $2)::text", of.Run, event.MaxLeftBehind).QueryRow(func(row pgx.Row) error { return scanJSON(row, &seen) })
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return seen, err
}

// reportSight tells what was seen at a run.
func (s *sweep) reportSight(ctx context.Context, run look, seen sight) {
	for _, used := range seen.Used {
		s.reportAgain(ctx, run, used.Kind, fmt.Sprintf("%q has lost the role %q, and its rights may "+
			"still be in use: %s. A database administrator has to check that session and end it.",
			run.User, run.Role, used.What))
	}
	how := "lost the role %q while somebody else's transaction was open, and since then this has appeared or changed"
	if seen.First {
		how = "lost the role %q, and has left this behind"
	}
	how = fmt.Sprintf("%q "+how, run.User, run.Role)
	perhaps := ""
	if seen.Shared {
		perhaps = " Others have held that role since then, and may have made it."
	}
	for _, found := range seen.Found {
		s.reportAgain(ctx, run, found.Kind,
			fmt.Sprintf("%s: %s. A database administrator has to look at it.%s", how, found.What, perhaps))
	}
	if seen.More > 0 {
		s.reportAgain(ctx, run, "more", fmt.Sprintf("%s: %d more things. A database administrator has "+
			"to look at what was made with that role: see sym.left_behind.", how, seen.More))
	}
}

// reportAgain reports one finding.
func (s *sweep) reportAgain(ctx context.Context, run look, kind, message string) {
	s.log.WarnContext(ctx, "left behind after the end", "run", run.Run, "user", run.User,
		"role", run.Role, "kind", kind, "message", message)
	s.swept.Drift = append(s.swept.Drift, event.Drift{Kind: event.DriftLeftBehind,
		Run: run.Run, User: run.User, Role: run.Role, Message: message})
	s.told = append(s.told, message)
}

// looked records what was seen, as the last thing that a sweep does, so that people are told twice
// rather than never.
func (s *sweep) looked(ctx context.Context, runs []look) {
	if len(runs) == 0 {
		return
	}
	err := s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		for _, run := range runs {
			batch.Queue("SELECT sym.looked($1, $2::text::json)", run.Run, run.state)
		}
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	if err != nil {
		s.told = append(s.told, fmt.Sprintf("The ledger could not record that it was looked at what "+
			"%d runs left behind, which the next sweep repeats: %s.", len(runs), s.explain(ctx, "", err)))
	}
}
