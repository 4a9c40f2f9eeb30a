package request_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
)

// act is one of the things that a person can do to a request.
type act func(ctx context.Context, person, id, reason string) (request.Request, error)

// TestWithdraw ends a request that is approved and cannot be granted.
func TestWithdraw(t *testing.T) {
	approved := func(t *testing.T) (desk, request.Request) {
		t.Helper()
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		_, err := d.Approve(t.Context(), carol, r.ID, "")
		require.NoError(t, err)
		return d, r
	}
	for _, person := range []string{alice, bob, carol} {
		for _, how := range []string{"revoke", "deny"} {
			t.Run("by "+person+" with "+how, func(t *testing.T) {
				d, r := approved(t)
				do := map[string]act{"revoke": d.Revoke, "deny": d.Deny}[how]
				for range 2 {
					got, err := do(t.Context(), person, r.ID, "not needed any more")
					require.NoError(t, err)
					assert.Equal(t, request.Revoking, got.State)
					assert.True(t, got.Withdrawn())
					assert.Equal(t, person, got.Revocation.By)
					assert.Equal(t, carol, got.Decision.By, "the decision stands")
				}
				story, err := d.Show(t.Context(), r.ID)
				require.NoError(t, err)
				require.Len(t, story.Records, 3, "a repetition is no second record")
				last := story.Records[2]
				assert.Equal(t, "not needed any more", last.Reason)
				assert.Equal(t, []request.State{request.Approved, request.Revoking},
					[]request.State{last.From, last.To})
				overdue, err := d.store.Overdue(t.Context(), d.clock.Now(), 10)
				require.NoError(t, err)
				assert.Len(t, overdue, 1, "the reconciliation ends it where no workflow does")
			})
		}
	}
	t.Run("is refused to strangers", func(t *testing.T) {
		d, r := approved(t)
		for _, do := range []act{d.Revoke, d.Deny} {
			_, err := do(t.Context(), mallo, r.ID, "")
			assert.Equal(t, request.NotAllowedToRevoke, codeOf(err))
		}
		assert.Equal(t, request.Approved, d.state(t, r.ID))
	})
	t.Run("tells others how it ended", func(t *testing.T) {
		d, r := approved(t)
		_, err := d.Revoke(t.Context(), alice, r.ID, "")
		require.NoError(t, err)
		_, err = d.Deny(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.AlreadyDecided, codeOf(err))
		assert.ErrorContains(t, err, "was withdrawn by "+alice)
		d.move(t, r.ID, request.Done)
		_, err = d.Revoke(t.Context(), bob, r.ID, "")
		assert.Equal(t, request.NotActive, codeOf(err))
		assert.ErrorContains(t, err, "withdrawn before anything was granted")
	})
	t.Run("reaches a workflow that has not heard of the approval", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		d.workflows.SetErrors(errors.New("throttled"), errors.New("throttled"))
		_, err := d.Approve(t.Context(), bob, r.ID, "")
		require.Equal(t, request.WorkflowNotReached, codeOf(err))
		_, err = d.Revoke(t.Context(), alice, r.ID, "")
		assert.Equal(t, request.WorkflowNotReached, codeOf(err))
		assert.ErrorContains(t, err, "is withdrawn")
		d.workflows.SetErrors(nil, nil)
		_, err = d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err, "a repetition of the approval brings the withdrawal along")
		assert.Equal(t, request.Revoking, d.workflows.Told("ask"))
	})
	t.Run("while its workflow is found stopped, stands", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		d.wait(t, r.ID)
		d.workflows.Stop(r.ID)
		applied := 0
		d.store.Fail = func(operation string) error {
			if operation == "apply" {
				if applied++; applied == 2 { // the approval is written, the failure is not yet
					d.store.Fail = nil
					d.move(t, r.ID, request.Revoking)
				}
			}
			return nil
		}
		got, err := d.Approve(t.Context(), bob, r.ID, "")
		require.NoError(t, err, "it has not failed")
		assert.Equal(t, request.Revoking, got.State)
	})
	t.Run("of what has failed after a grant says that it was taken back", func(t *testing.T) {
		d, r := approved(t)
		stored, err := d.store.Get(t.Context(), r.ID)
		require.NoError(t, err)
		change := stored.Change(request.Failed, request.Act{
			Action: request.ActionFail, At: d.clock.Now(),
		})
		change.Request.GrantedAt = d.clock.Now()
		require.NoError(t, d.store.Apply(t.Context(), change))
		_, err = d.Revoke(t.Context(), alice, r.ID, "")
		assert.ErrorContains(t, err, "has failed, and its access has been taken back")
	})
	t.Run("of what has just become active is a revocation", func(t *testing.T) {
		d, r := approved(t)
		d.store.Fail = func(operation string) error {
			if operation == "apply" {
				d.store.Fail = nil
				d.move(t, r.ID, request.Active)
			}
			return nil
		}
		got, err := d.Revoke(t.Context(), alice, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, got.State)
		assert.False(t, got.Withdrawn())
	})
}

// TestAccounts has alice get another address: her account shows that the request is hers, and
// lets her end it, and never more than that.
func TestAccounts(t *testing.T) {
	const alias = "alice@new.example.com"
	with := func(t *testing.T, account string) context.Context {
		return request.WithAccount(t.Context(), account)
	}
	asked := func(t *testing.T, change ...func(*rules.Document)) (desk, request.Request) {
		t.Helper()
		d := newDesk(change...)
		r, err := d.Submit(with(t, "slack:U0ALICE"), alice, request.Submission{
			Flow: "postgres", Target: "readonly", Reason: "Look at order 4711",
		})
		require.NoError(t, err)
		require.Equal(t, "slack:U0ALICE", r.Account)
		return d, r
	}
	t.Run("withdraw", func(t *testing.T) {
		d, r := asked(t)
		_, err := d.Deny(with(t, "slack:U0MALLO"), alias, r.ID, "")
		assert.Equal(t, request.NotAnApprover, codeOf(err))
		got, err := d.Deny(with(t, "slack:U0ALICE"), alias, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.RuleRequester, got.Decision.Rule)
		assert.Equal(t, alias, got.Decision.By)
	})
	t.Run("revoke, without the flow too", func(t *testing.T) {
		d, r := asked(t)
		d.move(t, r.ID, request.Approved, request.Active)
		d.Flows = requesttest.Flows{}
		_, err := d.Revoke(with(t, ""), alias, r.ID, "")
		assert.Equal(t, request.NotAllowedToRevoke, codeOf(err))
		got, err := d.Revoke(with(t, "slack:U0ALICE"), alias, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, request.RuleRequester, got.Revocation.Rule)
	})
	t.Run("one's own revocation ends the extension too", func(t *testing.T) {
		d, r := asked(t)
		d.move(t, r.ID, request.Approved, request.Active)
		longer, err := d.Extend(with(t, "slack:U0ALICE"), alice, r.ID, request.Extension{})
		require.NoError(t, err)
		_, err = d.Revoke(with(t, "slack:U0ALICE"), alias, r.ID, "")
		require.NoError(t, err)
		_, err = d.Approve(t.Context(), bob, longer.ID, "")
		assert.Equal(t, request.RevokedMeanwhile, codeOf(err), "there is nothing left to extend")
		assert.ErrorContains(t, err, "was revoked by "+alias)
	})
	t.Run("no account is nobody's", func(t *testing.T) {
		d := newDesk()
		r := d.submit(t)
		require.Empty(t, r.Account)
		_, err := d.Deny(with(t, ""), alias, r.ID, "")
		assert.Equal(t, request.NotAnApprover, codeOf(err))
	})
	t.Run("never approves, nor reviews, one's own", func(t *testing.T) {
		d, r := asked(t, func(d *rules.Document) { d.Approvers = []string{alias, bob} })
		_, err := d.Approve(with(t, "slack:U0ALICE"), alias, r.ID, "")
		assert.Equal(t, request.SelfApproval, codeOf(err), "by another address it is her own still")
		d, r = asked(t, func(d *rules.Document) {
			d.Approvers, d.AllowSelfApproval = nil, true
		})
		_, err = d.Approve(with(t, "slack:U0ALICE"), alias, r.ID, "")
		assert.Equal(t, request.NotAnApprover, codeOf(err), "the account gives no right to approve")
		_, err = d.Approve(with(t, ""), alice, r.ID, "")
		assert.NoError(t, err)
	})
}
