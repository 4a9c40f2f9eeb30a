package request

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Approve lets a request be granted, if the person may and nobody has decided before. Where the
// rules want several approvals it is granted with the last one, and this returns the request as
// it waits for the others.
func (s *Service) Approve(ctx context.Context, person, id, reason string) (Request, error) {
	return s.decide(ctx, person, id, reason, decision{
		action: ActionApprove, state: Approved, may: s.mayApprove,
	})
}

// Deny refuses a request, or withdraws it if the person is its requester. It withdraws a request
// that is approved but not granted yet, as [Service.Revoke] does.
func (s *Service) Deny(ctx context.Context, person, id, reason string) (Request, error) {
	return s.decide(ctx, person, id, reason, decision{
		action: ActionDeny, state: Denied, may: s.mayDeny,
	})
}

// CheckDenial tells whether a person may not deny a request, nor withdraw it, and writes nothing.
func (s *Service) CheckDenial(ctx context.Context, person, id string) error {
	r, err := s.get(ctx, id)
	if err != nil {
		return err
	}
	flow, err := s.flowOf(ctx, r)
	if err != nil {
		return err
	}
	_, err = s.mayDeny(ctx, flow, r, person)
	return err
}

type decision struct {
	action string
	state  State
	may    func(context.Context, Flow, Request, string) (permission, error)
}

// decide writes a decision and tells the workflow.
//
// The same decision by the same person is no conflict but a repetition: it changes nothing,
// and the workflow is told once more, in case it was not reached the first time.
func (s *Service) decide(ctx context.Context, person, id, reason string, d decision) (
	Request, error,
) {
	reason, err := checkReason(reason)
	if err != nil {
		return Request{}, err
	}
	return s.persist(ctx, id, func(r Request) (Request, error) {
		return s.decideNow(ctx, person, r, reason, d)
	})
}

// decideNow is one try of decide; [ErrConflict] if somebody wrote a record in between: another
// approval, another decision, or this same person, clicking twice.
func (s *Service) decideNow(
	ctx context.Context, person string, r Request, reason string, d decision,
) (Request, error) {
	if r.decidedAs(d.action, person) {
		return s.tellDecision(ctx, r, true)
	}
	if d.state == Denied && (r.State == Approved || r.withdrawnBy(person)) {
		return s.revoke(ctx, person, r, reason)
	}
	flow, err := s.flowOf(ctx, r)
	if err != nil {
		return Request{}, err
	}
	by, err := d.may(ctx, flow, r, person)
	if err != nil {
		return Request{}, err
	}
	if r.State != Requested {
		return Request{}, alreadyDecided(r)
	}
	if d.state == Approved && s.now().After(r.DecideBy().Add(lateDecision)) {
		return Request{}, s.tooLate(ctx, r)
	}
	act := Act{
		Action: d.action, By: person, At: s.now(), Reason: reason, Rule: by.rule,
		Because: by.because,
	}
	change := r.Change(d.state, act)
	if d.state == Approved {
		missing := s.missing(ctx, flow, r, person)
		if missing > 0 && r.approvedBy(person) {
			return r, nil // a repetition, and others are still asked
		}
		if missing > 0 {
			change = r.Note(act)
		}
		change.Request.ApprovalsNeeded = len(change.Request.Approvals) + missing
	}
	if err := s.Store.Apply(ctx, change); err != nil {
		return Request{}, err
	}
	s.Log.InfoContext(ctx, "request decided", "request_id", r.ID, "action", d.action,
		"by", person, "rule", by.rule, "state", change.Request.State)
	if change.Request.State == Requested {
		return change.Request, nil
	}
	// Read again, after the write: this is where the token is found that the workflow may have
	// left in between, see deliver.
	if r, err = s.get(ctx, r.ID); err != nil {
		return Request{}, err
	}
	return s.tellDecision(ctx, r, false)
}

// missing is how many approvals are still needed once this person's is there. Those that were
// given before count as long as who gave them may still approve.
func (s *Service) missing(ctx context.Context, f Flow, r Request, person string) int {
	needed := 1
	if set := f.Rules(r.Target.Name); set != nil {
		needed = max(1, set.Document().Approvals)
	}
	given := 1
	ctx = WithAccount(ctx, "") // the account is this person's, not the earlier approvers'
	for _, approval := range r.Approvals {
		if approval.By == person {
			continue
		}
		if _, err := s.mayApprove(ctx, f, r, approval.By); err == nil {
			given++
		}
	}
	return max(0, needed-given)
}

// approvedBy tells whether this person's approval is among those that were given.
func (r Request) approvedBy(person string) bool {
	return slices.ContainsFunc(r.Approvals, func(a Act) bool { return a.By == person })
}

// lateDecision is how long after its deadline a request can still be approved: the workflow's
// timer and our clock need not agree. Later than that no workflow waits for the approval, and
// where none ever ran the approval would start one.
const lateDecision = time.Minute

// tooLate ends a request that should have expired before, and says so.
func (s *Service) tooLate(ctx context.Context, r Request) error {
	change := r.Change(Expired, Act{
		Action: ActionExpire, By: ByWorkflow, At: s.now(), Rule: RuleApprovalTimeout,
		Reason: NobodyDecided,
	})
	err := s.Store.Apply(ctx, change)
	if err == nil {
		s.Log.InfoContext(ctx, "request expired", "request_id", r.ID, "seen_by", "an approval")
		return alreadyDecided(change.Request)
	}
	if !errors.Is(err, ErrConflict) {
		return err
	}
	current, err := s.get(ctx, r.ID)
	if err != nil {
		return err
	}
	return alreadyDecided(current)
}

// tellDecision tells the workflow of the decision, or of a later withdrawal, while it may still be
// waiting for it.
func (s *Service) tellDecision(ctx context.Context, r Request, repeated bool) (Request, error) {
	if r.State == Revoking && r.Withdrawn() {
		return s.deliverRevocation(ctx, r)
	}
	if r.State != Approved && r.State != Denied {
		return r, nil
	}
	return s.deliverDecision(ctx, r, repeated)
}

// deliverDecision tells the workflow of a decision that has been written.
func (s *Service) deliverDecision(ctx context.Context, r Request, repeated bool) (
	Request, error,
) {
	err := s.deliver(ctx, r, r.AskToken)
	switch {
	case err == nil:
		return r, nil
	case !errors.Is(err, ErrWorkflowEnded):
		return Request{}, failBecause(err, WorkflowNotReached, "Your decision stands: the request "+
			"%s is %s. Its workflow could not be told just now; it will notice by itself at %s at "+
			"the latest. Repeat your decision to tell it again.",
			r.ID, pastOf(r.Decision.Action), stamp(r.DecideBy()))
	}
	// A workflow ends soon after a denial, and is not needed for it.
	if r.State == Denied {
		return r, nil
	}
	return s.abandoned(ctx, r, repeated)
}

// abandoned deals with an approved request whose workflow has ended. If it ended by itself
// then it has left another state behind. If not then somebody has stopped it, and nobody will
// ever act on the approval. Where it was given before, the workflow may have begun to act: the
// reconciliation takes back what came of that.
func (s *Service) abandoned(ctx context.Context, r Request, repeated bool) (Request, error) {
	current, err := s.get(ctx, r.ID)
	if err != nil {
		return Request{}, err
	}
	if current.State != Approved {
		return current, nil
	}
	if repeated {
		return Request{}, failBecause(ErrWorkflowEnded, WorkflowEnded, "The workflow of the "+
			"request %s was stopped before it had granted the access. The request will fail, and "+
			"whatever was granted will be taken back, soon after %s. Ask %s to request the access "+
			"again.", r.ID, stamp(r.DecideBy()), r.Requester)
	}
	err = s.Store.Apply(ctx, current.Change(Failed, Act{
		Action: ActionFail, By: ByWorkflow, At: s.now(), Rule: RuleWorkflowFailure,
		Reason: "The workflow of the request was stopped before the access was granted.",
	}))
	if errors.Is(err, ErrConflict) {
		return s.abandoned(ctx, current, repeated) // withdrawn just now, or a record was added
	}
	if err != nil {
		return Request{}, err
	}
	return Request{}, failBecause(ErrWorkflowEnded, WorkflowEnded, "The workflow of the request "+
		"%s was stopped, so that your approval came too late: the request has failed, and nothing "+
		"was granted. Ask %s to request the access again.", r.ID, r.Requester)
}

// deliver brings a decision, or an early end, to the workflow that waits for it. The caller
// has written the new state, and has read the request, with its token, after that.
//
// No order of events loses the signal. The token and the state are attributes of one item,
// which DynamoDB writes one after the other:
//
//   - The workflow's step stored its token before the state was written: the caller, who read
//     after writing, holds the token and signals here.
//   - It stored its token after the state was written: storing answers with the item as it is
//     then, the step sees the new state, and signals its own token.
//   - Between our write and our read it stored its token: both signal. The second signal finds
//     nobody waiting, which is no error.
//   - The step is yet to come: it will see the state. That it does come is what Start makes
//     sure of, which does nothing where the workflow runs.
//   - The wait ran out at this moment: the workflow reads the state when it settles.
func (s *Service) deliver(ctx context.Context, r Request, token string) error {
	if token != "" {
		err := s.Workflows.Signal(ctx, token, r.State)
		if !errors.Is(err, ErrNotWaiting) {
			return err
		}
	}
	return s.Workflows.Start(ctx, r)
}

// decidedAs tells whether this person has taken this decision before.
func (r Request) decidedAs(action, person string) bool {
	return r.Decision != nil && r.Decision.Action == action && r.Decision.By == person
}

func alreadyDecided(r Request) error {
	switch {
	case r.Withdrawn() && r.Decision != nil:
		return fail(AlreadyDecided, "The request %s was withdrawn by %s at %s, and it is %s now. "+
			"Ask again if the access is still needed.", r.ID, r.Revocation.By,
			stamp(r.Revocation.At), r.State)
	case r.Decision == nil:
		return fail(AlreadyDecided, "The request %s has %s and cannot be decided any more: %s "+
			"Ask again if the access is still needed.", r.ID, r.State, r.Failure)
	case r.Decision.Action == ActionExpire:
		return fail(AlreadyDecided, "The request %s expired at %s: %s Ask again if the access is "+
			"still needed.", r.ID, stamp(r.Decision.At), r.Decision.Reason)
	default:
		next := ""
		if r.State == Active {
			next = " Revoke it to end the access."
		}
		return fail(AlreadyDecided, "The request %s was %s by %s at %s, and a decision is final. "+
			"It is %s now.%s", r.ID, pastOf(r.Decision.Action), r.Decision.By,
			stamp(r.Decision.At), r.State, next)
	}
}

func pastOf(action string) string {
	if action == ActionDeny {
		return "denied"
	}
	return "approved"
}

// stamp is a time in a message.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
