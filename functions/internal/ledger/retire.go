package ledger

import (
	"context"
	"fmt"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// GrantsRemain is the error of a retirement after which somebody may still hold a role. Its
// message addresses the person who destroys the function.
type GrantsRemain struct{ Message string }

func (e GrantsRemain) Error() string { return e.Message }

// Retire ends every run, whether it has expired or not, and takes back memberships that no run
// accounts for: the function is about to be destroyed, and its sweep with it. Its error is
// [GrantsRemain].
//
// A function whose password was never set has granted nothing.
func (l *Ledger) Retire(ctx context.Context) (event.Swept, error) {
	for {
		s := l.newSweep(everything)
		due, err := s.sweep(ctx)
		if login, ok := err.(database.CredentialsUnavailable); ok && login.Unset {
			return s.swept, nil
		}
		why := ""
		switch {
		case err != nil:
			why = fmt.Sprintf("it is not known who holds a role by it: %s.", err)
		case len(s.late) > 0:
			why = s.sentences(due, s.late)
		case due < maxSweep:
			return s.swept, nil
		case ctx.Err() != nil:
			why = "there was no time left to end all runs."
		default:
			continue // there may be more of them
		}
		return s.swept, GrantsRemain{"The Postgres function cannot be removed yet: " + why +
			" Make sure that the function reaches the database, then run Terraform again. " +
			"docs/operations.md says how to remove a function whose database is gone."}
	}
}
