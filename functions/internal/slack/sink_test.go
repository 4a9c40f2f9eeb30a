package slack

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
	"sym-postgres-quickstart/functions/internal/workflow"
)

// The adapter is what the rest of the Runtime takes it for.
var (
	_ delivery.Sink = (*Sink)(nil)
	_ workflow.Chat = (*Slack)(nil)
)

func TestTheMessageIsPostedOnceAndUpdatedInPlace(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	for range 3 {
		w.deliver(t, r.ID)
	}
	w.move(t, r.ID, request.Approved, request.Active)
	w.deliver(t, r.ID)
	m := w.message(t)
	assert.Equal(t, channel, m.Channel)
	assert.Equal(t, 3, m.Updates, "two repetitions, and the last of three records")
}

func TestAMessageThatWasDeletedIsPostedAnew(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.deliver(t, r.ID)
	w.api.posts[0].Deleted = true
	w.move(t, r.ID, request.Approved)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), "Approved")
	w.move(t, r.ID, request.Active)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), "Active until", "the new one goes on")
}

func TestAFlowWithoutAChannel(t *testing.T) {
	w := newWorld(t, func(f *request.Flow, _ *rules.Document, _ *Settings) { f.RequestChannel = "" })
	r := w.submit(t)
	w.move(t, r.ID, request.Approved)
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.to(""))
	assert.Len(t, w.api.told(t, aliceID), 1)
}

func TestARequesterWhoIsNotInSlack(t *testing.T) {
	for name, change := range map[string]func(*fakeSlack){
		"unknown": func(f *fakeSlack) { delete(f.users, aliceID) },
		"a guest": func(f *fakeSlack) {
			f.users[aliceID] = account(aliceID, alice, set("is_restricted", true))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w.api)
			r := w.submit(t)
			w.move(t, r.ID, request.Approved, request.Active)
			w.deliver(t, r.ID)
			assert.Contains(t, shown(t, w.message(t).Blocks), "Who: alice@example.com\n")
			assert.Empty(t, w.api.to(aliceID))
			assert.Empty(t, w.troubles)
		})
	}
}

// TestSlackIsDown fails so that it is delivered again, and says nothing twice then.
func TestSlackIsDown(t *testing.T) {
	for name, f := range map[string]fault{
		"no answer":       {status: -1},
		"an error":        {status: 503},
		"an error inside": {err: "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.submit(t)
			w.api.fail("chat.postMessage", f)
			require.Error(t, w.tryDeliver(t, r.ID))
			assert.Empty(t, w.api.posts)
			assert.Empty(t, w.troubles, "it passes by itself")
			w.deliver(t, r.ID)
			w.message(t)

			w.move(t, r.ID, request.Approved)
			w.api.fail("chat.update", f)
			require.Error(t, w.tryDeliver(t, r.ID))
			assert.Len(t, w.api.told(t, aliceID), 1, "the one does not wait for the other")
			w.deliver(t, r.ID)
			assert.Contains(t, shown(t, w.message(t).Blocks), "Approved")
			assert.Len(t, w.api.told(t, aliceID), 1)

			w.move(t, r.ID, request.Active)
			w.api.fail("chat.postMessage", f)
			require.Error(t, w.tryDeliver(t, r.ID))
			w.deliver(t, r.ID)
			assert.Len(t, w.api.told(t, aliceID), 2)
		})
	}
}

// TestSlackIsDownForDays gives up what nobody needs to read any more.
func TestSlackIsDownForDays(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.api.fail("chat.postMessage", fault{status: 503}, fault{status: 503})
	require.Error(t, w.tryDeliver(t, r.ID))
	w.clock.Advance(25 * time.Hour)
	require.NoError(t, w.tryDeliver(t, r.ID))
	assert.Contains(t, w.log.String(), "could not be brought to Slack for a day")
}

// TestARecordIsDeliveredAgain although it was posted: what remembers it failed.
func TestARecordIsDeliveredAgain(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved)
	for _, operation := range []string{"slack message", "save slack message", "noted", "note"} {
		w.store.Fail = func(o string) error {
			if o == operation {
				return errors.New("ProvisionedThroughputExceededException")
			}
			return nil
		}
		assert.Error(t, w.tryDeliver(t, r.ID), operation)
	}
	w.store.Fail = nil
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), "Approved")
}

// TestAChannelThatIsNotThere needs a human, who is told once; the rest goes on.
func TestAChannelThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	gone := fault{err: "channel_not_found"}
	w.api.fail("chat.postMessage", gone, gone)
	w.deliver(t, r.ID)
	w.deliver(t, r.ID)
	require.Len(t, w.troubles, 1)
	trouble := w.troubles[0]
	assert.Equal(t, alice, trouble.Whom)
	assert.Equal(t, r.ID, trouble.RequestID)
	assert.Contains(t, trouble.What, channel)
	assert.Contains(t, trouble.What, "channel_not_found")
	assert.Contains(t, trouble.Do, "invite the app into it")

	// As soon as somebody has let the app in it is posted, while it waits for a decision.
	w.api.fail("chat.postMessage", gone)
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	assert.Empty(t, w.api.to(channel))
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	assert.Contains(t, shown(t, w.message(t).Blocks), "Waits for approval")
	assert.Len(t, w.troubles, 1)
}

func TestOtherTroublesWithAChannel(t *testing.T) {
	tests := []struct {
		code, do string
		again    bool
	}{
		{"not_in_channel", "invite the app", false},
		{"is_archived", "out of the archive", false},
		{"restricted_action", "a setting of the workspace forbids it", false},
		{"invalid_blocks", "Slack's reference", false},
		{"missing_scope", "docs/slack-app.yaml", true},
		{"token_revoked", "docs/slack.md", true},
	}
	for _, test := range tests {
		t.Run(test.code, func(t *testing.T) {
			w := newWorld(t)
			r := w.submit(t)
			w.api.fail("chat.postMessage", fault{err: test.code}, fault{err: test.code})
			for range 2 {
				assert.Equal(t, test.again, w.tryDeliver(t, r.ID) != nil)
			}
			require.Len(t, w.troubles, 1)
			assert.Contains(t, w.troubles[0].Do, test.do)
			assert.Contains(t, w.troubles[0].What, test.code)
		})
	}
	t.Run("no token yet", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved)
		w.secrets.token = ""
		require.Error(t, w.tryDeliver(t, r.ID))
		require.Error(t, w.tryDeliver(t, r.ID))
		require.Len(t, w.troubles, 1)
		assert.Contains(t, w.troubles[0].Do, "put slack_bot_token into the shared secret")
		w.secrets.token = "xoxb-1"
		w.deliver(t, r.ID)
		w.message(t)
	})
}

// TestADirectMessageThatSlackRefuses stands in nobody's way.
func TestADirectMessageThatSlackRefuses(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.deliver(t, r.ID)
	w.move(t, r.ID, request.Approved)
	w.api.fail("chat.postMessage", fault{err: "user_disabled"})
	w.deliver(t, r.ID)
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.told(t, aliceID))
	assert.Contains(t, w.log.String(), "user_disabled")
	assert.Empty(t, w.troubles)

	w.move(t, r.ID, request.Active)
	w.api.fail("chat.postMessage", fault{err: "messages_tab_disabled"})
	w.deliver(t, r.ID)
	require.Len(t, w.troubles, 1)
	assert.Contains(t, w.troubles[0].Do, "Switch the messages tab")
}
