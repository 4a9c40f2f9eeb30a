package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/event"
)

// mostAgain is how many runs a sweep looks at again; the next takes the rest.
const mostAgain = 100

// lookAgain looks again at runs that ended while other people's transactions were open. Such a
// transaction can be inside a function that the holder made, go on with the rights of the role,
// and leave something behind when it commits. Nobody reads the answer of a sweep, so a finding
// makes it fail: a failure is what reaches a person.
func (s *sweep) lookAgain(ctx context.Context) {
	type row struct{ Run, User, Role, Kind, What string }
	var found []row
	err := s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(`SELECT run, username, rolename, kind, what FROM sym.look_again($1)`, mostAgain).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
			return err
		})
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	if err != nil {
		s.told = append(s.told, fmt.Sprintf("What was left behind by transactions that were open at "+
			"the end of a run could not be looked at: %s.", s.explain(ctx, "", err)))
		return
	}
	for _, f := range found {
		message := fmt.Sprintf("%q lost the role %q while somebody else's transaction was open, and "+
			"since then this has appeared: %s. A database administrator has to look at it.",
			f.User, f.Role, f.What)
		if f.Kind == "in_use" {
			message = fmt.Sprintf("%q has lost the role %q, and its rights may still be in use: %s. "+
				"A database administrator has to check that session and end it.",
				f.User, f.Role, f.What)
		}
		s.log.WarnContext(ctx, "left behind after the end", "run", f.Run, "user", f.User,
			"role", f.Role, "kind", f.Kind, "what", f.What)
		s.swept.Drift = append(s.swept.Drift, event.Drift{Kind: event.DriftLeftBehind,
			Run: f.Run, User: f.User, Role: f.Role, Message: message})
		s.told = append(s.told, message)
	}
}
