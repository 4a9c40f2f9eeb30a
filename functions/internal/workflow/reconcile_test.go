package workflow_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/workflow"
)

// reconcile is what the schedule does every minute.
func (m *machine) reconcile(t *testing.T) (workflow.Reconciled, error) {
	t.Helper()
	out, err := m.steps.Run(t.Context(), workflow.Input{Step: "reconcile"})
	if err != nil {
		return workflow.Reconciled{}, err
	}
	require.NotNil(t, out.Reconciled)
	return *out.Reconciled, nil
}

// start lets the request's workflow run, stop ends it from outside.
func (m *machine) start(t *testing.T) {
	t.Helper()
	require.NoError(t, m.workflows.Start(t.Context(), m.get(t)))
}

func (m *machine) stop() { m.workflows.Stop(m.id) }

func TestReconcile(t *testing.T) {
	var (
		approved = []request.State{request.Approved}
		active   = []request.State{request.Approved, request.Active}
		revoking = []request.State{request.Approved, request.Active, request.Revoking}
	)
	tests := []struct {
		name string
		path []request.State
		due  time.Duration // from the creation
		end  request.State
		sent []string
		rule string // of the last record but one where the end is done, else of the last
	}{
		{"requested", nil, time.Hour, request.Expired, nil, request.RuleApprovalTimeout},
		{"approved", approved, time.Hour, request.Failed, []string{"deescalate"},
			request.RuleWorkflowFailure},
		{"active", active, 30 * time.Minute, request.Done, []string{"deescalate"},
			request.RuleExpiry},
		{"revoking", revoking, 0, request.Done, []string{"deescalate"}, ""},
	}
	for _, test := range tests {
		due := func(t *testing.T) *machine {
			t.Helper()
			m := newMachine(t, test.path...)
			if test.due > 0 {
				m.clock.Advance(test.due - time.Millisecond)
				got, err := m.reconcile(t)
				require.NoError(t, err)
				assert.Equal(t, workflow.Reconciled{}, got, "it is not due yet")
				m.clock.Advance(time.Millisecond)
			}
			return m
		}
		untouched := func(t *testing.T, m *machine) {
			t.Helper()
			before := m.get(t)
			got, err := m.reconcile(t)
			require.NoError(t, err)
			assert.Equal(t, workflow.Reconciled{Overdue: 1}, got)
			assert.Equal(t, before, m.get(t))
			assert.Empty(t, m.function.sent)
		}
		ended := func(t *testing.T, m *machine) {
			t.Helper()
			got, err := m.reconcile(t)
			require.NoError(t, err)
			assert.Equal(t, workflow.Reconciled{Overdue: 1, Ended: 1}, got)
			assert.Equal(t, test.end, m.get(t).State)
			assert.Equal(t, test.sent, m.function.kinds())
			records, err := m.store.Records(t.Context(), m.id)
			require.NoError(t, err)
			last := records[len(records)-1]
			if test.end == request.Done {
				assert.Equal(t, request.RuleRevoked, last.Rule)
				last = records[len(records)-2]
			}
			assert.Equal(t, test.rule, last.Rule)

			got, err = m.reconcile(t)
			require.NoError(t, err)
			assert.Equal(t, workflow.Reconciled{}, got, "what has ended is not looked at again")
		}
		t.Run(test.name+", the workflow runs, however late", func(t *testing.T) {
			m := due(t)
			m.start(t)
			m.clock.Advance(72 * time.Hour)
			untouched(t, m)
		})
		t.Run(test.name+", the workflow was stopped", func(t *testing.T) {
			m := due(t)
			m.start(t)
			m.stop()
			ended(t, m)
		})
		t.Run(test.name+", no workflow is seen", func(t *testing.T) {
			m := due(t)
			m.clock.Advance(time.Minute - time.Millisecond)
			untouched(t, m)
			m.clock.Advance(time.Millisecond)
			ended(t, m)
		})
	}
	t.Run("a workflow that an approval has just started is waited for", func(t *testing.T) {
		m := newMachine(t)
		m.clock.Advance(time.Hour + 50*time.Second)
		m.move(t, request.Approved)
		m.clock.Advance(59 * time.Second)
		got, err := m.reconcile(t)
		require.NoError(t, err)
		assert.Equal(t, workflow.Reconciled{Overdue: 1}, got)
		assert.Equal(t, request.Approved, m.get(t).State)
	})
	t.Run("an approval at this very moment is granted nothing", func(t *testing.T) {
		m := newMachine(t)
		m.start(t)
		m.stop()
		m.clock.Advance(time.Hour)
		m.store.Fail = func(operation string) error {
			if operation == "apply" {
				m.store.Fail = nil
				m.move(t, request.Approved)
			}
			return nil
		}
		_, err := m.reconcile(t)
		require.NoError(t, err)
		assert.Equal(t, request.Approved, m.get(t).State, "it was there first")
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Equal(t, request.Failed, m.get(t).State)
	})
	t.Run("keeps who revoked it", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		m.start(t)
		m.stop()
		r, err := m.service.Revoke(t.Context(), alice, m.id, "finished")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, r.State)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Equal(t, request.Done, m.get(t).State)
		assert.Equal(t, alice, m.get(t).Revocation.By)
	})
}

// TestReconcileFailures checks that no request stands in another's way, and that failures are
// seen.
func TestReconcileFailures(t *testing.T) {
	m := newMachine(t, request.Approved, request.Active)
	m.start(t)
	m.stop()
	var others []string
	for range 3 {
		first := requesttest.New(m.clock.Now())
		require.NoError(t, m.store.Create(t.Context(), first))
		others = append(others, first.Request.ID)
	}
	m.clock.Advance(2 * time.Hour)
	m.workflows.FailLooking(others[0], errors.New("throttled"))
	m.function.answer = func(event.Event) (event.Answer, error) {
		return event.Answer{}, &connector.PostgresFunctionError{Type: "DatabaseUnavailable"}
	}
	_, err := m.reconcile(t)
	failed, ok := errors.AsType[*workflow.ReconcileFailed](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, 2, failed.Failed)
	assert.Equal(t, 4, failed.Overdue)
	assert.ErrorContains(t, err, "throttled")
	assert.ErrorContains(t, err, "DatabaseUnavailable")
	assert.Equal(t, request.Revoking, m.get(t).State)
	for i, want := range []request.State{request.Requested, request.Expired, request.Expired} {
		r, err := m.store.Get(t.Context(), others[i])
		require.NoError(t, err)
		assert.Equal(t, want, r.State)
	}

	m.workflows.FailLooking(others[0], nil)
	m.function.answer = m.agree
	got, err := m.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, workflow.Reconciled{Overdue: 2, Ended: 2}, got)

	m.store.Fail = func(string) error { return errors.New("no table") }
	_, err = m.reconcile(t)
	assert.IsType(t, &workflow.StepFailed{}, err)
}

// TestReconcileTime checks that a run does not begin what it has no time for.
func TestReconcileTime(t *testing.T) {
	m := newMachine(t)
	m.clock.Advance(2 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := m.steps.Run(ctx, workflow.Input{Step: "reconcile"})
	require.NoError(t, err)
	assert.Equal(t, workflow.Reconciled{Overdue: 1}, *out.Reconciled)
	assert.Equal(t, request.Requested, m.get(t).State)
}
