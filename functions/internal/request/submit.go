package request

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxReason is the longest reason, in characters.
const MaxReason = 1000

// Submission is what a person asks for.
type Submission struct {
	Flow     string
	Target   string // a target's name, or its role's
	Reason   string
	Duration *time.Duration // nil for the target's default
}

// Submit checks what a person asks for, writes it down and starts its workflow. Where that
// cannot be started the request is marked as failed: nobody could act on its approval.
func (s *Service) Submit(ctx context.Context, person string, sub Submission) (Request, error) {
	r, err := s.check(ctx, sub)
	if err != nil {
		return Request{}, err
	}
	r.ID, r.Requester = s.NewID(), person
	r.State, r.Version = Requested, 1
	r.CreatedAt = s.now()
	r.UpdatedAt = r.CreatedAt
	first := Record{Sequence: 1, To: Requested, Act: Act{
		Action: ActionSubmit, By: person, At: r.CreatedAt, Reason: r.Reason, Rule: RuleRequester,
	}}
	if err := s.Store.Create(ctx, Change{Request: r, Record: first}); err != nil {
		return Request{}, err
	}
	if err := s.Workflows.Start(ctx, r); err != nil {
		return Request{}, s.neverStarted(ctx, r, err)
	}
	s.Log.InfoContext(ctx, "request submitted", "request_id", r.ID, "requester", person,
		"flow", r.Flow, "target", r.Target.Name, "duration", r.Duration.String())
	return r, nil
}

// neverStarted marks a request as failed whose workflow could not be started. Should it have
// started after all, with only its answer lost, then it finds a failed request and ends.
func (s *Service) neverStarted(ctx context.Context, r Request, cause error) error {
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

// check turns a submission into a request, or says what is wrong with it.
func (s *Service) check(ctx context.Context, sub Submission) (Request, error) {
	flows, err := s.Flows.Flows(ctx)
	if err != nil {
		return Request{}, err
	}
	if sub.Flow == "" {
		return Request{}, fail(MissingField, "The field \"flow\" is missing or empty: the "+
			"request names no flow. %s", flowChoices(flows))
	}
	flow, err := findFlow(flows, sub.Flow)
	if err != nil {
		return Request{}, err
	}
	target, err := flow.find(sub.Target)
	if err != nil {
		return Request{}, err
	}
	reason, err := checkReason(sub.Reason)
	if err != nil {
		return Request{}, err
	}
	if reason == "" {
		return Request{}, fail(MissingReason, "The request gives no reason. Say in a sentence "+
			"what you need the access for: the approver decides by it.")
	}
	duration, err := checkDuration(sub.Duration, target)
	if err != nil {
		return Request{}, err
	}
	return Request{
		Flow:            flow.Name,
		Target:          target,
		Reason:          reason,
		Duration:        duration,
		Workflow:        flow.StateMachineARN,
		LambdaConnector: flow.LambdaConnector,
		Channel:         flow.RequestChannel,
		ApprovalTimeout: flow.ApprovalTimeout,
	}, nil
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
		return 0, fail(DurationTooLong, "The target %s can be had for %d seconds at most. Ask "+
			"for that or less, and again when you need longer.", quote(target.Name),
			int64(target.MaxDuration/time.Second))
	default:
		return d, nil
	}
}
