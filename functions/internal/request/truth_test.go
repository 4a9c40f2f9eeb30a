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

// TestNobodyCouldApprove checks that a request is refused while it is made, where there are not
// enough people to approve it. It could do nothing but expire.
func TestNobodyCouldApprove(t *testing.T) {
	t.Run("of two approvers one asks, and two are needed", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) { d.Approvals = 2 })
		_, err := d.ask(t, bob)
		assert.Equal(t, request.NobodyCanApprove, codeOf(err))
		assert.EqualError(t, err, `Nobody could approve this request, so it was not made: the flow `+
			`"postgres" needs 2 approvals from people other than the requester for the target `+
			`"postgres-readonly", and only carol@example.com can give one. Ask the flow's maintainer `+
			`to name another approver.`)
		assert.Equal(t, request.NobodyCanApprove, codeOf(d.Check(t.Context(), bob,
			request.Submission{Flow: "postgres", Target: "readonly", Reason: "x"})))
		d.none(t)
		_, err = d.ask(t, alice)
		assert.NoError(t, err, "others can ask")
	})
	t.Run("the only approver asks, who may break the glass", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.Approvers = []string{bob}
			d.BackupApprovers, d.BackupAfterSeconds = []string{bob, carol}, 60
			d.ApproveWhen = `approver.email != "carol@example.com"`
			d.BreakGlass = &rules.BreakGlass{People: []string{bob}, When: "request.break_glass"}
		})
		_, err := d.ask(t, bob)
		assert.Equal(t, request.NobodyCanApprove, codeOf(err))
		assert.ErrorContains(t, err, "needs an approval from people other than the requester for the "+
			`target "postgres-readonly", and nobody can give one. approver.email != "carol@example.com" is `+
			`false`)
		assert.ErrorContains(t, err, "In an emergency, break the glass.")
		_, err = d.ask(t, bob, glass)
		assert.NoError(t, err)
	})
	t.Run("a rule approves it at once", func(t *testing.T) {
		d := newDesk(func(d *rules.Document) {
			d.Approvers = []string{bob}
			d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
		})
		_, err := d.ask(t, bob)
		assert.NoError(t, err)
	})
}

// TestWhatLimitsTheDuration checks that a refusal names what it is that allows no more: the
// target, or the rule for broken glass.
func TestWhatLimitsTheDuration(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.BreakGlass = &rules.BreakGlass{People: []string{alice}, MaxDurationSeconds: 300}
	})
	asking := func(n float64) func(*request.Submission) {
		return func(sub *request.Submission) { sub.Duration = seconds(n) }
	}
	_, err := d.ask(t, alice, glass, asking(600))
	assert.Equal(t, request.DurationTooLong, codeOf(err))
	assert.EqualError(t, err, `The break-glass rule of the target "postgres-readonly" allows at `+
		`most 5 minutes (300 seconds). Ask for that or less, or ask without breaking the glass, `+
		`for up to 1 hour.`)
	_, err = d.ask(t, alice, glass, asking(3601))
	assert.EqualError(t, err, `The target "postgres-readonly" allows at most 1 hour (3600 `+
		`seconds). Ask for that or less, and again when you need longer.`)
	r, err := d.ask(t, alice, asking(600))
	require.NoError(t, err)
	assert.Equal(t, 10*time.Minute, r.Duration)
	r, err = d.ask(t, alice, glass)
	require.NoError(t, err)
	assert.Equal(t, 5*time.Minute, r.Duration, "the default is no longer than the rule allows")
}

// TestStuck checks that people learn why an approved request is not granted yet, or an ended one
// not taken away, and only as long as that is so.
func TestStuck(t *testing.T) {
	d := newDesk()
	r := d.submit(t)
	stuck := func() *request.Failure {
		t.Helper()
		story, err := d.Show(t.Context(), r.ID)
		require.NoError(t, err)
		page, err := d.List(t.Context(), request.Query{Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Requests, 1)
		assert.Equal(t, story.Request.Stuck, page.Requests[0].Stuck)
		return story.Request.Stuck
	}
	d.move(t, r.ID, request.Approved)
	assert.Nil(t, stuck())
	grant := request.Failure{
		Step: request.StepEscalate, Reason: "The database cannot be reached.", At: d.clock.Now(),
	}
	require.NoError(t, d.store.KeepFailure(t.Context(), r.ID, grant))
	assert.Equal(t, &grant, stuck())
	d.move(t, r.ID, request.Active)
	assert.Nil(t, stuck(), "it is granted now")
	d.move(t, r.ID, request.Revoking)
	assert.Nil(t, stuck(), "the grant's failure explains nothing about the end")
	end := request.Failure{
		Step: request.StepDeescalate, Reason: "The database is busy.", At: d.clock.Now(),
	}
	require.NoError(t, d.store.KeepFailure(t.Context(), r.ID, end))
	assert.Equal(t, &end, stuck())
	d.move(t, r.ID, request.Done)
	assert.Nil(t, stuck())

	d.move(t, d.submit(t).ID, request.Approved)
	d.store.Fail = func(operation string) error {
		if operation == "last failure" {
			return errors.New("no answer")
		}
		return nil
	}
	_, err := d.List(t.Context(), request.Query{Limit: 10})
	assert.NoError(t, err, "a list without the reason is better than none")
}
