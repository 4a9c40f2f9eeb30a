package workflow_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

// TestPreview asks the function what a grant would come to, and reads every kind of answer.
func TestPreview(t *testing.T) {
	preview := func(t *testing.T, answer event.Answer, err error) (*machine, request.Preview, error) {
		t.Helper()
		m := newMachine(t)
		m.function.answer = func(event.Event) (event.Answer, error) { return answer, err }
		p, err := m.steps.Preview(t.Context(), m.get(t))
		return m, p, err
	}
	isRefusal := func(err error) bool {
		_, ok := errors.AsType[*request.Error](err)
		return ok
	}
	t.Run("sends a check of the run", func(t *testing.T) {
		answer, err := event.Succeed(event.Checked{
			User: "alice", Role: "readonly", NeedsSetRole: true,
			CouldLeave: append([]string{strings.Repeat("ä", 400)}, make([]string, 20)...),
		})
		require.NoError(t, err)
		m, p, err := preview(t, answer, nil)
		require.NoError(t, err)
		assert.True(t, p.NeedsSetRole)
		assert.Len(t, p.CouldLeave, 10, "what is kept with a request is bounded")
		assert.Len(t, []rune(p.CouldLeave[0]), 300)
		require.Len(t, m.function.sent, 1)
		document, err := json.Marshal(m.function.sent[0].Event)
		require.NoError(t, err)
		parsed, err := event.Parse(document)
		require.NoError(t, err)
		assert.Equal(t, event.Check, parsed.Event.Type)
		assert.Equal(t, "acme:run:postgres:"+m.id, parsed.Run.SRN)
		assert.Equal(t, int64(1800), *parsed.Fields.Duration)
		requester, err := parsed.Requester()
		require.NoError(t, err)
		assert.Equal(t, alice, requester)
		assert.Equal(t, request.Requested, m.get(t).State)
	})
	t.Run("passes a refusal on in the function's words", func(t *testing.T) {
		const words = "The database user alice belongs to alice@old.example.com."
		_, _, err := preview(t, event.Refuse(event.UserTaken, words).Answer(), nil)
		refusal, ok := errors.AsType[*request.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, request.CannotBeGranted, refusal.Code)
		assert.Equal(t, words, refusal.Message)
	})
	for name, answer := range map[string]event.Answer{
		"a function from before checks": event.Refuse(event.MalformedEvent,
			"The event is of type \"check\", which this function does not know.").Answer(),
		"a function of another make":   {Errors: event.Errors{"Unsupported event."}},
		"an answer to something else":  {Body: json.RawMessage(`{"status":"ok"}`)},
		"an answer about another role": {Body: json.RawMessage(`{"user":"alice","role":"admin"}`)},
		"nothing":                      {Body: json.RawMessage(`null`)},
	} {
		t.Run(name+" is no refusal", func(t *testing.T) {
			_, _, err := preview(t, answer, nil)
			require.Error(t, err)
			assert.False(t, isRefusal(err), "%v", err)
		})
	}
	t.Run("a function that cannot be reached is no refusal", func(t *testing.T) {
		_, _, err := preview(t, event.Answer{}, errors.New("timed out"))
		require.Error(t, err)
		assert.False(t, isRefusal(err))
	})
}
