package request_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
)

const (
	alice = "alice@example.com" // asks
	bob   = "bob@example.com"   // approves
	carol = "carol@example.com" // approves
	dave  = "dave@example.com"  // approves where the others do not, in some tests
	erin  = "erin@example.com"  // is on call, in some tests
	mallo = "mallo@example.com" // does none of it
)

// desk is a service with everything around it in the test's hands.
type desk struct {
	*request.Service
	store     *requesttest.Memory
	workflows *requesttest.Workflows
	clock     *requesttest.Clock
	flow      *request.Flow
	reported  *[]request.Trouble
}

// newDesk has one flow, whose targets share one set of rules.
func newDesk(change ...func(*rules.Document)) desk {
	document := rules.Document{
		Approvers: []string{bob, carol}, Approvals: 1, ApprovalTimeoutSeconds: 3600,
	}
	for _, c := range change {
		c(&document)
	}
	flow := request.Flow{
		Name: "postgres", StateMachineARN: "arn:machine", LambdaConnector: "arn:connector",
		Groups: map[string][]string{"on_call": {erin}}, RequestChannel: "#access",
		Targets: []request.Target{
			{Name: "postgres-readonly", RoleName: "readonly", FunctionARN: "arn:function",
				DefaultDuration: 30 * time.Minute, MaxDuration: time.Hour},
			{Name: "postgres-readwrite", RoleName: "readwrite", FunctionARN: "arn:function",
				DefaultDuration: 5 * time.Minute, MaxDuration: 10 * time.Minute},
			{Name: "east-admin", RoleName: "admin"}, {Name: "west-admin", RoleName: "admin"},
		},
	}
	d := desk{
		store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows(),
		clock: requesttest.NewClock(), flow: &flow, reported: &[]request.Trouble{},
	}
	d.setRules(document)
	var last atomic.Int64
	d.Service = &request.Service{
		Store: d.store, Flows: d.flows(), Workflows: d.workflows,
		Now: d.clock.Now, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { return fmt.Sprint("request-", last.Add(1)) },
		Report: func(_ context.Context, trouble request.Trouble) {
			*d.reported = append(*d.reported, trouble)
		},
	}
	return d
}

func (d desk) flows() request.Flows { return requesttest.Flows{*d.flow} }

// setRules gives all targets other rules.
func (d *desk) setRules(document rules.Document) {
	d.flow.TargetRules, d.flow.Problems = map[string]*rules.Rules{}, map[string]error{}
	set, err := rules.Compile(document)
	for _, target := range d.flow.Targets {
		if err != nil {
			d.flow.Problems[target.Name] = err
			continue
		}
		d.flow.TargetRules[target.Name] = set
	}
	if d.Service != nil {
		d.Flows = d.flows()
	}
}

func (d desk) submit(t *testing.T) request.Request {
	t.Helper()
	r, err := d.Submit(t.Context(), alice, request.Submission{
		Flow: "postgres", Target: "readonly", Reason: "Look at order 4711",
	})
	require.NoError(t, err)
	return r
}

// move takes a request on without the workflow.
func (d desk) move(t *testing.T, id string, states ...request.State) {
	t.Helper()
	for _, state := range states {
		r, err := d.store.Get(t.Context(), id)
		require.NoError(t, err)
		change := r.Change(state, request.Act{By: request.ByWorkflow, At: d.clock.Now()})
		if state == request.Active {
			change.Request.ExpiresAt = d.clock.Now().Add(r.Duration)
		}
		require.NoError(t, d.store.Apply(t.Context(), change))
	}
}

func (d desk) state(t *testing.T, id string) request.State {
	t.Helper()
	r, err := d.store.Get(t.Context(), id)
	require.NoError(t, err)
	return r.State
}

func codeOf(err error) request.Code {
	if refusal, ok := errors.AsType[*request.Error](err); ok {
		return refusal.Code
	}
	return request.Code(fmt.Sprintf("%T: %v", err, err))
}

func seconds(n float64) *time.Duration {
	d := time.Duration(n * float64(time.Second))
	return &d
}

func TestSubmit(t *testing.T) {
	d := newDesk()
	r, err := d.Submit(t.Context(), alice, request.Submission{
		Flow: "postgres", Target: "readwrite", Reason: "  Fix order 4711\n", Duration: seconds(60),
	})
	require.NoError(t, err)
	assert.Equal(t, request.Requested, r.State)
	assert.Equal(t, "postgres-readwrite", r.Target.Name)
	assert.Equal(t, "Fix order 4711", r.Reason)
	assert.Equal(t, time.Minute, r.Duration)
	assert.Equal(t, 1, d.workflows.Started(r.ID))

	story, err := d.Show(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, r, story.Request)
	require.Len(t, story.Records, 1)
	assert.Equal(t, request.Act{
		Action: "submit", By: alice, At: d.clock.Now(), Reason: "Fix order 4711",
		Rule: "requester",
	}, story.Records[0].Act)

	r, err = d.Submit(t.Context(), alice, request.Submission{
		Flow: "postgres", Target: "postgres-readonly", Reason: "x",
	})
	require.NoError(t, err)
	assert.Equal(t, 30*time.Minute, r.Duration, "the target's default")
}

func TestSubmitRefuses(t *testing.T) {
	tests := []struct {
		name     string
		sub      request.Submission
		code     request.Code
		sentence string
	}{
		{"no such flow", request.Submission{Flow: "mysql", Target: "readonly", Reason: "x"},
			request.UnknownFlow, "The flows are postgres."},
		{"no flow", request.Submission{Target: "readonly", Reason: "x"},
			request.MissingField, `"flow" is missing or empty: the request names no flow. The flows`},
		{"no target", request.Submission{Flow: "postgres", Reason: "x"},
			request.UnknownTarget, `"target" is missing or empty`},
		{"no such target", request.Submission{Flow: "postgres", Target: "root", Reason: "x"},
			request.UnknownTarget, "postgres-readonly, postgres-readwrite"},
		{"a role that two targets give",
			request.Submission{Flow: "postgres", Target: "admin", Reason: "x"},
			request.UnknownTarget, "east-admin, west-admin"},
		{"no reason", request.Submission{Flow: "postgres", Target: "readonly"},
			request.MissingReason, ""},
		{"a reason of spaces",
			request.Submission{Flow: "postgres", Target: "readonly", Reason: " \n\u00a0\u200b"},
			request.MissingReason, ""},
		{"a reason with a NUL",
			request.Submission{Flow: "postgres", Target: "readonly", Reason: "a\x00b"},
			request.InvalidReason, "U+0000"},
		{"too long a reason", request.Submission{
			Flow: "postgres", Target: "readonly", Reason: strings.Repeat("é", 1001)},
			request.InvalidReason, "1001"},
		{"a duration of zero", request.Submission{
			Flow: "postgres", Target: "readonly", Reason: "x", Duration: seconds(0)},
			request.InvalidDuration, ""},
		{"a negative duration", request.Submission{
			Flow: "postgres", Target: "readonly", Reason: "x", Duration: seconds(-1)},
			request.InvalidDuration, ""},
		{"half a second", request.Submission{
			Flow: "postgres", Target: "readonly", Reason: "x", Duration: seconds(1.5)},
			request.InvalidDuration, ""},
		{"above the target's maximum", request.Submission{
			Flow: "postgres", Target: "readonly", Reason: "x", Duration: seconds(3601)},
			request.DurationTooLong, "3600 seconds"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk()
			_, err := d.Submit(t.Context(), alice, test.sub)
			assert.Equal(t, test.code, codeOf(err))
			assert.ErrorContains(t, err, test.sentence)
			page, err := d.List(t.Context(), request.Query{})
			require.NoError(t, err)
			assert.Empty(t, page.Requests, "nothing is written")
		})
	}
	t.Run("but a reason of a thousand characters is fine", func(t *testing.T) {
		_, err := newDesk().Submit(t.Context(), alice, request.Submission{
			Flow: "postgres", Target: "readonly", Reason: strings.Repeat("é", 1000),
			Duration: seconds(3600),
		})
		assert.NoError(t, err)
	})
}

// TestSubmitWithoutWorkflow checks that a request which nobody will act on does not look as if
// it waited for a decision.
func TestSubmitWithoutWorkflow(t *testing.T) {
	d := newDesk()
	d.workflows.SetErrors(errors.New("no such state machine"), nil)
	_, err := d.Submit(t.Context(), alice, request.Submission{
		Flow: "postgres", Target: "readonly", Reason: "x",
	})
	assert.Equal(t, request.WorkflowNotStarted, codeOf(err))
	assert.NotContains(t, err.Error(), "no such state machine", "the inside stays inside")
	story, err := d.Show(t.Context(), "request-1")
	require.NoError(t, err)
	assert.Equal(t, request.Failed, story.Request.State)
	require.Len(t, story.Records, 2)
	assert.Equal(t, request.RuleWorkflowFailure, story.Records[1].Rule)
}

// TestRules is the table of who may do what with Alice's request.
func TestRules(t *testing.T) {
	self := func(d *rules.Document) { d.AllowSelfApproval = true }
	empty := func(d *rules.Document) { d.Approvers = nil }
	withAlice := func(d *rules.Document) { d.Approvers = append(d.Approvers, alice) }
	approve := (*request.Service).Approve
	deny := (*request.Service).Deny
	revoke := (*request.Service).Revoke
	type do = func(*request.Service, context.Context, string, string, string) (
		request.Request, error)
	tests := []struct {
		name   string
		flow   []func(*rules.Document)
		active bool
		person string
		do     do
		want   string // the rule, or the code of the refusal
	}{
		{"an approver approves", nil, false, bob, approve, "approver"},
		{"an approver denies", nil, false, carol, deny, "approver"},
		{"a stranger approves", nil, false, mallo, approve, "not_an_approver"},
		{"a stranger denies", nil, false, mallo, deny, "not_an_approver"},
		{"the requester approves", nil, false, alice, approve, "self_approval"},
		{"the requester approves and is an approver", []func(*rules.Document){withAlice}, false,
			alice, approve, "self_approval"},
		{"the requester withdraws", nil, false, alice, deny, "requester"},
		{"self-approval, no approvers", []func(*rules.Document){self, empty}, false,
			alice, approve, "self_approval"},
		{"self-approval, listed", []func(*rules.Document){self, withAlice}, false,
			alice, approve, "self_approval"},
		{"self-approval, not listed", []func(*rules.Document){self}, false,
			alice, approve, "not_an_approver"},
		{"self-approval opens nothing to strangers", []func(*rules.Document){self, empty}, false,
			mallo, approve, "not_an_approver"},
		{"the requester revokes", nil, true, alice, revoke, "requester"},
		{"an approver revokes", nil, true, carol, revoke, "approver"},
		{"a stranger revokes", nil, true, mallo, revoke, "not_allowed_to_revoke"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(test.flow...)
			r := d.submit(t)
			if test.active {
				d.move(t, r.ID, request.Approved, request.Active)
			}
			before := d.state(t, r.ID)
			got, err := test.do(d.Service, t.Context(), test.person, r.ID, "because")
			if err != nil {
				code := string(codeOf(err))
				assert.Equal(t, test.want, code)
				assert.Equal(t, before, d.state(t, r.ID), "a refusal changes nothing")
				return
			}
			act := got.Decision
			if test.active {
				act = got.Revocation
			}
			assert.Equal(t, test.want, act.Rule)
			assert.Equal(t, test.person, act.By)
			assert.Equal(t, "because", act.Reason)
			story, err := d.Show(t.Context(), r.ID)
			require.NoError(t, err)
			assert.Equal(t, *act, story.Records[len(story.Records)-1].Act)
		})
	}
	t.Run("the wrong codes are not confused with rules", func(t *testing.T) {
		// self_approval is both; tell them apart here.
		d := newDesk()
		_, err := d.Approve(t.Context(), alice, d.submit(t).ID, "")
		assert.Equal(t, request.SelfApproval, codeOf(err))
		d = newDesk(self, empty)
		r, err := d.Approve(t.Context(), alice, d.submit(t).ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Approved, r.State)
	})
}

func TestDecideRefuses(t *testing.T) {
	d := newDesk()
	_, err := d.Approve(t.Context(), bob, "nowhere", "")
	assert.Equal(t, request.NotFound, codeOf(err))
	_, err = d.Approve(t.Context(), bob, strings.Repeat("x", 5000), "")
	assert.Equal(t, request.NotFound, codeOf(err))

	r := d.submit(t)
	_, err = d.Approve(t.Context(), bob, r.ID, strings.Repeat("x", 1001))
	assert.Equal(t, request.InvalidReason, codeOf(err))
	_, err = d.Deny(t.Context(), bob, r.ID, "not today")
	require.NoError(t, err)
	for _, person := range []string{bob, carol} {
		_, err = d.Approve(t.Context(), person, r.ID, "")
		assert.Equal(t, request.AlreadyDecided, codeOf(err))
		assert.ErrorContains(t, err, "denied by "+bob)
	}
	_, err = d.Deny(t.Context(), carol, r.ID, "")
	assert.Equal(t, request.AlreadyDecided, codeOf(err), "the same, but by somebody else")
	_, err = d.Deny(t.Context(), alice, r.ID, "")
	assert.Equal(t, request.AlreadyDecided, codeOf(err), "only an open request is withdrawn")

	r = d.submit(t)
	change := r.Change(request.Expired, request.Act{
		Action: request.ActionExpire, By: request.ByWorkflow, At: d.clock.Now(),
		Reason: "The workflow could not wait for a decision.",
	})
	require.NoError(t, d.store.Apply(t.Context(), change))
	_, err = d.Approve(t.Context(), bob, r.ID, "")
	assert.Equal(t, request.AlreadyDecided, codeOf(err))
	assert.ErrorContains(t, err, ": The workflow could not wait for a decision. Ask again")
}

// TestApproveTooLate checks that no approval opens anything once its time is long over,
// whether or not a workflow ever ran.
func TestApproveTooLate(t *testing.T) {
	d := newDesk()
	r := d.submit(t)
	d.clock.Advance(time.Hour + time.Minute)
	got, err := d.Approve(t.Context(), bob, r.ID, "")
	require.NoError(t, err, "clocks need not agree")
	assert.Equal(t, request.Approved, got.State)

	r = d.submit(t)
	d.clock.Advance(time.Hour + time.Minute + time.Millisecond)
	_, err = d.Approve(t.Context(), mallo, r.ID, "")
	assert.Equal(t, request.NotAnApprover, codeOf(err))
	assert.Equal(t, request.Requested, d.state(t, r.ID), "a stranger changes nothing")
	for range 2 {
		_, err = d.Approve(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.AlreadyDecided, codeOf(err))
		assert.ErrorContains(t, err, request.NobodyDecided)
	}
	assert.Equal(t, 1, d.workflows.Started(r.ID), "no workflow is started for it")
	story, err := d.Show(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, request.Expired, story.Request.State)
	assert.Equal(t, request.RuleApprovalTimeout, story.Records[1].Rule)

	r = d.submit(t)
	d.clock.Advance(48 * time.Hour)
	d.store.Fail = func(operation string) error {
		if operation == "apply" {
			d.store.Fail = nil
			d.move(t, r.ID, request.Denied)
		}
		return nil
	}
	_, err = d.Approve(t.Context(), bob, r.ID, "")
	assert.Equal(t, request.AlreadyDecided, codeOf(err))
	assert.Equal(t, request.Denied, d.state(t, r.ID), "what was written first stands")
}

// TestSignal checks that the workflow hears of a decision however it and the person interleave;
// the workflow's side is tested with the steps.
func TestSignal(t *testing.T) {
	t.Run("the workflow waits", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Approved, d.workflows.Told("ask"))
	})
	t.Run("the token comes between reading and writing", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.store.Fail = func(operation string) error {
			if operation == "apply" {
				d.store.Fail = nil
				d.wait(t, r.ID)
			}
			return nil
		}
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Approved, d.workflows.Told("ask"))
	})
	t.Run("the workflow is yet to come", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, 2, d.workflows.Started(r.ID), "it is made sure that there is one")
	})
	t.Run("the signal fails, and the repetition reaches it", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		d.workflows.SetErrors(nil, errors.New("throttled"))
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.WorkflowNotReached, codeOf(err))
		assert.ErrorContains(t, err, "stands")
		assert.Equal(t, request.Approved, d.state(t, r.ID))

		d.workflows.SetErrors(nil, nil)
		_, err = d.Approve(t.Context(), carol, r.ID, "")
		assert.Equal(t, request.AlreadyDecided, codeOf(err), "somebody else is not a repetition")
		got, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Approved, got.State)
		assert.Equal(t, request.Approved, d.workflows.Told("ask"))
		story, err := d.Show(t.Context(), r.ID)
		require.NoError(t, err)
		assert.Len(t, story.Records, 2, "a repetition is no transition")
	})
	t.Run("repeating an approval later says how it stands", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		d.move(t, r.ID, request.Active)
		got, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Active, got.State)
	})
	t.Run("the workflow was stopped", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		d.workflows.Stop(r.ID)
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.WorkflowEnded, codeOf(err))
		assert.Equal(t, request.Failed, d.state(t, r.ID))
	})
	t.Run("the workflow was stopped after it had heard of it", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		d.workflows.Stop(r.ID)
		_, err = d.Approve(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.WorkflowEnded, codeOf(err))
		assert.ErrorContains(t, err, "taken back")
		assert.Equal(t, request.Approved, d.state(t, r.ID),
			"it may have granted something, so it cannot be left at that")
	})
	t.Run("the workflow was stopped, and a denial is a denial", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.workflows.Stop(r.ID)
		got, err := d.Deny(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Denied, got.State)
	})
}

func TestRevoke(t *testing.T) {
	t.Run("wakes the workflow", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.hold(t, r.ID)
		got, err := d.Revoke(t.Context(), alice, r.ID, "finished")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, got.State)
		assert.Equal(t, request.Revoking, d.workflows.Told("hold"))
	})
	t.Run("again tells the workflow again", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.hold(t, r.ID)
		d.workflows.SetErrors(nil, errors.New("throttled"))
		_, err := d.Revoke(t.Context(), alice, r.ID, "")
		assert.Equal(t, request.WorkflowNotReached, codeOf(err))
		d.workflows.SetErrors(nil, nil)
		got, err := d.Revoke(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, alice, got.Revocation.By)
		assert.Equal(t, request.Revoking, d.workflows.Told("hold"))
		story, err := d.Show(t.Context(), r.ID)
		require.NoError(t, err)
		assert.Len(t, story.Records, 4)
	})
	t.Run("stands where the workflow was stopped, and is overdue at once", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.hold(t, r.ID)
		d.workflows.Stop(r.ID)
		got, err := d.Revoke(t.Context(), alice, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, got.State)
		overdue, err := d.store.Overdue(t.Context(), d.clock.Now(), 10)
		require.NoError(t, err)
		require.Len(t, overdue, 1)
		assert.Equal(t, r.ID, overdue[0].ID)
	})
	for _, path := range [][]request.State{
		{}, {request.Denied}, {request.Expired},
		{request.Approved, request.Failed},
		{request.Approved, request.Active, request.Revoking, request.Done},
	} {
		t.Run(fmt.Sprintf("refuses after %v", path), func(t *testing.T) {
			d := newDesk()
			r := d.submit(t)
			d.move(t, r.ID, path...)
			before := d.state(t, r.ID)
			_, err := d.Revoke(t.Context(), alice, r.ID, "")
			assert.Equal(t, request.NotActive, codeOf(err))
			assert.Equal(t, before, d.state(t, r.ID))
		})
	}
	t.Run("of the requester works without the flow", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.Flows = requesttest.Flows{}
		_, err := d.Revoke(t.Context(), mallo, r.ID, "")
		assert.Equal(t, request.NotAllowedToRevoke, codeOf(err))
		_, err = d.Revoke(t.Context(), alice, r.ID, "")
		assert.NoError(t, err)
	})
	t.Run("of an approver works without the flow", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.Flows = requesttest.Flows{}
		_, err := d.Revoke(t.Context(), bob, r.ID, "")
		assert.NoError(t, err, "who could decide when it was asked for can end it")
	})
	t.Run("is tried again where a record came in between", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.store.Fail = func(operation string) error {
			if operation == "apply" {
				d.store.Fail = nil
				now, err := d.store.Get(t.Context(), r.ID)
				require.NoError(t, err)
				require.NoError(t, d.store.Apply(t.Context(), now.Note(request.Act{
					Action: request.ActionReview, By: carol, At: d.clock.Now(),
				})))
			}
			return nil
		}
		got, err := d.Revoke(t.Context(), bob, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, got.State)
	})
}

// TestDecideRace has twenty people click at once: one decision stands, and everybody else is
// told whose it was. One who denies what has just been approved may withdraw it, since nothing is
// granted yet.
func TestDecideRace(t *testing.T) {
	var people []string
	for i := range 20 {
		people = append(people, fmt.Sprintf("approver%d@example.com", i))
	}
	d := newDesk(func(d *rules.Document) { d.Approvers = people })
	r := d.submit(t)
	d.wait(t, r.ID)
	var approved, denied atomic.Int32
	var wg sync.WaitGroup
	for i, person := range people {
		wg.Go(func() {
			decide, won := d.Approve, &approved
			if i%2 == 1 {
				decide, won = d.Deny, &denied
			}
			_, err := decide(t.Context(), person, r.ID, "")
			if err == nil {
				won.Add(1)
			} else if codeOf(err) != request.AlreadyDecided {
				t.Errorf("%s: %v", person, err)
			}
		})
	}
	wg.Wait()
	story, err := d.Show(t.Context(), r.ID)
	require.NoError(t, err)
	var acts []string
	for _, record := range story.Records {
		acts = append(acts, record.Action)
	}
	assert.LessOrEqual(t, approved.Load(), int32(1))
	assert.Equal(t, int(approved.Load()+denied.Load()), len(acts)-1, "each that won left a record")
	switch got := story.Request; got.State {
	case request.Denied:
		assert.Equal(t, []string{"submit", "deny"}, acts)
	default:
		assert.Equal(t, request.Revoking, got.State, "somebody denied it after the approval")
		assert.Equal(t, []string{"submit", "approve", "revoke"}, acts)
	}
	assert.NotEmpty(t, d.workflows.Told("ask"), "the workflow has heard of it")
}

func TestList(t *testing.T) {
	d := newDesk()
	for range 3 {
		d.submit(t)
		d.clock.Advance(time.Second)
	}
	page, err := d.List(t.Context(), request.Query{Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Requests, 2)
	assert.Equal(t, "request-3", page.Requests[0].ID)
	page, err = d.List(t.Context(), request.Query{Limit: 2, Next: page.Next})
	require.NoError(t, err)
	assert.Equal(t, "request-1", page.Requests[0].ID)

	for _, test := range []struct {
		query request.Query
		code  request.Code
	}{
		{request.Query{State: "gone"}, request.InvalidState},
		{request.Query{Limit: -1}, request.InvalidLimit},
		{request.Query{Limit: 101}, request.InvalidLimit},
		{request.Query{Next: "nonsense"}, request.InvalidNext},
	} {
		_, err := d.List(t.Context(), test.query)
		assert.Equal(t, test.code, codeOf(err))
	}
}

// TestTransitions holds the states against the picture in the documentation.
func TestTransitions(t *testing.T) {
	legal := map[request.State]string{
		request.Requested: "approved denied expired failed",
		request.Approved:  "active failed revoking",
		request.Active:    "revoking",
		request.Revoking:  "done",
	}
	for _, from := range request.States {
		for _, to := range request.States {
			change := func() { request.Request{State: from}.Change(to, request.Act{}) }
			if strings.Contains(" "+legal[from]+" ", " "+string(to)+" ") {
				assert.NotPanics(t, change, "%s to %s", from, to)
			} else {
				assert.Panics(t, change, "%s to %s", from, to)
			}
		}
	}
}

func TestEmail(t *testing.T) {
	assert.Equal(t, "alice@example.com", request.Email("Alice@Example.COM"))
	assert.NotEqual(t, "kim@example.com", request.Email("\u212aim@example.com"),
		"a Kelvin sign is no k")
}

// wait and hold do what the workflow does before its steps ask and hold.
func (d desk) wait(t *testing.T, id string) {
	t.Helper()
	d.workflows.Wait("ask")
	_, err := d.store.StoreAskToken(t.Context(), id, "ask")
	require.NoError(t, err)
}

func (d desk) hold(t *testing.T, id string) {
	t.Helper()
	d.workflows.Wait("hold")
	_, err := d.store.StoreHoldToken(t.Context(), id, "hold")
	require.NoError(t, err)
}
