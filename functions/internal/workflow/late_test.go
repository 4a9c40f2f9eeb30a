package workflow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
)

var errBusy = &connector.PostgresFunctionError{
	Type: "DatabaseBusy", Message: "somebody holds the lock on the role",
}

func busy(event.Event) (event.Answer, error) { return event.Answer{}, errBusy }

// TestLateIsTold checks that people are told of access that outlasts its end by a sweep interval:
// who, what, since when, why not, and what to do; once, and again every hour.
func TestLateIsTold(t *testing.T) {
	m := newMachine(t, request.Approved)
	m.start(t)
	_, err := m.run(t, "escalate")
	require.NoError(t, err)
	m.clock.Advance(30 * time.Minute)
	m.function.answer = busy
	_, err = m.run(t, "deescalate")
	require.Error(t, err)

	m.clock.Advance(time.Minute - time.Millisecond)
	_, err = m.reconcile(t)
	require.NoError(t, err)
	assert.Empty(t, m.told)
	m.clock.Advance(time.Millisecond)
	for range 2 {
		_, err = m.reconcile(t)
		require.NoError(t, err)
	}
	require.Len(t, m.told, 1)
	told := m.told[0]
	assert.Equal(t, alice, told.Whom)
	assert.Equal(t, m.id, told.RequestID)
	assert.Equal(t, `alice@example.com got the role "readonly" (target postgres-readonly, flow `+
		`postgres) as the database user "alice" by the request `+m.id+`. It should have been `+
		`taken away at 2026-03-03 14:30:00 UTC, 1 minute ago, and that could not be done. The `+
		`last try, at 2026-03-03 14:30:00 UTC, failed: The Postgres function failed with `+
		`DatabaseBusy: somebody holds the lock on the role.`, told.What)
	assert.Contains(t, told.Do, "docs/operations.md")

	m.clock.Advance(59*time.Minute - time.Millisecond)
	_, err = m.reconcile(t)
	require.NoError(t, err)
	assert.Len(t, m.told, 1)
	m.clock.Advance(time.Millisecond)
	for range 2 {
		_, err = m.reconcile(t)
		require.NoError(t, err)
	}
	assert.Len(t, m.told, 2, "it lasts")
}

// TestLateWithoutWorkflow leaves the end to the reconciliation, which fails too.
func TestLateWithoutWorkflow(t *testing.T) {
	m := newMachine(t, request.Approved, request.Active)
	m.start(t)
	m.stop()
	m.function.answer = busy
	m.clock.Advance(30 * time.Minute)
	_, err := m.reconcile(t)
	require.Error(t, err)
	assert.Empty(t, m.told)
	m.clock.Advance(time.Minute)
	_, err = m.reconcile(t)
	require.Error(t, err)
	require.Len(t, m.told, 1)
	assert.Contains(t, m.told[0].What, "DatabaseBusy")
}

// TestLateOfEveryKind checks the message for each kind of late request.
func TestLateOfEveryKind(t *testing.T) {
	t.Run("revoked before its time", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		m.start(t)
		_, err := m.service.Revoke(t.Context(), bob, m.id, "")
		require.NoError(t, err)
		m.clock.Advance(time.Minute)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		require.Len(t, m.told, 1)
		assert.Contains(t, m.told[0].What, "should have been taken away at 2026-03-03 14:00:00 UTC")
		assert.Contains(t, m.told[0].What, "No failed try is on record")
	})
	t.Run("reviewed meanwhile, is late all the same", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active, request.Revoking)
		m.start(t)
		m.clock.Advance(time.Minute)
		require.NoError(t, m.store.Apply(t.Context(), m.get(t).Note(request.Act{
			Action: request.ActionReview, By: bob, At: m.clock.Now(),
		})))
		_, err := m.reconcile(t)
		require.NoError(t, err)
		assert.Len(t, m.told, 1)
	})
	t.Run("withdrawn", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.start(t)
		_, err := m.service.Revoke(t.Context(), alice, m.id, "")
		require.NoError(t, err)
		m.clock.Advance(time.Minute)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		require.Len(t, m.told, 1)
		assert.Contains(t, m.told[0].What, "was withdrawn by "+alice)
		assert.Contains(t, m.told[0].What, "could not make sure that nothing is granted")
	})
	t.Run("approved and not granted", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.start(t)
		m.function.answer = busy
		m.clock.Advance(5*time.Minute - time.Millisecond)
		_, err := m.run(t, "escalate")
		require.Error(t, err)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Empty(t, m.told)
		m.clock.Advance(time.Millisecond)
		for range 2 {
			_, err = m.reconcile(t)
			require.NoError(t, err)
		}
		require.Len(t, m.told, 1)
		assert.Contains(t, m.told[0].What, "was approved at 2026-03-03 14:00:00 UTC, 5 minutes ago, "+
			"and could not be granted yet. The last try")
		assert.Contains(t, m.told[0].What, "DatabaseBusy")
		assert.Contains(t, m.told[0].Do, "withdraw a request")
	})
	t.Run("approved and given up", func(t *testing.T) {
		m := newMachine(t, request.Approved)
		m.start(t)
		m.function.answer = busy
		m.clock.Advance(5 * time.Minute)
		_, err := m.run(t, "deescalate")
		require.Error(t, err)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		require.Len(t, m.told, 1)
		assert.Contains(t, m.told[0].What, "and could not be granted. The workflow has given up")
	})
	t.Run("several at once share messages, and everyone is named", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		m.start(t)
		for i := range 49 {
			first := requesttest.New(m.clock.Now())
			first.Request.Requester = fmt.Sprintf("someone%d@example.com", i)
			require.NoError(t, m.store.Create(t.Context(), first))
			m.id = first.Request.ID
			m.move(t, request.Approved, request.Active)
			m.start(t)
		}
		m.clock.Advance(31 * time.Minute)
		_, err := m.reconcile(t)
		require.NoError(t, err)
		require.Len(t, m.told, 3, "what Slack takes at once")
		_, err = m.reconcile(t)
		require.NoError(t, err)
		all := ""
		for _, told := range m.told {
			assert.Less(t, len(told.What), 3000, "what Slack shows of a text")
			assert.Contains(t, told.What, "\nWhy: No failed try is on record")
			all += told.What + told.Whom
		}
		assert.Regexp(t, `^\d+ requests are past their end, .* \(\d+ more in other messages\):`+
			`\n• [a-z0-9]+@example.com: "readonly".*, since 2026-03-03 14:30:00 UTC \(request `, all)
		for i := range 49 {
			assert.Equal(t, 2, strings.Count(all, fmt.Sprintf("someone%d@", i)), "once in each field")
		}
		told := len(m.told)
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Len(t, m.told, told)
	})
	t.Run("is told again if telling failed", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active)
		m.start(t)
		m.clock.Advance(31 * time.Minute)
		m.deaf = errors.New("no topic, no channel")
		_, err := m.reconcile(t)
		require.NoError(t, err, "a failure to tell must not stop requests from ending")
		m.deaf = nil
		_, err = m.reconcile(t)
		require.NoError(t, err)
		assert.Len(t, m.told, 1)
	})
	t.Run("ended requests are not late", func(t *testing.T) {
		m := newMachine(t, request.Approved, request.Active, request.Revoking, request.Done)
		m.clock.Advance(72 * time.Hour)
		_, err := m.reconcile(t)
		require.NoError(t, err)
		assert.Empty(t, m.told)
	})
}
