package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/functions/internal/workflow"
)

// TestReviewReminder checks that broken glass is brought to mind until somebody has looked.
func TestReviewReminder(t *testing.T) {
	m := newMachine(t)
	first := requesttest.New(m.clock.Now())
	first.Request.BreakGlass = true
	first.Request.ReviewDue = m.clock.Now().Add(request.ReviewEvery)
	m.id = first.Request.ID
	require.NoError(t, m.store.Create(t.Context(), first, first.Request.Change(request.Approved,
		request.Act{Action: request.ActionApprove, By: request.ByRules, At: m.clock.Now()})))
	m.start(t)
	m.move(t, request.Active, request.Revoking, request.Done)

	for day := range 3 {
		m.clock.Advance(request.ReviewEvery - time.Millisecond)
		_, err := m.reconcile(t)
		require.NoError(t, err)
		assert.Len(t, m.records(t), 5+day, "not yet")
		m.clock.Advance(time.Millisecond)
		for range 2 {
			_, err = m.reconcile(t)
			require.NoError(t, err)
		}
		assert.Len(t, m.records(t), 6+day, "once a day")
		last := m.lastRecord(t)
		assert.Equal(t, request.ActionRemind, last.Action)
		assert.Equal(t, request.Done, last.From)
		assert.Equal(t, request.Done, last.To)
	}
	_, err := m.service.Review(t.Context(), bob, m.id, "That was right.")
	require.NoError(t, err)
	m.clock.Advance(72 * time.Hour)
	_, err = m.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, request.ActionReview, m.lastRecord(t).Action)
}

func (m *machine) records(t *testing.T) []request.Record {
	t.Helper()
	records, err := m.store.Records(t.Context(), m.id)
	require.NoError(t, err)
	return records
}

// courier and chat fail, or remember what they were asked.
type courier struct {
	fail      error
	delivered []string
	leftovers int
}

func (c *courier) Deliver(_ context.Context, id string) error {
	c.delivered = append(c.delivered, id)
	return c.fail
}

func (c *courier) Leftovers(context.Context) (int, error) {
	c.leftovers++
	return 0, c.fail
}

type chat struct {
	fail     error
	later    []string
	reminded []time.Time
}

func (c *chat) Later(_ context.Context, payload json.RawMessage) error {
	c.later = append(c.later, string(payload))
	return c.fail
}

func (c *chat) Remind(_ context.Context, now time.Time) error {
	c.reminded = append(c.reminded, now)
	return c.fail
}

// TestTellingNeverStopsEnding has everything fail that tells people, and access end all the same.
func TestTellingNeverStopsEnding(t *testing.T) {
	m := newMachine(t, request.Approved, request.Active)
	m.start(t)
	m.stop()
	couriers, chats := &courier{fail: errors.New("no")}, &chat{fail: errors.New("Slack is down")}
	m.steps.Courier, m.steps.Chat = couriers, chats
	m.clock.Advance(time.Hour)
	got, err := m.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, workflow.Reconciled{Overdue: 1, Ended: 1}, got)
	assert.Equal(t, request.Done, m.get(t).State)
	assert.Equal(t, 1, couriers.leftovers)
	assert.Equal(t, []time.Time{m.clock.Now()}, chats.reminded)
}

// TestStepsForLater checks what the function gives itself to do.
func TestStepsForLater(t *testing.T) {
	m := newMachine(t)
	couriers, chats := &courier{}, &chat{}
	m.steps.Courier = couriers
	_, err := m.steps.Run(t.Context(), workflow.Input{Step: "slack"})
	assert.IsType(t, &workflow.UnknownInvocation{}, err, "there is no Slack yet")
	m.steps.Chat = chats
	_, err = m.run(t, "deliver")
	require.NoError(t, err)
	assert.Equal(t, []string{m.id}, couriers.delivered)
	_, err = m.steps.Run(t.Context(), workflow.Input{Step: "slack", Slack: []byte(`{"do":"x"}`)})
	require.NoError(t, err)
	assert.Equal(t, []string{`{"do":"x"}`}, chats.later)
}

// TestCheckRules answers Terraform, in the form in which modules/postgres-flow asks.
func TestCheckRules(t *testing.T) {
	m := newMachine(t)
	var in workflow.Input
	require.NoError(t, json.Unmarshal([]byte(`{"step":"check_rules","flow":"postgres",
		"groups":{"on_call":["erin@example.com"]},"roles":["readonly"],"targets":{"postgres-readonly":
		{"approvers":["bob@example.com"],"approvals":1,"approval_timeout_seconds":60,
		"request_when":"\"on_cal\" in requester.groups"}}}`), &in))
	out, err := m.steps.Run(t.Context(), in)
	require.NoError(t, err)
	answer, err := json.Marshal(out)
	require.NoError(t, err)
	assert.JSONEq(t, `{"problems":[{"target":"postgres-readonly",
		"place":"request_when, line 1 column 1","message":"There is no group \"on_cal\" here, so `+
		`this never holds. The only group is on_call."}]}`, string(answer))

	in.Groups["on_cal"] = nil
	out, err = m.steps.Run(t.Context(), in)
	require.NoError(t, err)
	require.NotNil(t, out.Problems)
	assert.Equal(t, []rules.Fault{}, *out.Problems)
}
