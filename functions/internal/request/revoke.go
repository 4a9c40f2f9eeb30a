package request

import (
	"context"
	"errors"
)

// Revoke ends a request's access before its time. It only writes that it shall end and wakes
// the workflow, which then takes the role away as it does at the expiry; where the workflow was
// stopped the reconciliation does, within about a minute. Revoking what is being revoked
// already tells the workflow again.
//
// It withdraws a request that is approved but not granted yet: the workflow no longer grants it,
// and takes back a grant that is already in progress.
func (s *Service) Revoke(ctx context.Context, person, id, reason string) (Request, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return Request{}, err
	}
	return s.persist(ctx, id, func(r Request) (Request, error) {
		return s.revoke(ctx, person, r, reason)
	})
}

// revoke is one try of [Service.Revoke]; [ErrConflict] if somebody wrote a record in between.
func (s *Service) revoke(ctx context.Context, person string, r Request, reason string) (
	Request, error,
) {
	by := permission{rule: RuleRequester}
	// The requester's right does not hang on the configuration being readable.
	if !r.Owns(ctx, person) {
		flow, err := s.flowOf(ctx, r)
		if err != nil {
			return Request{}, err
		}
		if by, err = s.mayRevoke(flow, r, person); err != nil {
			return Request{}, err
		}
	}
	if r.State == Active || r.State == Approved {
		err := s.Store.Apply(ctx, r.Change(Revoking, Act{
			Action: ActionRevoke, By: person, At: s.now(), Reason: reason, Rule: by.rule,
		}))
		if err != nil {
			return Request{}, err
		}
		s.Log.InfoContext(ctx, "request revoked", "request_id", r.ID, "by", person,
			"rule", by.rule, "from", r.State)
		// After the write, for the token; see deliver.
		if r, err = s.get(ctx, r.ID); err != nil {
			return Request{}, err
		}
	}
	switch r.State {
	case Revoking:
		return s.deliverRevocation(ctx, r)
	case Done:
		if r.Revocation != nil && r.Revocation.By == person {
			return r, nil // a repetition, or the workflow was faster than our reading
		}
	}
	return Request{}, notActive(r)
}

// withdrawnBy tells whether this person withdrew the request after its approval.
func (r Request) withdrawnBy(person string) bool {
	return r.Withdrawn() && r.Revocation.By == person
}

func (s *Service) deliverRevocation(ctx context.Context, r Request) (Request, error) {
	token := r.HoldToken
	if r.Withdrawn() {
		// The workflow may still be waiting for the decision. If it is further on, it no longer
		// grants the request, and the step hold sees the withdrawal by itself.
		token = r.AskToken
	}
	err := s.deliver(ctx, r, token)
	switch {
	case err == nil:
		return r, nil
	case !errors.Is(err, ErrWorkflowEnded):
		if r.Withdrawn() {
			return Request{}, failBecause(err, WorkflowNotReached, "The request %s is withdrawn, "+
				"but its workflow could not be told just now. The workflow will notice at its next "+
				"step; to tell it sooner, withdraw the request again.", r.ID)
		}
		return Request{}, failBecause(err, WorkflowNotReached, "The revocation of the request %s "+
			"stands, but its workflow could not be told just now. Repeat the revocation to tell it "+
			"again; otherwise the access ends when its time is over.", r.ID)
	}
	// It ended by itself just now, and the state says so; or somebody has stopped it. Then the
	// request stays in revoking, which is overdue from its first moment: the next reconciliation
	// takes the role away.
	s.Log.WarnContext(ctx, "the workflow of a revoked request has ended", "request_id", r.ID)
	return s.get(ctx, r.ID)
}

func notActive(r Request) error {
	switch r.State {
	case Requested:
		return fail(NotActive, "The request %s is not decided yet, so there is nothing to revoke. "+
			"Deny it to withdraw it.", r.ID)
	case Done:
		if r.GrantedAt.IsZero() {
			return fail(NotActive, "The request %s was withdrawn before anything was granted.",
				r.ID)
		}
		return fail(NotActive, "The access of the request %s has ended already, at %s.", r.ID,
			stamp(r.DoneAt))
	case Failed:
		if !r.GrantedAt.IsZero() {
			return fail(NotActive, "The request %s has failed, and its access has been taken back.",
				r.ID)
		}
		fallthrough
	default:
		return fail(NotActive, "The request %s is %s: nothing was granted that could be revoked.",
			r.ID, r.State)
	}
}
