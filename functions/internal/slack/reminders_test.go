package slack

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// remind reminds every minute for a time.
func (w *world) remind(t *testing.T, minutes int) {
	t.Helper()
	for range minutes {
		w.clock.Advance(time.Minute)
		require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	}
}

func TestTenMinutesLeft(t *testing.T) {
	ask := func(w *world, d time.Duration) request.Request {
		r := w.submit(t, request.Submission{Flow: "postgres", Target: "postgres-readonly",
			Reason: "x", Duration: &d})
		return w.move(t, r.ID, request.Approved, request.Active)
	}
	t.Run("once", func(t *testing.T) {
		w := newWorld(t)
		ask(w, 30*time.Minute)
		w.remind(t, 19)
		assert.Empty(t, w.api.posts)
		w.remind(t, 1)
		require.Len(t, w.api.told(t, aliceID), 1)
		assert.Contains(t, w.api.told(t, aliceID)[0], "10 minutes left")
		w.remind(t, 15)
		assert.Len(t, w.api.posts, 1)
	})
	t.Run("not for what is short", func(t *testing.T) {
		w := newWorld(t)
		ask(w, 15*time.Minute)
		w.remind(t, 20)
		assert.Empty(t, w.api.posts)
	})
	t.Run("not where an extension lasts longer", func(t *testing.T) {
		w := newWorld(t)
		ask(w, 30*time.Minute)
		w.remind(t, 5)
		ask(w, time.Hour)
		w.remind(t, 40)
		assert.Empty(t, w.api.posts)
		w.remind(t, 20)
		assert.Len(t, w.api.told(t, aliceID), 1, "for the last one")
	})
	t.Run("after a failure", func(t *testing.T) {
		w := newWorld(t)
		ask(w, 30*time.Minute)
		w.remind(t, 20)
		w.api.posts = nil
		other := ask(w, 20*time.Minute)
		w.clock.Advance(11 * time.Minute)
		w.api.fail("chat.postMessage", fault{status: 503})
		assert.ErrorContains(t, w.Remind(t.Context(), w.clock.Now()), other.ID)
		w.remind(t, 1)
		assert.Len(t, w.api.told(t, aliceID), 1)
	})
	t.Run("not if the table cannot be read", func(t *testing.T) {
		w := newWorld(t)
		w.store.Fail = func(string) error { return errors.New("no table") }
		assert.Error(t, w.Remind(t.Context(), w.clock.Now()))
	})
}

func TestBackupApproversAreAskedOnce(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.BackupApprovers, d.BackupAfterSeconds = []string{dave, "gone@example.com"}, 600
	})
	r := w.submit(t)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks),
		"Back-up approvers: dave@example.com or gone@example.com, from 2026-03-03 14:10 UTC on")
	w.click(t, daveID, approveButton, r.ID)
	w.work(t)
	assert.Equal(t, request.Requested, w.get(t, r.ID).State, "it is not their turn yet")

	w.remind(t, 9)
	require.Len(t, w.api.to(channel), 1)
	w.remind(t, 20)
	require.Len(t, w.api.to(channel), 2)
	m := w.api.to(channel)[1]
	assert.Equal(t, w.api.to(channel)[0].TS, m.Thread)
	assert.True(t, m.Broadcast)
	assert.Equal(t, "Nobody has decided since 2026-03-03 14:00 UTC. From now on these may approve it "+
		"as well: @U0DAVE (dave@example.com), gone@example.com", shown(t, m.Blocks))

	w.click(t, daveID, approveButton, r.ID)
	w.work(t)
	assert.Equal(t, request.Approved, w.get(t, r.ID).State)
}

func TestBackupApproversAreNotAskedForNothing(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.BackupApprovers, d.BackupAfterSeconds = []string{dave}, 600
	})
	decided := w.submit(t)
	w.move(t, decided.ID, request.Approved)
	w.clock.Advance(2 * time.Hour)
	w.submit(t)
	w.clock.Advance(2 * time.Hour) // too late for it, and nobody has noticed yet
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	assert.Empty(t, w.api.posts)
}

func TestABackupReminderWithoutAMessage(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.BackupApprovers, d.BackupAfterSeconds = []string{dave}, 600
	})
	w.submit(t) // never delivered
	w.remind(t, 11)
	m := w.message(t)
	assert.Empty(t, m.Thread)
	assert.Contains(t, shown(t, m.Blocks), "Nobody has decided")
}
