package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

const (
	// maxSweep is how many runs one sweep ends at most; the next takes the rest.
	maxSweep = 1000
	// mostClearings is how often a sweep ends sessions that keep it from reading the ledger.
	mostClearings = 5
	// mostNamed is how many failures a sweep's error names, mostListed how many holders.
	mostNamed, mostListed = 5, 20
)

// SweepIncomplete is the error of a sweep that could not end some of the runs that it found, or
// that found the ledger open to others. Its message tells a person who has what, why, and what
// to do.
type SweepIncomplete struct{ Message string }

func (e SweepIncomplete) Error() string { return e.Message }

// Sweep ends every run that has expired, finishes incomplete ends, and takes back memberships that
// no run accounts for. It only reports other differences between the ledger and the catalogue,
// since only a person knows what was meant.
//
// It does unhindered work first: it takes back every role that it can without waiting, then ends
// the sessions, and then retries the other roles for as long as there is time. Bookkeeping comes
// last. If any run failed, or if others have rights to the ledger, the answer says which, and the
// error is [SweepIncomplete]. If the database is gone the sweep stops there.
func (l *Ledger) Sweep(ctx context.Context) (event.Swept, error) {
	s := l.newSweep(expired)
	due, err := s.sweep(ctx)
	if err != nil {
		return s.swept, err
	}
	return s.swept, s.outcome(due)
}

func (l *Ledger) newSweep(what string) *sweep {
	return &sweep{Ledger: l, what: what, swept: event.Swept{Revoked: []event.Revoked{},
		Failed: []event.Failed{}, Repaired: []event.Revoked{}, Drift: []event.Drift{}}}
}

// sweep does the work, and returns how many runs were due. An error means that nothing was swept.
func (s *sweep) sweep(ctx context.Context) (int, error) {
	due, err := s.due(ctx, nil, false)
	for try := 0; isBusy(err) && try < mostClearings && ctx.Err() == nil; try++ {
		// Read the ledger right after ending the sessions that lock it: they may come back.
		var found []blocker
		due, err = s.due(ctx, &found, state(err) == noRoom)
		s.cleared(ctx, found)
	}
	if err != nil {
		return 0, s.unread(ctx, s.explain(ctx, "", err))
	}
	if len(due) > 1 {
		s.revokeAll(ctx, due)
	}
	left := s.pass(ctx, due, func(int) patience { return hastily })
	if len(left) > 0 && s.gone == nil && ctx.Err() == nil {
		s.clearWay(ctx, left)
		left = s.pass(ctx, left, func(others int) patience { return share(ctx, others) })
	}
	for _, run := range left {
		s.fail(ctx, run)
	}
	if s.gone == nil {
		s.tidy(ctx)
	}
	return len(due), nil
}

// sweep is one sweep at work.
type sweep struct {
	*Ledger
	what  string // expired or everything
	swept event.Swept
	// ends are the ended runs whose holders' leftovers have yet to be searched for.
	ends []event.Deescalated
	// gone is the error after which nothing else can be tried.
	gone error
	// told are sentences that a person has to read. late are those about people who still
	// have access that is over.
	late, told []string
}

// dueRun is a run that a sweep has to end.
type dueRun struct {
	event.Revoked
	requester string
	expired   time.Time
	// revoked is set if only sessions are left to end, took if this sweep took the role.
	revoked, took bool
	err           error
}

// Conditions for the runs that a sweep has to end. A run counts as expired if we cannot have
// written its expiry.
const (
	expired    = "(expires_at <= clock_timestamp() OR expires_at > '9999-12-31 00:00+00')"
	everything = "true"
)

// due lists the runs that a sweep has to end, the longest overdue first.
// With a list of blockers it ends the sessions that lock the ledger first, or, if it is crowded,
// that fill the server's table of locks.
func (s *sweep) due(
	ctx context.Context, found *[]blocker, crowded bool,
) (due []dueRun, err error) {
	err = s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, time.Second)
		if found != nil {
			queueClearing(batch, found, crowded)
		}
		batch.Queue(`
			SELECT run, coalesce(username::text, ''), coalesce(rolename::text, ''),
				coalesce(requester, ''), `+micros("expires_at")+`, over FROM (
				(SELECT run, username, rolename, requester, expires_at, false AS over
				FROM sym.grants WHERE revoked_at IS NULL AND `+s.what+`
				ORDER BY expires_at LIMIT $1)
				UNION ALL
				(SELECT run, username, rolename, requester, expires_at, true
				FROM sym.grants WHERE revoked_at IS NOT NULL AND sessions_ended_at IS NULL
				ORDER BY revoked_at LIMIT $1)
			) AS overdue ORDER BY expires_at`, maxSweep,
		).Query(func(rows pgx.Rows) error {
			due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (run dueRun, err error) {
				var expired *int64
				err = row.Scan(&run.Run, &run.User, &run.Role, &run.requester, &expired,
					&run.revoked)
				run.expired = at(expired)
				return run, err
			})
			return err
		})
		batch.Queue("COMMIT")
		return run(ctx, conn, batch)
	})
	return due, err
}

// revokeAll takes back the roles of runs and leaves their sessions for later, because a user can
// make ending them take longer than the sweep has. Failed runs are tried again.
func (s *sweep) revokeAll(ctx context.Context, due []dueRun) {
	hindered := map[string]bool{}
	for i, run := range due {
		if run.revoked || ctx.Err() != nil || hindered["user "+run.User] || hindered["role "+run.Role] {
			continue
		}
		answer, err := s.end(ctx, End{Run: run.Run}, revoking)
		due[i].took = err == nil && answer.Changed
		if err != nil {
			hindered["user "+run.User], hindered["role "+run.Role] = true, true
		}
	}
}

// pass tries to end runs, and returns those that it could not end. Once a run fails, others of the
// same user or role are tried without waiting, since they probably fail for the same reason.
func (s *sweep) pass(
	ctx context.Context, due []dueRun, wait func(others int) patience,
) (left []dueRun) {
	hindered := map[string]bool{}
	for i, run := range due {
		if ctx.Err() != nil || s.gone != nil {
			return append(left, due[i:]...)
		}
		patience := wait(len(due) - i)
		if hindered["user "+run.User] || hindered["role "+run.Role] {
			patience = notAtAll
		}
		answer, err := s.end(ctx, End{Run: run.Run}, patience)
		if err == nil {
			s.ended(run, answer)
			continue
		}
		run.err = err
		left = append(left, run)
		hindered["user "+run.User], hindered["role "+run.Role] = true, true
		switch err.(type) {
		case database.DatabaseUnavailable, database.CredentialsUnavailable:
			s.gone = err
		}
	}
	return left
}

// share divides half of the remaining time into equal parts.
func share(ctx context.Context, among int) patience {
	part := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		part = min(part, time.Until(deadline)/2/time.Duration(among))
	}
	part = max(part, briefly)
	return patience{part, part}
}

func (s *sweep) ended(run dueRun, answer event.Deescalated) {
	// The role of a run that failed at first may be gone by now.
	if answer.Changed || run.took || run.err != nil && !run.revoked {
		s.swept.Revoked = append(s.swept.Revoked, run.Revoked)
	}
	s.ends = append(s.ends, answer)
}

// reportLeft reports what the holder of a run left behind.
func (s *sweep) reportLeft(end event.Deescalated) {
	note := func(message string) {
		s.swept.Drift = append(s.swept.Drift, event.Drift{Kind: event.DriftLeftBehind,
			Run: end.Run, User: end.User, Role: end.Role, Message: message})
	}
	for _, left := range end.LeftBehind {
		message := fmt.Sprintf("%q left behind: %s.", end.User, left.What)
		if left.TakenBack {
			message = fmt.Sprintf("%q left behind, and it was taken back: %s.", end.User, left.What)
		}
		note(message)
	}
	if end.LeftBehindMore > 0 {
		note(fmt.Sprintf("%q left %d more things behind.", end.User, end.LeftBehindMore))
	}
	if end.NotLookedFor != "" {
		note("It is not known what was left behind. " + end.NotLookedFor)
	}
}

// fail notes a run that could not be ended, and says it in full.
func (s *sweep) fail(ctx context.Context, run dueRun) {
	err := run.err
	switch {
	case err == nil && s.gone != nil:
		err = s.gone
	case err == nil:
		err = errors.New("there was no time left to try")
	default:
		err = s.explain(ctx, run.Role, err)
	}
	s.log.ErrorContext(ctx, "a run could not be ended", "run", run.Run, "user", run.User,
		"role", run.Role, "error", err)
	s.swept.Failed = append(s.swept.Failed, event.Failed{
		Run: run.Run, User: run.User, Role: run.Role, Message: err.Error()})
	whose := fmt.Sprintf("%q", run.User)
	if run.requester != "" {
		whose += " (" + run.requester + ")"
	}
	if strings.HasPrefix(err.Error(), tookBare) {
		s.late = append(s.late, fmt.Sprintf("%s: %s.", whose, err))
		return
	}
	if run.revoked {
		s.late = append(s.late, fmt.Sprintf("The role %q was taken from %s, but the end is not "+
			"complete, so that a session may have it still: %s.", run.Role, whose, err))
		return
	}
	if s.what == everything {
		s.late = append(s.late, fmt.Sprintf("The role %q of %s, granted until %s, could not be taken "+
			"back: %s.", run.Role, whose, run.expired.Format("2006-01-02 15:04:05 UTC"), err))
		return
	}
	s.late = append(s.late, fmt.Sprintf("The role %q of %s should have ended at %s, and that "+
		"could not be done: %s.", run.Role, whose,
		run.expired.Format("2006-01-02 15:04:05 UTC"), err))
}

// unread is the error of a sweep that could not read the ledger. It says what the sweep tried, why
// that failed, and, from the catalogue, who has roles from this function.
func (s *sweep) unread(ctx context.Context, err error) error {
	done := strings.Join(s.told[:min(len(s.told), mostNamed)], " ")
	if done != "" {
		done += " "
	}
	holders := ""
	if found, err := s.holders(ctx); err == nil && len(found) > 0 {
		holders = ". What this function has granted, and may be over: " +
			strings.Join(found[:min(len(found), mostListed)], ", ")
		if more := len(found) - mostListed; more > 0 {
			holders += fmt.Sprintf(", and %d more", more)
		}
	}
	return explained(err, done+"The ledger could not be read, so that nothing was swept: ", holders)
}

// holders lists from the catalogue who has which role from this function.
func (l *Ledger) holders(ctx context.Context) (found []string, err error) {
	err = l.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		begin(ctx, batch, briefly)
		batch.Queue(`SELECT format('"%s" has "%s"', u.rolname, r.rolname) FROM pg_auth_members m
			JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
			JOIN pg_roles us ON us.oid = m.grantor AND us.rolname = current_user ORDER BY 1`,
		).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		batch.Queue("ROLLBACK")
		return run(ctx, conn, batch)
	})
	return found, err
}

// outcome is the sweep's error, if there is one.
func (s *sweep) outcome(due int) error {
	if message := s.sentences(due, slices.Concat(s.late, s.told)); message != "" {
		return SweepIncomplete{message}
	}
	return nil
}

// sentences joins the first sentences and says how many runs failed; empty if there are none.
func (s *sweep) sentences(due int, all []string) string {
	if len(all) == 0 {
		return ""
	}
	named := all[:min(len(all), mostNamed)]
	message := strings.Join(named, " ")
	if more := len(all) - len(named); more > 0 {
		message += fmt.Sprintf(" And %d more, which the function's log names.", more)
	}
	if len(s.swept.Failed) > 0 {
		message += fmt.Sprintf(" (%d of %d; the next sweep tries again.)", len(s.swept.Failed),
			max(due, len(s.swept.Failed)))
	}
	return message
}
