package request_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

func two(d *rules.Document) { d.Approvers, d.Approvals = []string{bob, carol, dave}, 2 }

// actions are what the records of a request tell, in order.
func (d desk) actions(t *testing.T, id string) []string {
	t.Helper()
	records, err := d.store.Records(t.Context(), id)
	require.NoError(t, err)
	var told []string
	for i, record := range records {
		assert.Equal(t, i+1, record.Sequence)
		told = append(told, record.Action+" by "+record.By)
	}
	return told
}

func TestSeveralApprovals(t *testing.T) {
	d := newDesk(two)
	r := d.submit(t)
	d.wait(t, r.ID)
	assert.Equal(t, 2, r.ApprovalsNeeded)

	got, err := d.Approve(t.Context(), bob, r.ID, "fine with me")
	require.NoError(t, err)
	assert.Equal(t, request.Requested, got.State)
	require.Len(t, got.Approvals, 1)
	assert.Empty(t, d.workflows.Told("ask"), "one is not enough")
	got, err = d.Approve(t.Context(), bob, r.ID, "once more")
	require.NoError(t, err)
	assert.Equal(t, request.Requested, got.State, "the same person twice is one approval")
	_, err = d.Approve(t.Context(), alice, r.ID, "")
	assert.Equal(t, request.SelfApproval, codeOf(err))

	got, err = d.Approve(t.Context(), carol, r.ID, "me too")
	require.NoError(t, err)
	assert.Equal(t, request.Approved, got.State)
	assert.Equal(t, request.Approved, d.workflows.Told("ask"))
	assert.Equal(t, carol, got.Decision.By, "the one that decided it")
	require.Len(t, got.Approvals, 2)
	assert.Equal(t, bob, got.Approvals[0].By)
	assert.Equal(t, []string{
		"submit by " + alice, "approve by " + bob, "approve by " + carol,
	}, d.actions(t, r.ID))
}

func TestSeveralApprovalsEndWithOneDenial(t *testing.T) {
	d := newDesk(two)
	r := d.submit(t)
	_, err := d.Approve(t.Context(), bob, r.ID, "")
	require.NoError(t, err)
	got, err := d.Deny(t.Context(), bob, r.ID, "I was wrong")
	require.NoError(t, err)
	assert.Equal(t, request.Denied, got.State)
	_, err = d.Approve(t.Context(), carol, r.ID, "")
	assert.Equal(t, request.AlreadyDecided, codeOf(err))
}

// TestApprovalsOfThoseWhoMayNot checks that an approval counts as long as who gave it may
// approve, and that the rules of the last moment say how many it takes.
func TestApprovalsOfThoseWhoMayNot(t *testing.T) {
	d := newDesk(two)
	r := d.submit(t)
	_, err := d.Approve(t.Context(), bob, r.ID, "")
	require.NoError(t, err)
	document := rules.Document{
		Approvers: []string{carol, dave}, Approvals: 2, ApprovalTimeoutSeconds: 3600,
	}
	d.setRules(document) // without Bob
	got, err := d.Approve(t.Context(), carol, r.ID, "")
	require.NoError(t, err)
	assert.Equal(t, request.Requested, got.State, "Bob's does not count any more")
	got, err = d.Approve(t.Context(), dave, r.ID, "")
	require.NoError(t, err)
	assert.Equal(t, request.Approved, got.State)

	r = d.submit(t)
	_, err = d.Approve(t.Context(), carol, r.ID, "")
	require.NoError(t, err)
	document.Approvals = 1
	d.setRules(document)
	got, err = d.Approve(t.Context(), carol, r.ID, "")
	require.NoError(t, err)
	assert.Equal(t, request.Approved, got.State, "one has become enough, and hers is there")
}

// TestApproversAtOnce has twenty approvers click at the same time where five are needed: no
// approval is lost, none counts twice, and the request is decided once.
func TestApproversAtOnce(t *testing.T) {
	var people []string
	for i := range 20 {
		people = append(people, string(rune('a'+i))+"@example.com")
	}
	d := newDesk(func(d *rules.Document) { d.Approvers, d.Approvals = people, 5 })
	r := d.submit(t)
	d.wait(t, r.ID)
	var given atomic.Int32
	var wg sync.WaitGroup
	for _, person := range people {
		wg.Go(func() {
			for {
				_, err := d.Approve(t.Context(), person, r.ID, "")
				var refused *request.Error
				switch {
				case err == nil:
					given.Add(1)
				case !errors.As(err, &refused):
					continue // overtaken too often: people click again
				case refused.Code != request.AlreadyDecided:
					t.Errorf("%s: %v", person, err)
				}
				return
			}
		})
	}
	wg.Wait()
	got, err := d.store.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, request.Approved, got.State)
	assert.Len(t, got.Approvals, 5)
	assert.Equal(t, int32(5), given.Load())
	assert.Len(t, d.actions(t, r.ID), 6)
}

func TestBackupApprovers(t *testing.T) {
	d := newDesk(func(d *rules.Document) {
		d.BackupApprovers, d.BackupAfterSeconds = []string{dave}, 900
	})
	r := d.submit(t)
	assert.Equal(t, d.clock.Now().Add(15*time.Minute), r.BackupFrom())
	d.clock.Advance(15*time.Minute - time.Millisecond)
	_, err := d.Approve(t.Context(), dave, r.ID, "")
	assert.Equal(t, request.NotAnApprover, codeOf(err))
	assert.ErrorContains(t, err, "back-up approver, whose time comes at 2026-03-03T14:15:00Z")
	assert.ErrorContains(t, err, "Ask one of "+bob+", "+carol+".")
	d.clock.Advance(time.Millisecond)
	got, err := d.Approve(t.Context(), dave, r.ID, "nobody else is there")
	require.NoError(t, err)
	assert.Equal(t, request.Approved, got.State)
	assert.Equal(t, request.RuleBackupApprover, got.Decision.Rule)

	r = d.submit(t)
	_, err = d.Deny(t.Context(), dave, r.ID, "no")
	assert.NoError(t, err, "saying no needs no waiting")
}
