package request_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// ask submits what a test is about, as whoever asks.
func (d desk) ask(t *testing.T, person string, change ...func(*request.Submission)) (
	request.Request, error,
) {
	t.Helper()
	sub := request.Submission{Flow: "postgres", Target: "readonly", Reason: "Look at order 4711"}
	for _, c := range change {
		c(&sub)
	}
	return d.Submit(t.Context(), person, sub)
}

func glass(sub *request.Submission) { sub.BreakGlass = true }

func (d desk) none(t *testing.T) {
	t.Helper()
	page, err := d.List(t.Context(), request.Query{})
	require.NoError(t, err)
	assert.Empty(t, page.Requests, "nothing is written")
}

func TestApprovedAtOnce(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{
			{Name: "on call", When: `"on_call" in requester.groups`},
		}
	})
	r, err := d.ask(t, erin)
	require.NoError(t, err)
	assert.Equal(t, request.Approved, r.State)
	assert.Equal(t, request.ByRules, r.Decision.By)
	assert.Equal(t, `approve_at_once "on call"`, r.Decision.Rule)
	assert.Contains(t, r.Decision.Because, `"on_call" in requester.groups`)
	assert.Equal(t, 1, d.workflows.Started(r.ID))
	assert.Equal(t, []string{"submit by " + erin, "approve by rules"}, d.actions(t, r.ID))

	r, err = d.ask(t, alice)
	require.NoError(t, err)
	assert.Equal(t, request.Requested, r.State)
}

func TestDeniedOutright(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
		d.Deny = []rules.Denial{{
			Name: "long", When: `request.duration > duration("20m")`,
			Message: "Nobody needs that long.",
		}}
		d.BreakGlass = &rules.BreakGlass{People: []string{alice}}
	})
	for name, change := range map[string]func(*request.Submission){
		"asked for": func(*request.Submission) {}, "by broken glass": glass,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.ask(t, alice, change)
			assert.Equal(t, request.DeniedByRule, codeOf(err))
			assert.ErrorContains(t, err, `The rule deny "long" denies this request: Nobody needs `+
				`that long. (request.duration > duration("20m")`)
		})
	}
	page, err := d.List(t.Context(), request.Query{State: request.Denied, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Requests, 2, "both are written down")
	for _, r := range page.Requests {
		assert.Zero(t, d.workflows.Started(r.ID), "no workflow is needed")
		assert.Zero(t, r.Deadline(), "nothing is due, not even a review")
		assert.Equal(t, []string{"submit by " + alice, "deny by rules"}, d.actions(t, r.ID))
	}
	require.Equal(t, request.DeniedByRule, codeOf(d.Check(t.Context(), alice, request.Submission{
		Flow: "postgres", Target: "readonly", Reason: "x",
	})))
	page, err = d.List(t.Context(), request.Query{Limit: 10})
	require.NoError(t, err)
	assert.Len(t, page.Requests, 2, "a check writes nothing")
}

func TestRequesters(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.Requesters = []string{alice, erin}
		d.RequestWhen = `requester.email != "erin@example.com" || request.reason.contains("-")`
		d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
	})
	_, err := d.ask(t, mallo)
	assert.Equal(t, request.NotARequester, codeOf(err))
	assert.ErrorContains(t, err, mallo+" is not one of those who may ask.")
	_, err = d.ask(t, erin)
	assert.Equal(t, request.NotARequester, codeOf(err))
	assert.ErrorContains(t, err, `request.reason.contains("-")`)
	d.none(t)
	_, err = d.ask(t, erin, func(sub *request.Submission) { sub.Reason = "OPS-1" })
	assert.NoError(t, err)
	_, err = d.ask(t, alice)
	assert.NoError(t, err)
}

// TestNothingOpensByFailing checks every place where a condition that cannot be evaluated could
// let somebody in.
func TestNothingOpensByFailing(t *testing.T) {
	const fails = `int(request.reason) == 1`
	t.Run("deny", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.Deny = []rules.Denial{{Name: "odd", When: fails, Message: "Odd."}}
		})
		_, err := d.ask(t, alice)
		assert.Equal(t, request.DeniedByRule, codeOf(err))
		assert.ErrorContains(t, err, "what cannot be judged is denied")
		require.Len(t, *d.reported, 1)
		assert.Contains(t, (*d.reported)[0].What, `deny "odd"`)
		assert.Equal(t, alice, (*d.reported)[0].Whom)
	})
	t.Run("request_when", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) { d.RequestWhen = fails })
		_, err := d.ask(t, alice)
		assert.Equal(t, request.NotARequester, codeOf(err))
		assert.Len(t, *d.reported, 1)
		d.none(t)
	})
	t.Run("approve_at_once", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.ApproveAtOnce = []rules.Condition{{Name: "odd", When: fails}}
		})
		r, err := d.ask(t, alice)
		require.NoError(t, err)
		assert.Equal(t, request.Requested, r.State)
		assert.Len(t, *d.reported, 1)
	})
	t.Run("break_glass", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.BreakGlass = &rules.BreakGlass{People: []string{alice}, When: fails}
		})
		_, err := d.ask(t, alice, glass)
		assert.Equal(t, request.BreakGlassNotAllowed, codeOf(err))
		assert.Len(t, *d.reported, 1)
		d.none(t)
	})
	t.Run("approve_when", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.setRules(rules.Document{
			Approvers: []string{bob, carol}, ApproveWhen: fails, ApprovalTimeoutSeconds: 3600,
		})
		_, err := d.ask(t, alice)
		assert.Equal(t, request.NobodyCanApprove, codeOf(err))
		assert.ErrorContains(t, err, "could not be evaluated")
		assert.Len(t, *d.reported, 1)
		_, err = d.Approve(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.NotAnApprover, codeOf(err))
		assert.ErrorContains(t, err, "could not be evaluated")
		assert.Equal(t, request.Requested, d.state(t, r.ID))
		assert.Len(t, *d.reported, 2)
		_, err = d.Deny(t.Context(), bob, r.ID, "")
		assert.NoError(t, err, "no is always possible")
	})
}

// TestBrokenRules checks that rules which do not compile stop requests and approvals, and
// nothing that ends access.
func TestBrokenRules(t *testing.T) {
	d := newDesk()
	requested, active := d.submit(t), d.submit(t)
	d.move(t, active.ID, request.Approved, request.Active)
	d.setRules(rules.Document{
		Approvers: []string{bob}, Approvals: 1, ApprovalTimeoutSeconds: 60,
		Deny: []rules.Denial{{Name: "odd", When: "request.rol == 1", Message: "No."}},
	})
	_, err := d.ask(t, alice)
	assert.Equal(t, request.FlowMisconfigured, codeOf(err))
	assert.ErrorContains(t, err, `deny "odd"`)
	_, err = d.Approve(t.Context(), bob, requested.ID, "")
	assert.Equal(t, request.FlowMisconfigured, codeOf(err))
	assert.Equal(t, request.Requested, d.state(t, requested.ID))
	require.Len(t, *d.reported, 2)
	assert.Contains(t, (*d.reported)[0].Do, "Repair the rules in Terraform")

	_, err = d.Revoke(t.Context(), mallo, active.ID, "")
	assert.Equal(t, request.NotAllowedToRevoke, codeOf(err))
	_, err = d.Revoke(t.Context(), bob, active.ID, "")
	assert.NoError(t, err, "who could decide when it was asked for can end it")
	_, err = d.Deny(t.Context(), carol, requested.ID, "")
	assert.NoError(t, err, "and say no")
}

func TestBreakGlass(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.BreakGlass = &rules.BreakGlass{
			People: []string{erin}, When: `request.reason.startsWith("INC-")`,
			MaxDurationSeconds: 900,
		}
	})
	incident := func(sub *request.Submission) { sub.BreakGlass, sub.Reason = true, "INC-7 down" }
	_, err := d.ask(t, alice, incident)
	assert.Equal(t, request.BreakGlassNotAllowed, codeOf(err))
	assert.ErrorContains(t, err, "not one of those who may")
	_, err = d.ask(t, erin, glass)
	assert.Equal(t, request.BreakGlassNotAllowed, codeOf(err))
	assert.ErrorContains(t, err, `startsWith("INC-")`)
	_, err = d.ask(t, erin, incident, func(sub *request.Submission) { sub.Duration = seconds(901) })
	assert.Equal(t, request.DurationTooLong, codeOf(err))
	d.none(t)

	r, err := d.ask(t, erin, incident)
	require.NoError(t, err)
	assert.Equal(t, request.Approved, r.State)
	assert.Equal(t, request.ByRules, r.Decision.By)
	assert.Equal(t, "break_glass", r.Decision.Rule)
	assert.Equal(t, 15*time.Minute, r.Duration, "the longest of broken glass is less than the default")
	assert.Equal(t, d.clock.Now().Add(24*time.Hour), r.ReviewDue)
	d.move(t, r.ID, request.Active, request.Revoking, request.Done)
	due, err := d.List(t.Context(), request.Query{Review: true, Limit: 5})
	require.NoError(t, err)
	require.Len(t, due.Requests, 1, "it has ended, and nobody has reviewed it")

	_, err = d.Review(t.Context(), erin, r.ID, "I was right")
	assert.Equal(t, request.SelfApproval, codeOf(err))
	_, err = d.Review(t.Context(), mallo, r.ID, "fine")
	assert.Equal(t, request.NotAnApprover, codeOf(err))
	_, err = d.Review(t.Context(), bob, r.ID, " ")
	assert.Equal(t, request.MissingReason, codeOf(err))
	got, err := d.Review(t.Context(), bob, r.ID, "She restarted the queue. That was right.")
	require.NoError(t, err)
	assert.Equal(t, bob, got.Review.By)
	assert.Zero(t, got.ReviewDue)
	assert.Equal(t, request.Done, got.State)
	assert.Zero(t, got.Deadline())
	_, err = d.Review(t.Context(), bob, r.ID, "once more")
	assert.NoError(t, err, "a repetition")
	_, err = d.Review(t.Context(), carol, r.ID, "me too")
	assert.Equal(t, request.NothingToReview, codeOf(err))
	assert.Len(t, d.actions(t, r.ID), 6)

	r = newDeskRequest(t, d)
	_, err = d.Review(t.Context(), bob, r.ID, "fine")
	assert.Equal(t, request.NothingToReview, codeOf(err), "nothing was broken")
}

// newDeskRequest is an ordinary request.
func newDeskRequest(t *testing.T, d desk) request.Request {
	t.Helper()
	r, err := d.ask(t, alice)
	require.NoError(t, err)
	return r
}

func TestExtend(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.Deny = []rules.Denial{{
			Name: "long extension", Message: "Half an hour more is the most.",
			When: `request.extension && request.duration > duration("30m")`,
		}}
	})
	r := d.submit(t)
	_, err := d.Extend(t.Context(), alice, r.ID, request.Extension{})
	assert.Equal(t, request.NotActive, codeOf(err))
	d.move(t, r.ID, request.Approved, request.Active)
	_, err = d.Extend(t.Context(), bob, r.ID, request.Extension{})
	assert.Equal(t, request.NotYours, codeOf(err))
	_, err = d.Extend(t.Context(), alice, r.ID, request.Extension{Duration: seconds(1801)})
	assert.Equal(t, request.DeniedByRule, codeOf(err))

	longer, err := d.Extend(t.Context(), alice, r.ID, request.Extension{Reason: "not done yet"})
	require.NoError(t, err)
	assert.Equal(t, r.ID, longer.Extends)
	assert.NotEqual(t, r.ID, longer.ID)
	assert.Equal(t, request.Requested, longer.State, "it is no right: somebody has to approve it")
	assert.Equal(t, r.Duration, longer.Duration)
	assert.Equal(t, "not done yet", longer.Reason)
	_, err = d.Approve(t.Context(), alice, longer.ID, "")
	assert.Equal(t, request.SelfApproval, codeOf(err))
	_, err = d.Approve(t.Context(), bob, longer.ID, "")
	assert.NoError(t, err)
	assert.Equal(t, request.Active, d.state(t, r.ID), "the first one goes on by itself")

	revoked := d.submit(t)
	d.move(t, revoked.ID, request.Approved, request.Active)
	pending, err := d.Extend(t.Context(), alice, revoked.ID, request.Extension{})
	require.NoError(t, err)
	_, err = d.Revoke(t.Context(), carol, revoked.ID, "enough")
	require.NoError(t, err)
	_, err = d.Approve(t.Context(), bob, pending.ID, "")
	assert.Equal(t, request.RevokedMeanwhile, codeOf(err))
	assert.ErrorContains(t, err, "revoked by "+carol)
	_, err = d.Deny(t.Context(), bob, pending.ID, "")
	assert.NoError(t, err)

	again := request.Extension{Key: "k-1", Duration: seconds(60)}
	first, err := d.Extend(t.Context(), alice, r.ID, again)
	require.NoError(t, err)
	d.move(t, r.ID, request.Revoking, request.Done)
	same, err := d.Extend(t.Context(), alice, r.ID, again)
	require.NoError(t, err, "the answer of before, also after the end")
	assert.Equal(t, first.ID, same.ID)
	_, err = d.Extend(t.Context(), alice, r.ID, request.Extension{Key: "k-2"})
	assert.Equal(t, request.NotActive, codeOf(err))
}

// TestProlonging checks that nobody prolongs by asking anew what they cannot prolong.
func TestProlonging(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{{
			Name: "once", When: `!request.extension`,
		}}
	})
	first, err := d.ask(t, alice)
	require.NoError(t, err)
	require.Equal(t, request.Approved, first.State)
	for range 2 {
		again, err := d.ask(t, alice)
		require.NoError(t, err)
		assert.Equal(t, request.Requested, again.State, "she is about to hold it, or does")
		assert.True(t, again.Prolongs)
		d.move(t, first.ID, request.Active)
		first.ID = d.other(t, alice).ID
	}
	other, err := d.ask(t, alice, func(s *request.Submission) { s.Target = "readwrite" })
	require.NoError(t, err)
	assert.Equal(t, request.Approved, other.State, "another target is another matter")
	d.store.Fail = func(operation string) error {
		if operation == "holds" {
			return errors.New("no index")
		}
		return nil
	}
	_, err = d.ask(t, dave)
	assert.ErrorContains(t, err, "no index", "what cannot be found out is not taken for a no")
}

// other is an approved request of the same person's that somebody has approved.
func (d desk) other(t *testing.T, person string) request.Request {
	t.Helper()
	page, err := d.List(t.Context(), request.Query{
		Requester: person, State: request.Requested, Limit: 1,
	})
	require.NoError(t, err)
	require.Len(t, page.Requests, 1)
	r, err := d.Approve(t.Context(), bob, page.Requests[0].ID, "")
	require.NoError(t, err)
	return r
}

// TestOnlyDenial checks that writing a denial down cannot become a grant.
func TestOnlyDenial(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
		d.Deny = []rules.Denial{{
			Name: "early", When: `now < timestamp("2026-03-03T15:00:00Z")`, Message: "Later.",
		}}
	})
	only := func(s *request.Submission) { s.OnlyDenial = true }
	_, err := d.ask(t, alice, only)
	assert.Equal(t, request.DeniedByRule, codeOf(err))
	d.clock.Advance(2 * time.Hour)
	r, err := d.ask(t, alice, only)
	require.NoError(t, err)
	assert.Empty(t, r.ID)
	page, err := d.List(t.Context(), request.Query{Limit: 5})
	require.NoError(t, err)
	assert.Len(t, page.Requests, 1)
}

// TestApprovedWithoutWorkflow checks that what may be granted by now is not called failed.
func TestApprovedWithoutWorkflow(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
	})
	d.workflows.SetErrors(errors.New("throttled"), nil)
	_, err := d.ask(t, alice)
	assert.Equal(t, request.WorkflowNotReached, codeOf(err))
	assert.Equal(t, request.Approved, d.state(t, "request-1"))
}

func TestIdempotencyKey(t *testing.T) {
	withKey := func(key string) func(*request.Submission) {
		return func(sub *request.Submission) { sub.Key = key }
	}
	t.Run("makes one of several", func(t *testing.T) {
		d := newDesk()
		first, err := d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		again, err := d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		assert.Equal(t, first.ID, again.ID)
		other, err := d.ask(t, bob, withKey("a-1"))
		require.NoError(t, err)
		assert.NotEqual(t, first.ID, other.ID, "keys belong to a person")
		d.move(t, first.ID, request.Approved, request.Active)
		again, err = d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		assert.Equal(t, request.Active, again.State, "it says how the request stands")
	})
	t.Run("is of one content", func(t *testing.T) {
		d := newDesk()
		_, err := d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		_, err = d.ask(t, alice, withKey("a-1"), func(s *request.Submission) { s.Reason = "else" })
		assert.Equal(t, request.KeyReused, codeOf(err))
	})
	t.Run("has to be readable", func(t *testing.T) {
		d := newDesk()
		for _, key := range []string{"a b", "ключ", string(make([]byte, 3))} {
			_, err := d.ask(t, alice, withKey(key))
			assert.Equal(t, request.InvalidKey, codeOf(err), key)
		}
		d.none(t)
	})
	t.Run("repeats a rule's denial", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.Deny = []rules.Denial{{Name: "all", When: "true", Message: "No."}}
		})
		for range 2 {
			_, err := d.ask(t, alice, withKey("a-1"))
			assert.Equal(t, request.DeniedByRule, codeOf(err))
		}
		page, err := d.List(t.Context(), request.Query{Limit: 5})
		require.NoError(t, err)
		assert.Len(t, page.Requests, 1)
	})
	t.Run("starts a workflow that was not started", func(t *testing.T) {
		d := newDesk()
		first, err := d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		_, err = d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		assert.Equal(t, 2, d.workflows.Started(first.ID))
	})
	t.Run("of two at the same time", func(t *testing.T) {
		d := newDesk()
		d.store.Fail = func(operation string) error {
			if operation == "create" {
				d.store.Fail = nil
				_, err := d.ask(t, alice, withKey("a-1"))
				require.NoError(t, err)
			}
			return nil
		}
		r, err := d.ask(t, alice, withKey("a-1"))
		require.NoError(t, err)
		page, err := d.List(t.Context(), request.Query{Limit: 5})
		require.NoError(t, err)
		require.Len(t, page.Requests, 1)
		assert.Equal(t, r.ID, page.Requests[0].ID)
	})
}

// TestHeldAt answers who held a role at a moment.
func TestHeldAt(t *testing.T) {
	d := newDesk()
	r := d.submit(t)
	asked := d.clock.Now()
	d.clock.Advance(time.Minute)
	d.move(t, r.ID, request.Approved, request.Active)
	granted := d.clock.Now()
	d.clock.Advance(time.Minute)
	still := d.submit(t)
	d.move(t, still.ID, request.Approved, request.Active)
	d.clock.Advance(time.Minute)
	d.move(t, r.ID, request.Revoking)
	d.clock.Advance(time.Minute)
	d.move(t, r.ID, request.Done)
	done := d.clock.Now()
	d.submit(t) // never granted

	for _, test := range []struct {
		at   time.Time
		want []string
	}{
		{asked, nil},
		{granted.Add(-time.Millisecond), nil},
		{granted, []string{r.ID}},
		{granted.Add(time.Minute), []string{still.ID, r.ID}},
		{done.Add(-time.Millisecond), []string{still.ID, r.ID}},
		{done, []string{still.ID}},
		{done.Add(time.Hour), []string{still.ID}},
	} {
		page, err := d.List(t.Context(), request.Query{HeldAt: test.at, Limit: 5})
		require.NoError(t, err)
		var got []string
		for _, r := range page.Requests {
			got = append(got, r.ID)
		}
		assert.Equal(t, test.want, got, test.at)
	}
}
