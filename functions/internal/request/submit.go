package request

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sym-postgres-quickstart/functions/internal/rules"
)

// MaxReason is the longest reason, in characters.
const MaxReason = 1000

// Submission is what a person asks for.
type Submission struct {
	Flow       string
	Target     string // a target's name, or its role's
	Reason     string
	Duration   *time.Duration // nil for the target's default
	BreakGlass bool

	// OnlyDenial is for what a person has been told already that a rule denies: it is written
	// down if one still does, and nothing happens if none does any more.
	OnlyDenial bool

	// Key makes the submission one, however often it is sent: the same person's second
	// submission with the same key is the first one. Empty for none.
	Key string

	extends string
}

// Check tells what [Service.Submit] would refuse, and writes nothing.
func (s *Service) Check(ctx context.Context, person string, sub Submission) error {
	id, err := s.newID(person, sub)
	if err != nil {
		return err
	}
	r, v, err := s.assess(ctx, person, id, sub)
	if err == nil && v.state == Denied {
		r.ID = "" // it is not written down
		return deniedByRule(r.Change(Denied, v.act).Request)
	}
	return err
}

// Submit checks what a person asks for, writes it down with what the rules say at once, and
// starts its workflow. Where that cannot be started the request is marked as failed: nobody
// could act on its approval. What a rule denies is written down, too, and refused with
// [DeniedByRule].
func (s *Service) Submit(ctx context.Context, person string, sub Submission) (Request, error) {
	id, err := s.newID(person, sub)
	if err != nil {
		return Request{}, err
	}
	if sub.Key != "" {
		r, err := s.Store.Get(ctx, id)
		if !errors.Is(err, ErrNotFound) {
			return s.repeated(ctx, r, sub, err)
		}
	}
	r, v, err := s.assess(ctx, person, id, sub)
	if err != nil {
		return Request{}, err
	}
	if sub.OnlyDenial && v.state != Denied {
		return Request{}, nil
	}
	changes := []Change{{Request: r, Record: Record{Sequence: 1, To: Requested, Act: Act{
		Action: ActionSubmit, By: person, At: r.CreatedAt, Reason: r.Reason, Rule: RuleRequester,
	}}}}
	if v.state != Requested {
		changes = append(changes, r.Change(v.state, v.act))
		r = changes[1].Request
	}
	switch err := s.Store.Create(ctx, changes...); {
	case errors.Is(err, ErrConflict) && sub.Key != "":
		// The same submission, a moment ago.
		r, err := s.Store.Get(ctx, id)
		return s.repeated(ctx, r, sub, err)
	case err != nil:
		return Request{}, err
	}
	s.Log.InfoContext(ctx, "request submitted", "request_id", r.ID, "requester", person,
		"flow", r.Flow, "target", r.Target.Name, "duration", r.Duration.String(),
		"state", r.State, "rule", v.act.Rule)
	return s.begin(ctx, r)
}

// begin starts the workflow of a request that was written, unless a rule has denied it.
func (s *Service) begin(ctx context.Context, r Request) (Request, error) {
	if r.State == Denied {
		return Request{}, deniedByRule(r)
	}
	if err := s.Workflows.Start(ctx, r); err != nil {
		return Request{}, s.neverStarted(ctx, r, err)
	}
	return r, nil
}

// repeated answers a submission that has been made before. Its workflow is started once more
// where it may not have been: the first try may have ended in between.
func (s *Service) repeated(ctx context.Context, r Request, sub Submission, err error) (
	Request, error,
) {
	switch {
	case err != nil:
		return Request{}, err
	case r.Fingerprint != sub.fingerprint():
		return Request{}, fail(KeyReused, "The idempotency key was used before, for the request "+
			"%s, which asks for something else. Send another key with another request.", r.ID)
	case r.Decision != nil && r.Decision.By == ByRules && r.State == Denied:
		return Request{}, deniedByRule(r)
	case r.State != Requested && r.State != Approved:
		return r, nil
	}
	err = s.Workflows.Start(ctx, r)
	if err == nil || errors.Is(err, ErrWorkflowEnded) {
		return r, nil
	}
	return Request{}, s.neverStarted(ctx, r, err)
}

// neverStarted marks a request as failed whose workflow could not be started. Should it have
// started after all, with only its answer lost, then it finds a failed request and ends.
//
// One that the rules have approved may be granted by now, if its workflow has started after all:
// that is left to the workflow, or to the reconciliation.
func (s *Service) neverStarted(ctx context.Context, r Request, cause error) error {
	if r.State == Approved {
		return failBecause(cause, WorkflowNotReached, "The request %s is approved by the rules, "+
			"but it could not be found out whether its workflow has started. See in a moment "+
			"whether it is active. If it is not, ask again: this one ends by itself soon after %s.",
			r.ID, stamp(r.DecideBy()))
	}
	// The time for this call may be what has run out; the mark is worth a little more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	change := r.Change(Failed, Act{
		Action: ActionFail, By: ByWorkflow, At: s.now(), Rule: RuleWorkflowFailure,
		Reason: "The workflow of the request could not be started.",
	})
	if err := s.Store.Apply(ctx, change); err != nil {
		s.Log.ErrorContext(ctx, "a request without a workflow could not be marked as failed",
			"request_id", r.ID, "error", err)
		cause = errors.Join(cause, err)
	}
	return failBecause(cause, WorkflowNotStarted, "The request %s was written down, but its "+
		"workflow could not be started, so it has failed and nothing was granted. Ask again in a "+
		"moment; if it fails again, tell whoever maintains the flow %s.", r.ID, quote(r.Flow))
}

// assess turns a submission into a request and checks it with the rules and the target's function,
// or returns a refusal.
func (s *Service) assess(ctx context.Context, person, id string, sub Submission) (
	Request, verdict, error,
) {
	flow, target, err := s.find(ctx, sub)
	if err != nil {
		return Request{}, verdict{}, err
	}
	reason, err := checkReason(sub.Reason)
	if err != nil {
		return Request{}, verdict{}, err
	}
	if reason == "" {
		return Request{}, verdict{}, fail(MissingReason, "The request gives no reason. Say in a "+
			"sentence what you need the access for: the approver decides by it.")
	}
	set := flow.Rules(target.Name)
	if set == nil {
		problem := flow.Problems[target.Name]
		if problem == nil {
			problem = errNoRules
		}
		return Request{}, verdict{}, s.misconfigured(ctx, flow, target.Name, person, problem)
	}
	d := set.Document()
	duration, err := durationOf(sub, &target, d.BreakGlass)
	if err != nil {
		return Request{}, verdict{}, err
	}
	// Whoever asks for what they have wants it for longer, by whatever name they ask.
	prolongs, err := s.Store.Holds(ctx, person, flow.Name, target.Name)
	if err != nil {
		return Request{}, verdict{}, err
	}
	now := s.now()
	r := Request{
		ID:              id,
		Account:         accountOf(ctx),
		Flow:            flow.Name,
		Target:          target,
		Requester:       person,
		Reason:          reason,
		Duration:        duration,
		Extends:         sub.extends,
		Prolongs:        prolongs,
		BreakGlass:      sub.BreakGlass,
		Terms:           set.Summary(),
		Workflow:        flow.StateMachineARN,
		LambdaConnector: flow.LambdaConnector,
		Channel:         flow.RequestChannel,
		TellApprovers:   flow.TellApprovers,
		ApprovalTimeout: time.Duration(d.ApprovalTimeoutSeconds) * time.Second,
		BackupAfter:     time.Duration(d.BackupAfterSeconds) * time.Second,
		BackupApprovers: d.BackupApprovers,
		Approvers:       d.Approvers,
		ApprovalsNeeded: max(1, d.Approvals),
		State:           Requested,
		Version:         1,
		CreatedAt:       now,
		UpdatedAt:       now,
	}
	if sub.Key != "" {
		r.Fingerprint = sub.fingerprint()
	}
	if sub.BreakGlass {
		r.ReviewDue = now.Add(ReviewEvery)
	}
	v, err := s.judge(ctx, flow, set, r)
	r.Asked = v.asked
	switch {
	case err != nil:
	case v.state == Denied:
		r.ReviewDue = time.Time{}
	case !sub.OnlyDenial:
		err = s.preview(ctx, &r)
	}
	return r, v, err
}

// find reads the flow and the target that a submission names.
func (s *Service) find(ctx context.Context, sub Submission) (Flow, Target, error) {
	flows, err := s.Flows.Flows(ctx)
	if err != nil {
		return Flow{}, Target{}, err
	}
	if sub.Flow == "" {
		return Flow{}, Target{}, fail(MissingField, "The field \"flow\" is missing or empty: the "+
			"request names no flow. %s", flowChoices(flows))
	}
	flow, err := findFlow(flows, sub.Flow)
	if err != nil {
		return Flow{}, Target{}, err
	}
	target, err := flow.find(sub.Target)
	return flow, target, err
}

// durationOf is how long the access lasts that is asked for. Broken glass may last shorter than
// what the target allows otherwise.
func durationOf(sub Submission, target *Target, glass *rules.BreakGlass) (time.Duration, error) {
	if !sub.BreakGlass || glass == nil || glass.MaxDurationSeconds == 0 {
		return checkDuration(sub.Duration, *target)
	}
	allowed := target.MaxDuration
	most := time.Duration(glass.MaxDurationSeconds) * time.Second
	if asked := sub.Duration; asked != nil && *asked > most && *asked <= allowed {
		return 0, fail(DurationTooLong, "The break-glass rule of the target %s allows at most %s "+
			"(%d seconds). Ask for that or less, or ask without breaking the glass, for up to %s.",
			quote(target.Name), Lasting(most), glass.MaxDurationSeconds, Lasting(allowed))
	}
	target.MaxDuration = min(allowed, most)
	target.DefaultDuration = min(target.DefaultDuration, most)
	return checkDuration(sub.Duration, Target{
		Name: target.Name, MaxDuration: allowed, DefaultDuration: target.DefaultDuration,
	})
}

// checkReason trims a reason and refuses what could not be shown or stored: PostgreSQL's text
// holds no NUL, and other control characters are of use to nobody but a terminal.
func checkReason(reason string) (string, error) {
	reason = strings.TrimFunc(reason, func(r rune) bool {
		// Format characters are invisible: a reason of nothing else is none.
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	})
	if n := utf8.RuneCountInString(reason); n > MaxReason {
		return "", fail(InvalidReason, "The reason has %d characters, and %d is the most. "+
			"Say it in fewer words.", n, MaxReason)
	}
	for _, r := range reason {
		if r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) {
			return "", fail(InvalidReason, "The reason has the character %U in it, which cannot "+
				"be shown. Write it in plain text.", r)
		}
	}
	return reason, nil
}

func checkDuration(asked *time.Duration, target Target) (time.Duration, error) {
	if asked == nil {
		return target.DefaultDuration, nil
	}
	switch d := *asked; {
	case d <= 0 || d%time.Second != 0:
		return 0, fail(InvalidDuration, "The duration has to be a whole number of seconds "+
			"above zero.")
	case d > target.MaxDuration:
		return 0, fail(DurationTooLong, "The target %s allows at most %s (%d seconds). "+
			"Ask for that or less, and again when you need longer.", quote(target.Name),
			Lasting(target.MaxDuration), int64(target.MaxDuration/time.Second))
	default:
		return d, nil
	}
}
