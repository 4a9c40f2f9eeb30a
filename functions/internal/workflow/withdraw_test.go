package workflow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/workflow"
)

// end runs the workflow's steps after an escalate that finds the request withdrawn.
func (m *machine) end(t *testing.T) {
	t.Helper()
	_, err := m.run(t, "hold")
	require.NoError(t, err)
	assert.Equal(t, request.Revoking, m.workflows.Told("hold"))
	out, err := m.run(t, "deescalate")
	require.NoError(t, err)
	assert.Equal(t, workflow.Output{State: request.Done}, out)
}

// TestWithdrawn withdraws approved requests at every moment of the grant.
func TestWithdrawn(t *testing.T) {
	onward := workflow.Output{State: request.Active, HoldSeconds: 1} // on to Deescalate, by Hold
	t.Run("before the grant, grants nothing and leaves a tombstone", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		_, err := m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, onward, out)
		assert.Empty(t, m.function.sent, "nothing is granted any more")
		m.function.answer = func(e event.Event) (event.Answer, error) {
			// So does the ledger answer for a run that it does not know: it is noted as ended.
			return event.Succeed(event.Deescalated{Run: e.Run.SRN, Changed: true})
		}
		m.end(t)
		assert.Equal(t, []string{"deescalate"}, m.function.kinds())
		r := m.get(t)
		assert.Zero(t, r.GrantedAt)
		assert.False(t, r.HeldAt(m.clock.Now()))
		assert.Contains(t, m.lastRecord(t).Reason, "was never granted")
		assert.True(t, r.Withdrawn())
		assert.Equal(t, "revoke", m.function.sent[0].Event.Fields.DeescalateType)
	})
	t.Run("while it is granted, is taken back and written down", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = func(e event.Event) (event.Answer, error) {
			if e.Event.Type == event.Escalate {
				_, err := m.service.Revoke(t.Context(), alice, m.id, "")
				require.NoError(t, err)
			}
			return m.agree(e)
		}
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, onward, out)
		record := m.lastRecord(t)
		assert.Equal(t, request.ActionGrant, record.Action)
		assert.Equal(t, []request.State{request.Revoking, request.Revoking},
			[]request.State{record.From, record.To})
		assert.Contains(t, record.Reason, "withdrawn meanwhile")
		granted := m.clock.Now()
		m.clock.Advance(time.Second)
		m.end(t)
		r := m.get(t)
		assert.True(t, r.HeldAt(granted), "the role was held until it was taken back")
		assert.False(t, r.HeldAt(m.clock.Now()))
		assert.Equal(t, "alice", r.DatabaseUser)
		assert.Equal(t, alice, r.Revocation.By)
	})
	t.Run("after a grant whose answer was lost, is taken back", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		approved := m.get(t).UpdatedAt
		m.clock.Advance(time.Minute)
		_, err := m.service.Deny(t.Context(), bob, m.id, "")
		require.NoError(t, err)
		m.clock.Advance(time.Minute)
		out, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Done}, out)
		r := m.get(t)
		assert.True(t, r.HeldAt(approved), "the role may have been held since then")
		assert.False(t, r.HeldAt(m.clock.Now()))
	})
	t.Run("whose end was answered twice, is not called never granted", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		approved := m.get(t).UpdatedAt
		m.clock.Advance(time.Minute)
		_, err := m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		m.function.answer = func(e event.Event) (event.Answer, error) {
			return event.Succeed(event.Deescalated{Run: e.Run.SRN, User: "alice", Role: "readonly"})
		}
		_, err = m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Contains(t, m.lastRecord(t).Reason, "had been taken away before")
		assert.True(t, m.get(t).HeldAt(approved))
	})
	t.Run("while it is taken back, keeps what was found then", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		tries := 0
		m.function.answer = func(e event.Event) (event.Answer, error) {
			body := event.Deescalated{Run: e.Run.SRN, User: "alice", Role: "readonly"}
			if tries++; tries == 1 {
				body.Changed, body.SessionsEnded = true, 2
				body.LeftBehind = []event.LeftBehind{{Kind: "owned", What: "table public.mine"}}
				_, err := m.service.Revoke(t.Context(), alice, m.id, "")
				require.NoError(t, err)
			}
			return event.Succeed(body)
		}
		out, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Done}, out)
		assert.Equal(t, 2, tries)
		assert.Equal(t, `The role "readonly" has been taken away. 2 open sessions were ended. Left `+
			`behind: table public.mine.`, m.lastRecord(t).Reason)
		assert.Len(t, m.get(t).LeftBehind, 1)
	})
	t.Run("before the workflow has asked for a decision, is heard of there", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		_, err := m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		_, err = m.run(t, "ask")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, m.workflows.Told("ask"))
	})
	t.Run("refused by the function meanwhile, stays withdrawn", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = func(event.Event) (event.Answer, error) {
			_, err := m.service.Revoke(t.Context(), alice, m.id, "")
			require.NoError(t, err)
			return event.Refuse(event.UnknownUser, "There is no database user alice.").Answer(), nil
		}
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, onward, out)
		assert.Equal(t, request.Revoking, m.get(t).State)
	})
	t.Run("without a workflow, is ended by the reconciliation", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.start(t)
		m.stop()
		_, err := m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Equal(t, request.Done, m.get(t).State)
	})
}

// TestRecords checks the records of a role that needs SET ROLE, and of leftovers.
func TestRecords(t *testing.T) {
	m := newMachine(t, request.Approved)
	left := []event.LeftBehind{{Kind: "owned", What: "table public.mine"},
		{Kind: "privilege", What: "SELECT on public.orders to PUBLIC", TakenBack: true}}
	for range 20 {
		left = append(left, event.LeftBehind{Kind: "owned", What: "view public.more"})
	}
	m.function.answer = func(e event.Event) (event.Answer, error) {
		if e.Event.Type == event.Escalate {
			return event.Succeed(event.Escalated{
				Run: e.Run.SRN, User: "alice", Role: `read"only`, NeedsSetRole: true,
				ExpiresAt:  m.clock.Now().Add(30 * time.Minute),
				CouldLeave: []string{"It may create tables."},
			})
		}
		return event.Succeed(event.Deescalated{
			Run: e.Run.SRN, User: "alice", Role: "readonly", Changed: true,
			LeftBehind: left, LeftBehindMore: 7,
		})
	}
	_, err := m.run(t, "escalate")
	require.NoError(t, err)
	assert.Contains(t, m.lastRecord(t).Reason,
		`The user does not inherit it: run SET ROLE "read""only" before using it.`)
	assert.True(t, m.get(t).NeedsSetRole)
	assert.Equal(t, []string{"It may create tables."}, m.get(t).CouldLeave)

	m.clock.Advance(30 * time.Minute)
	_, err = m.run(t, "deescalate")
	require.NoError(t, err)
	reason := m.lastRecord(t).Reason
	assert.True(t, strings.HasSuffix(reason, "Left behind: table public.mine; SELECT on "+
		"public.orders to PUBLIC (taken back); view public.more; and 26 more."), reason)
	r := m.get(t)
	assert.Len(t, r.LeftBehind, 10)
	assert.Equal(t, 19, r.LeftBehindMore)

	m = newMachine(t, request.Approved, request.Active)
	m.function.answer = func(e event.Event) (event.Answer, error) {
		return event.Succeed(event.Deescalated{
			Run: e.Run.SRN, Changed: true, NotLookedFor: "It would have taken too long.",
		})
	}
	_, err = m.run(t, "deescalate")
	require.NoError(t, err)
	assert.Contains(t, m.lastRecord(t).Reason,
		"It is not known whether anything was left behind: It would have taken too long.")
	assert.Equal(t, "It would have taken too long.", m.get(t).NotLookedFor)
}
