package workflow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// mostOverdue is how many requests one run looks at.
	mostOverdue = 100

	// notYetVisible is how long an execution may stay unseen after it was started, with much
	// to spare: Step Functions promises no more than that it will be seen.
	notYetVisible = time.Minute

	// longestEnd is what one request may take to be ended: the longest that the Postgres
	// function works, and the way to it.
	longestEnd = 35 * time.Second
)

// Reconciled is what one run found and did.
type Reconciled struct {
	Overdue int `json:"overdue"` // requests past their deadline, at most mostOverdue
	Ended   int `json:"ended"`   // how many of them this run has brought to their end
}

// reconcile ends the requests whose deadline has come and that have no workflow to end them:
// somebody stopped it, it failed, or it never started. A workflow that runs is never
// interfered with, however late it is: it is trying, and has raised its own alarm.
//
// One request's failure does not stop the others, and fails the step at its end. People are told
// of late requests first: ending requests may use up all the time.
func (s *Steps) reconcile(ctx context.Context) (Output, error) {
	if err := s.tellLate(ctx); err != nil {
		s.Log.ErrorContext(ctx, "some late requests were not reported", "error", err.Error())
	}
	overdue, err := s.Store.Overdue(ctx, s.now(), mostOverdue)
	if err != nil && len(overdue) == 0 {
		return Output{}, err
	}
	result := &Reconciled{Overdue: len(overdue)}
	// Where some fail slowly and use up the time, it is not always the same ones that come last.
	rand.Shuffle(len(overdue), func(i, j int) { overdue[i], overdue[j] = overdue[j], overdue[i] })
	var failures []error
	if err != nil { // some could not be read; the others end all the same
		s.Log.ErrorContext(ctx, "overdue requests not read", "error", err.Error())
		failures = append(failures, err)
	}
	for i, r := range overdue {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < longestEnd {
			s.Log.WarnContext(ctx, "overdue requests left for the next run",
				"left", len(overdue)-i)
			break
		}
		ended, err := s.reconcileOne(ctx, r.ID)
		if gone, ok := errors.AsType[*ConnectorGone](err); ok {
			// No repetition helps. People are told of it every hour, see tellLate; an error every
			// minute would only hide the others.
			s.Log.ErrorContext(ctx, "overdue request left open", "request_id", r.ID,
				"error", gone.Error())
			continue
		}
		if err != nil {
			s.Log.ErrorContext(ctx, "overdue request not ended", "request_id", r.ID,
				"error", err.Error())
			failures = append(failures, fmt.Errorf("request %s: %w", r.ID, err))
			continue
		}
		if ended {
			result.Ended++
		}
	}
	if err := s.remind(ctx); err != nil {
		// What is left is tried again by the next run, and the courier says when it is too late.
		s.Log.ErrorContext(ctx, "not everything was told", "error", err.Error())
	}
	if len(failures) > 0 {
		return Output{}, &ReconcileFailed{len(failures), len(overdue), errors.Join(failures...)}
	}
	return Output{Reconciled: result}, nil
}

// reconcileOne ends one overdue request, unless its workflow will.
func (s *Steps) reconcileOne(ctx context.Context, id string) (ended bool, err error) {
	// The list may be behind the table.
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return false, err
	}
	deadline := r.Deadline()
	if deadline.IsZero() || s.now().Before(deadline) {
		return false, nil
	}
	if r.Ended() {
		return false, s.remindOfReview(ctx, r)
	}
	execution, err := s.Workflows.Execution(ctx, r)
	if err != nil {
		return false, &WorkflowUnavailable{err}
	}
	switch execution {
	case request.Running:
		return false, nil
	case request.Missing:
		// It was last asked for at the request's last change, which an approval at the last
		// moment may have made after the deadline.
		started := deadline
		if r.UpdatedAt.After(started) {
			started = r.UpdatedAt
		}
		if s.now().Before(started.Add(notYetVisible)) {
			return false, nil
		}
	}

	before, out := r.State, Output{}
	if before == request.Requested {
		out, err = s.close(ctx, id)
	} else {
		out, err = s.deescalate(ctx, id)
	}
	if err != nil {
		s.keepFailure(ctx, Input{Step: "deescalate", RequestID: id}, err)
		return false, err
	}
	s.Log.WarnContext(ctx, "overdue request ended without its workflow", "request_id", id,
		"execution", execution, "from", before, "to", out.State)
	return true, nil
}

// remindOfReview writes down that a break-glass still waits for its review; who is told of
// records hears of it. It comes again until somebody has reviewed it.
func (s *Steps) remindOfReview(ctx context.Context, r request.Request) error {
	err := s.Store.Apply(ctx, r.Note(s.machine(request.ActionRemind, request.RuleReviewDue,
		"Nobody has reviewed this break-glass yet.")))
	if errors.Is(err, request.ErrConflict) {
		return nil // reviewed just now
	}
	return err
}

// remind does what the schedule is for beside ending requests. Nothing of it may keep that
// from happening: it comes last.
func (s *Steps) remind(ctx context.Context) error {
	var errs []error
	if err := s.tellProblems(ctx); err != nil {
		errs = append(errs, fmt.Errorf("telling of the configuration: %w", err))
	}
	if s.Courier != nil {
		if _, err := s.Courier.Leftovers(ctx); err != nil {
			errs = append(errs, fmt.Errorf("delivering what was left: %w", err))
		}
	}
	if s.Chat != nil {
		if err := s.Chat.Remind(ctx, s.now()); err != nil {
			errs = append(errs, fmt.Errorf("reminding people: %w", err))
		}
	}
	return errors.Join(errs...)
}
