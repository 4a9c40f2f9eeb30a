package workflow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/functions/internal/workflow"
)

// retire is what Terraform does with a flow.
func (m *machine) retire(t *testing.T, flow, action string) error {
	t.Helper()
	_, err := m.steps.Run(t.Context(), workflow.Input{
		Step: workflow.Retire, Draft: rules.Draft{Flow: flow},
		Terraform: &workflow.Terraform{Action: action},
	})
	return err
}

func TestRetire(t *testing.T) {
	for _, test := range []struct {
		name string
		path []request.State
		end  request.State
		sent []string
	}{
		{"requested", nil, request.Expired, nil},
		{"approved", []request.State{request.Approved}, request.Done, []string{"deescalate"}},
		{"active", []request.State{request.Approved, request.Active}, request.Done,
			[]string{"deescalate"}},
		{"revoking", []request.State{request.Approved, request.Active, request.Revoking},
			request.Done, []string{"deescalate"}},
		{"done", []request.State{request.Approved, request.Active, request.Revoking, request.Done},
			request.Done, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, test.path...)
			before := m.get(t)
			for flow, action := range map[string]string{"other": "delete", "postgres": "create"} {
				require.NoError(t, m.retire(t, flow, action))
				assert.Equal(t, before, m.get(t), "%s %s", action, flow)
			}

			require.NoError(t, m.retire(t, "postgres", "delete"))
			assert.Equal(t, test.end, m.get(t).State)
			assert.Equal(t, test.sent, m.function.kinds())
			if test.end == request.Expired {
				assert.Equal(t, request.RuleFlowRemoved, m.get(t).Decision.Rule)
			}

			require.NoError(t, m.retire(t, "postgres", "delete"), "again, after the destroy stopped elsewhere")
			assert.Equal(t, test.sent, m.function.kinds())
		})
	}
}

// TestRetireWakes checks that the executions of what was ended come to their end: a state machine
// with executions cannot be deleted.
func TestRetireWakes(t *testing.T) {
	m := newMachine(t)
	m.start(t)
	_, err := m.run(t, "ask")
	require.NoError(t, err)
	go m.stopWhenTold("ask")
	require.NoError(t, m.retire(t, "postgres", "delete"))
	assert.Equal(t, request.Expired, m.workflows.Told("ask"))
	execution, err := m.workflows.Execution(t.Context(), m.get(t))
	require.NoError(t, err)
	assert.Equal(t, request.Ended, execution, "it waited for that")

	m = newMachine(t, request.Approved, request.Active)
	_, err = m.run(t, "hold")
	require.NoError(t, err)
	require.NoError(t, m.retire(t, "postgres", "delete"))
	assert.Equal(t, request.Done, m.workflows.Told("hold"))
}

// stopWhenTold ends the execution once its wait was answered.
func (m *machine) stopWhenTold(token string) {
	for m.workflows.Told(token) == "" {
		time.Sleep(time.Millisecond)
	}
	m.stop()
}

// TestRetireRefuses checks that a flow stays as long as somebody holds a role by it, and that
// Terraform is told who.
func TestRetireRefuses(t *testing.T) {
	m := newMachine(t, request.Approved, request.Active)
	m.function.answer = func(event.Event) (event.Answer, error) {
		return event.Answer{}, &connector.PostgresFunctionError{
			Type: "DatabaseUnavailable", Message: "the database is not there.",
		}
	}
	err := m.retire(t, "postgres", "delete")
	assert.IsType(t, &workflow.FlowInUse{}, err)
	for _, part := range []string{
		"The flow postgres cannot be removed yet: 1 of its 1 open requests could not be ended.",
		`alice@example.com holds the role "readonly" until 2026-03-03 14:30:00 UTC`, m.id,
		"DatabaseUnavailable", "run Terraform again",
	} {
		assert.ErrorContains(t, err, part)
	}
	assert.Equal(t, request.Revoking, m.get(t).State)

	m.function.answer = m.agree
	require.NoError(t, m.retire(t, "postgres", "delete"))
	assert.Equal(t, request.Done, m.get(t).State)

	err = m.retire(t, "", "delete")
	assert.IsType(t, &workflow.UnknownInvocation{}, err)
}

// TestConnectorGone checks that access ends by another flow's connector to the same function, and
// that a request without any is told of, and is no error that comes back every minute.
func TestConnectorGone(t *testing.T) {
	m := newMachine(t, request.Approved, request.Active)
	r := m.get(t)
	shut := map[string]bool{r.LambdaConnector: true}
	m.function.answer = func(e event.Event) (event.Answer, error) {
		if last := m.function.sent[len(m.function.sent)-1]; shut[last.LambdaConnector] {
			return event.Answer{}, &connector.ConnectorUnavailable{
				Doing: "assuming the Lambda Connector", Err: errors.New("AccessDenied"), Closed: true,
			}
		}
		return m.agree(e)
	}
	same := request.Flow{Name: "postgres", LambdaConnector: r.LambdaConnector,
		Targets: []request.Target{r.Target}}
	m.clock.Advance(32 * time.Minute)

	// The flow is there: that its connector is shut is a fault, and another's is no way around it.
	renamed := request.Flow{Name: "renamed", LambdaConnector: "arn:renamed",
		Targets: []request.Target{r.Target}}
	m.steps.Flows = requesttest.Flows{renamed, same}
	_, err := m.reconcile(t)
	assert.IsType(t, &workflow.ReconcileFailed{}, err)

	// The flow is gone, and the others call other functions.
	other := r.Target
	other.FunctionARN += "-other"
	m.steps.Flows = requesttest.Flows{{Name: "other", LambdaConnector: "arn:other",
		Targets: []request.Target{other}}}
	m.clock.Advance(time.Minute)
	got, err := m.reconcile(t)
	require.NoError(t, err)
	assert.Zero(t, got.Ended)
	assert.Equal(t, request.Revoking, m.get(t).State, "nobody says done before it is")
	m.clock.Advance(time.Hour)
	_, err = m.reconcile(t)
	require.NoError(t, err)
	require.NotEmpty(t, m.told)
	assert.Contains(t, m.told[len(m.told)-1].What, "The flow postgres was removed, and no other flow calls")

	// It was renamed.
	m.steps.Flows = requesttest.Flows{renamed}
	got, err = m.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, 1, got.Ended)
	assert.Equal(t, request.Done, m.get(t).State)
}
