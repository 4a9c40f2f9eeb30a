package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/functions/internal/workflow"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
)

// machine is the steps, the people's side, and everything around them in the test's hands.
type machine struct {
	steps     *workflow.Steps
	service   *request.Service
	store     *requesttest.Memory
	workflows *requesttest.Workflows
	clock     *requesttest.Clock
	function  *function
	told      []request.Trouble
	deaf      error // what telling a human fails with
	id        string
}

// function stands in for the chain and the Postgres function behind it.
type function struct {
	sent   []connector.Call
	answer func(event.Event) (event.Answer, error)
}

func (f *function) Send(_ context.Context, call connector.Call) (event.Answer, error) {
	f.sent = append(f.sent, call)
	return f.answer(call.Event)
}

func (f *function) kinds() []string {
	var kinds []string
	for _, call := range f.sent {
		kinds = append(kinds, call.Event.Event.Type)
	}
	return kinds
}

// newMachine has one request, in the state that the path leads to.
func newMachine(t *testing.T, path ...request.State) *machine {
	t.Helper()
	m := &machine{
		store: requesttest.NewMemory(), workflows: requesttest.NewWorkflows(),
		clock: requesttest.NewClock(), function: &function{},
	}
	m.function.answer = m.agree
	log := slog.New(slog.DiscardHandler)
	m.steps = &workflow.Steps{
		OrgSlug: "acme", Store: m.store, Workflows: m.workflows, Chain: m.function,
		Now: m.clock.Now, Log: log,
		Tell: func(_ context.Context, trouble request.Trouble) error {
			if m.deaf != nil {
				return m.deaf
			}
			m.told = append(m.told, trouble)
			return nil
		},
	}
	m.service = &request.Service{
		Store: m.store, Workflows: m.workflows, Now: m.clock.Now, Log: log,
	}
	set, err := rules.Compile(rules.Document{
		Approvers: []string{bob}, Approvals: 1, ApprovalTimeoutSeconds: 3600,
	})
	require.NoError(t, err)
	first := requesttest.New(m.clock.Now())
	m.service.Flows = requesttest.Flows{{
		Name: "postgres", Targets: []request.Target{first.Request.Target},
		TargetRules: map[string]*rules.Rules{first.Request.Target.Name: set},
	}}
	m.id = first.Request.ID
	require.NoError(t, m.store.Create(t.Context(), first))
	m.move(t, path...)
	return m
}

// agree answers as the Postgres function does when all is well.
func (m *machine) agree(e event.Event) (event.Answer, error) {
	if e.Event.Type == event.Escalate {
		return event.Succeed(event.Escalated{
			Run: e.Run.SRN, User: "alice", Role: "readonly", Changed: true,
			ExpiresAt: m.clock.Now().Add(time.Duration(*e.Fields.Duration) * time.Second),
		})
	}
	return event.Succeed(event.Deescalated{
		Run: e.Run.SRN, User: "alice", Role: "readonly", Changed: true, SessionsEnded: 2,
	})
}

func (m *machine) move(t *testing.T, states ...request.State) {
	t.Helper()
	for _, state := range states {
		by := bob
		if state != request.Approved && state != request.Denied {
			by = request.ByWorkflow
		}
		change := m.get(t).Change(state, request.Act{
			Action: string(state), By: by, At: m.clock.Now(),
		})
		if state == request.Active {
			change.Request.ExpiresAt = m.clock.Now().Add(30 * time.Minute)
		}
		require.NoError(t, m.store.Apply(t.Context(), change))
	}
}

func (m *machine) get(t *testing.T) request.Request {
	t.Helper()
	r, err := m.store.Get(t.Context(), m.id)
	require.NoError(t, err)
	return r
}

func (m *machine) run(t *testing.T, step string) (workflow.Output, error) {
	t.Helper()
	in := workflow.Input{Step: step, RequestID: m.id}
	if step == "ask" || step == "hold" {
		in.TaskToken = step
		m.workflows.Wait(step)
	}
	return m.steps.Run(t.Context(), in)
}

func (m *machine) lastRecord(t *testing.T) request.Record {
	t.Helper()
	records, err := m.store.Records(t.Context(), m.id)
	require.NoError(t, err)
	return records[len(records)-1]
}

// TestStory runs a request from its question to its end.
func TestStory(t *testing.T) {
	m := newMachine(t)
	_, err := m.run(t, "ask")
	require.NoError(t, err)
	assert.Empty(t, m.workflows.Told("ask"), "nobody has decided")
	_, err = m.service.Approve(t.Context(), bob, m.id, "go on")
	require.NoError(t, err)
	assert.Equal(t, request.Approved, m.workflows.Told("ask"))

	out, err := m.run(t, "escalate")
	require.NoError(t, err)
	assert.Equal(t, workflow.Output{State: request.Active, HoldSeconds: 1800}, out)
	assert.Equal(t, m.clock.Now().Add(30*time.Minute), m.get(t).ExpiresAt)
	_, err = m.run(t, "hold")
	require.NoError(t, err)
	assert.Empty(t, m.workflows.Told("hold"), "nobody has revoked")

	m.clock.Advance(30 * time.Minute)
	out, err = m.run(t, "deescalate")
	require.NoError(t, err)
	assert.Equal(t, workflow.Output{State: request.Done}, out)
	out, err = m.run(t, "close")
	require.NoError(t, err)
	assert.Equal(t, workflow.Output{State: request.Done}, out)

	records, err := m.store.Records(t.Context(), m.id)
	require.NoError(t, err)
	var story []string
	for _, record := range records {
		story = append(story, record.Action+" by "+record.By+": "+record.Rule)
	}
	assert.Equal(t, []string{
		"submit by alice@example.com: requester",
		"approve by bob@example.com: approver",
		"grant by workflow: granted",
		"revoke by workflow: expiry",
		"end by workflow: revoked",
	}, story)
	assert.Contains(t, m.lastRecord(t).Reason, "2 open sessions were ended")
}

// TestEvents reads what the function is sent with the function's own eyes.
func TestEvents(t *testing.T) {
	m := newMachine(t, request.Approved)
	_, err := m.run(t, "escalate")
	require.NoError(t, err)
	_, err = m.service.Revoke(t.Context(), bob, m.id, "enough")
	require.NoError(t, err)
	_, err = m.run(t, "deescalate")
	require.NoError(t, err)
	require.Len(t, m.function.sent, 2)

	var events []*event.Event
	for _, call := range m.function.sent {
		assert.Equal(t, m.id, call.RequestID)
		assert.Equal(t, "arn:aws:iam::123456789012:role/sym/SymLambdaPostgres",
			call.LambdaConnector)
		assert.Equal(t, "arn:aws:lambda:us-east-1:123456789012:function:sym-postgres",
			call.FunctionARN)
		document, err := json.Marshal(call.Event)
		require.NoError(t, err)
		parsed, err := event.Parse(document)
		require.NoError(t, err)
		requester, err := parsed.Requester()
		require.NoError(t, err)
		role, err := parsed.Role()
		require.NoError(t, err)
		duration, err := parsed.Duration(24 * time.Hour)
		require.NoError(t, err)
		assert.Equal(t, alice, requester)
		assert.Equal(t, "readonly", role)
		assert.Equal(t, 30*time.Minute, duration)
		assert.Equal(t, "acme:run:postgres:"+m.id, parsed.Run.SRN)
		assert.Equal(t, "postgres", parsed.Flow())
		assert.Equal(t, 6, parsed.Meta.SchemaVersion)
		assert.Equal(t, bob, parsed.Run.Actors.Approve.Username)
		assert.Equal(t, bob, parsed.Actor.Username)
		assert.Equal(t, call.FunctionARN, parsed.Fields.Target.Settings.ARN)
		assert.Equal(t, "Look at order 4711 — \"quoted\"\nand more", parsed.Fields.Reason)
		events = append(events, parsed)
	}
	assert.NotEqual(t, events[0].ID, events[1].ID)
	assert.Empty(t, events[0].Fields.DeescalateType)
	assert.Equal(t, "revoke", events[1].Fields.DeescalateType)
	assert.Equal(t, bob, events[1].Run.Actors.Deescalate.Username)
}

// TestSignals checks the workflow's side of every order in which a decision or a revocation
// and the token for it may come.
func TestSignals(t *testing.T) {
	tests := []struct {
		name string
		step string
		path []request.State
		told request.State
	}{
		{"asks", "ask", nil, ""},
		{"finds an approval", "ask", []request.State{request.Approved}, request.Approved},
		{"finds a denial", "ask", []request.State{request.Denied}, request.Denied},
		{"finds a request whose start looked failed", "ask",
			[]request.State{request.Failed}, request.Failed},
		{"holds", "hold", []request.State{request.Approved, request.Active}, ""},
		{"finds a revocation", "hold",
			[]request.State{request.Approved, request.Active, request.Revoking},
			request.Revoking},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, test.path...)
			out, err := m.run(t, test.step)
			require.NoError(t, err)
			assert.Equal(t, m.get(t).State, out.State)
			assert.Equal(t, test.told, m.workflows.Told(test.step))
		})
	}
	t.Run("fails where the signal fails", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.workflows.SetErrors(nil, errors.New("throttled"))
		_, err := m.run(t, "ask")
		assert.IsType(t, &workflow.WorkflowUnavailable{}, err)
	})
	t.Run("a revocation between grant and hold is not lost", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		_, err := m.run(t, "escalate")
		require.NoError(t, err)
		_, err = m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		_, err = m.run(t, "hold")
		require.NoError(t, err)
		assert.Equal(t, request.Revoking, m.workflows.Told("hold"))
	})
}

// TestSignalRace has the person and the step meet in every way the scheduler finds.
func TestSignalRace(t *testing.T) {
	for range 200 {
		m := newMachine(t)
		done := make(chan error)
		go func() {
			_, err := m.run(t, "ask")
			done <- err
		}()
		_, err := m.service.Approve(t.Context(), bob, m.id, "")
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.Equal(t, request.Approved, m.workflows.Told("ask"))
	}
}

func TestEscalate(t *testing.T) {
	refuse := func(event.Event) (event.Answer, error) {
		return event.Refuse(event.UnknownUser, "There is no database user alice.").Answer(), nil
	}
	t.Run("keeps the function's refusal", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = refuse
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Failed}, out)
		assert.Equal(t, "There is no database user alice.", m.get(t).Failure)
		record := m.lastRecord(t)
		assert.Equal(t, request.RuleRefused, record.Rule)
		assert.Equal(t, "There is no database user alice.", record.Reason)
	})
	t.Run("passes failures on by name and changes nothing", func(t *testing.T) {
		for _, failure := range []error{
			&connector.PostgresFunctionError{Type: "DatabaseUnavailable"},
			&connector.ConnectorUnavailable{Doing: "assuming", Err: errors.New("denied")},
		} {
			m := newMachine(t, request.Approved)
			m.function.answer = func(event.Event) (event.Answer, error) {
				return event.Answer{}, failure
			}
			_, err := m.run(t, "escalate")
			assert.Equal(t, failure, err)
			assert.Equal(t, request.Approved, m.get(t).State)
		}
	})
	t.Run("takes no other answer for a grant", func(t *testing.T) {
		for _, body := range []string{
			`null`, `{}`, `"ok"`, `{"run":"another","expires_at":"2026-03-03T15:00:00Z"}`,
		} {
			m := newMachine(t, request.Approved)
			m.function.answer = func(event.Event) (event.Answer, error) {
				return event.Answer{Body: json.RawMessage(body)}, nil
			}
			_, err := m.run(t, "escalate")
			assert.IsType(t, &connector.PostgresFunctionError{}, err, body)
			assert.Equal(t, request.Approved, m.get(t).State)
		}
	})
	t.Run("repeated, does nothing again", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		_, err := m.run(t, "escalate")
		require.NoError(t, err)
		m.clock.Advance(10*time.Minute + 500*time.Millisecond)
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Active, HoldSeconds: 1200}, out)
		assert.Equal(t, []string{"escalate"}, m.function.kinds())
		m.clock.Advance(time.Hour)
		out, err = m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, int64(1), out.HoldSeconds, "a wait of nothing is none")
	})
	t.Run("grants nothing that is not approved", func(t *testing.T) {
		for _, path := range [][]request.State{
			{}, {request.Denied}, {request.Expired}, {request.Failed},
			{request.Approved, request.Active, request.Revoking, request.Done},
			{request.Approved, request.Revoking, request.Done},
		} {
			m := newMachine(t, path...)
			before := m.get(t)
			out, err := m.run(t, "escalate")
			require.NoError(t, err)
			assert.Equal(t, workflow.Output{State: before.State}, out)
			assert.Empty(t, m.function.sent)
			assert.Equal(t, before, m.get(t))
		}
	})
	t.Run("revoked meanwhile, goes on to where that is seen", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active, request.Revoking)
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Active, HoldSeconds: 1}, out)
	})
	t.Run("given up meanwhile, leaves it so", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = func(e event.Event) (event.Answer, error) {
			if e.Event.Type == event.Escalate {
				m.move(t, request.Failed)
			}
			return m.agree(e)
		}
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Failed}, out)
		assert.Equal(t, request.Failed, m.get(t).State)
		assert.Equal(t, []string{"escalate", "deescalate"}, m.function.kinds(),
			"what was granted is taken back")
	})
	t.Run("reviewed meanwhile, is active all the same", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = func(e event.Event) (event.Answer, error) {
			require.NoError(t, m.store.Apply(t.Context(), m.get(t).Note(request.Act{
				Action: request.ActionReview, By: bob, At: m.clock.Now(),
			})))
			return m.agree(e)
		}
		out, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.Equal(t, request.Active, out.State)
		r := m.get(t)
		assert.Equal(t, request.Active, r.State)
		assert.Equal(t, bob, r.Review.By)
	})
	t.Run("is held since the ledger has it", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		granted := m.clock.Now()
		m.clock.Advance(70 * time.Second) // the first answer was lost
		m.function.answer = func(e event.Event) (event.Answer, error) {
			return event.Succeed(event.Escalated{
				Run: e.Run.SRN, User: "alice", Role: "readonly", GrantedAt: granted,
				ExpiresAt: granted.Add(30 * time.Minute),
			})
		}
		_, err := m.run(t, "escalate")
		require.NoError(t, err)
		assert.True(t, m.get(t).HeldAt(granted))
	})
}

func TestDeescalate(t *testing.T) {
	t.Run("of an escalate that came to no end", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		approved := m.get(t).UpdatedAt
		m.clock.Advance(time.Minute)
		defer func() {
			r := m.get(t)
			assert.True(t, r.HeldAt(approved), "the role was held, for all that is known")
			assert.False(t, r.HeldAt(m.clock.Now()))
		}()
		out, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Failed}, out)
		assert.Equal(t, []string{"deescalate"}, m.function.kinds())
		assert.Equal(t, request.RuleWorkflowFailure, m.lastRecord(t).Rule)
	})
	t.Run("of an escalate that comes to its end meanwhile", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.function.answer = func(e event.Event) (event.Answer, error) {
			if m.get(t).State == request.Approved {
				m.move(t, request.Active)
			}
			return m.agree(e)
		}
		out, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Done}, out)
		assert.Equal(t, []string{"deescalate", "deescalate"}, m.function.kinds())
	})
	t.Run("before the time is not called expiry", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		_, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, request.RuleWorkflowFailure, m.get(t).Revocation.Rule)
	})
	t.Run("of a revoked request keeps who revoked it", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		_, err := m.service.Revoke(t.Context(), alice, m.id, "finished")
		require.NoError(t, err)
		out, err := m.run(t, "deescalate")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Done}, out)
		assert.Equal(t, alice, m.get(t).Revocation.By)
	})
	t.Run("never swallows a failure", func(t *testing.T) {
		answers := map[string]func(event.Event) (event.Answer, error){
			"a function error": func(event.Event) (event.Answer, error) {
				return event.Answer{}, &connector.PostgresFunctionError{Type: "DatabaseBusy"}
			},
			"a refusal": func(event.Event) (event.Answer, error) {
				return event.Refuse(event.NotInstalled, "There is no ledger.").Answer(), nil
			},
			"a refusal that looks like a success": func(e event.Event) (event.Answer, error) {
				body, err := json.Marshal(event.Deescalated{Run: e.Run.SRN, Changed: true})
				return event.Answer{Body: body, Errors: event.Errors{"Not quite."}}, err
			},
			"no answer": func(event.Event) (event.Answer, error) {
				return event.Answer{Body: json.RawMessage(`{}`)}, nil
			},
		}
		for name, answer := range answers {
			t.Run(name, func(t *testing.T) {
				m := newMachine(t, request.Approved, request.Active)
				m.clock.Advance(time.Hour)
				m.function.answer = answer
				_, err := m.run(t, "deescalate")
				assert.IsType(t, &connector.PostgresFunctionError{}, err)
				assert.Equal(t, request.Revoking, m.get(t).State)

				m.function.answer = m.agree
				out, err := m.run(t, "deescalate")
				require.NoError(t, err)
				assert.Equal(t, workflow.Output{State: request.Done}, out)
				records, err := m.store.Records(t.Context(), m.id)
				require.NoError(t, err)
				assert.Len(t, records, 5, "a second try is no second transition")
			})
		}
	})
	t.Run("leaves alone what has nothing granted", func(t *testing.T) {
		for _, path := range [][]request.State{
			{}, {request.Denied}, {request.Expired}, {request.Approved, request.Failed},
			{request.Approved, request.Active, request.Revoking, request.Done},
		} {
			m := newMachine(t, path...)
			before := m.get(t)
			out, err := m.run(t, "deescalate")
			require.NoError(t, err)
			assert.Equal(t, workflow.Output{State: before.State}, out)
			assert.Empty(t, m.function.sent)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("ends what nobody decided", func(t *testing.T) {
		m := newMachine(t)
		m.clock.Advance(time.Hour)
		out, err := m.run(t, "close")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Expired}, out)
		assert.Equal(t, request.RuleApprovalTimeout, m.lastRecord(t).Rule)
	})
	t.Run("says so if it was not the time", func(t *testing.T) {
		m := newMachine(t)
		_, err := m.run(t, "close")
		require.NoError(t, err)
		assert.Equal(t, request.RuleWorkflowFailure, m.lastRecord(t).Rule)
	})
	t.Run("lets the last moment's approval win", func(t *testing.T) {
		m := newMachine(t)
		m.clock.Advance(time.Hour)
		m.store.Fail = func(operation string) error {
			if operation == "apply" {
				m.store.Fail = nil
				m.move(t, request.Approved)
			}
			return nil
		}
		out, err := m.run(t, "close")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Approved}, out)
	})
	t.Run("otherwise changes nothing", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		before := m.get(t)
		out, err := m.run(t, "close")
		require.NoError(t, err)
		assert.Equal(t, workflow.Output{State: request.Active}, out)
		assert.Equal(t, before, m.get(t))
	})
}

// TestErrorNames checks that the state machine sees the names it may rely on.
func TestErrorNames(t *testing.T) {
	m := newMachine(t)
	for _, in := range []workflow.Input{
		{Step: "dance", RequestID: m.id}, {Step: "close"}, {Step: "ask", RequestID: m.id},
	} {
		_, err := m.steps.Run(t.Context(), in)
		assert.IsType(t, &workflow.UnknownInvocation{}, err)
	}
	_, err := m.steps.Run(t.Context(), workflow.Input{Step: "close", RequestID: "nowhere"})
	assert.IsType(t, &workflow.RequestNotFound{}, err)

	for _, failure := range []error{
		&dynamodb.StoreUnavailable{Doing: "reading", Err: errors.New("timeout")},
		errors.New("something else"),
	} {
		m.store.Fail = func(string) error { return failure }
		_, err = m.run(t, "close")
		if unavailable, ok := failure.(*dynamodb.StoreUnavailable); ok {
			assert.Equal(t, unavailable, err)
			continue
		}
		assert.IsType(t, &workflow.StepFailed{}, err)
	}
}
