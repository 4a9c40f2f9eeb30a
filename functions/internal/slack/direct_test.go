package slack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// TestWhatTheRequesterIsTold follows a request through its life.
func TestWhatTheRequesterIsTold(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	next := func() post {
		before := len(w.api.to(aliceID))
		w.deliver(t, r.ID)
		all := w.api.to(aliceID)
		require.Len(t, all, before+1)
		w.deliver(t, r.ID)
		require.Len(t, w.api.to(aliceID), before+1, "each once")
		return all[before]
	}
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.to(aliceID), "they know that they have asked")

	_, err := w.service.Approve(t.Context(), bob, r.ID, "For today")
	require.NoError(t, err)
	m := next()
	assert.Equal(t, "Approved: readonly in the flow postgres is being granted to you\n"+
		"• bob@example.com approved it 2026-03-03 14:00 UTC, by the rule approver "+
		"(bob@example.com is an approver): “For today”\nRequest request-1", shown(t, m.Blocks))

	w.move(t, r.ID, request.Active)
	m = next()
	assert.Equal(t, "Active: you have readonly (Read the orders) until 2026-03-03 14:30 UTC\n"+
		"In the database you are alice. Connect as you always do; the role is there at once, also "+
		"in sessions that are open.\n"+
		"psql \"host=db.example.com dbname=orders user=alice\"\n"+
		"Revoke\nExtend\nRequest request-1", shown(t, m.Blocks))
	assert.Equal(t, []string{revokeButton + " " + r.ID, extendButton + " " + r.ID},
		buttonsIn(t, m.Blocks))
	assert.Equal(t, "Active: you have readonly until 2026-03-03 14:30 UTC, as the database user "+
		"alice", m.Text)

	w.clock.Advance(22 * time.Minute)
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	require.Len(t, w.api.to(aliceID), 3)
	m = w.api.to(aliceID)[2]
	assert.Equal(t, "8 minutes left: you have readonly in the flow postgres until 2026-03-03 14:30 "+
		"UTC. Extending it is a new request, which somebody has to approve.\n"+
		"Revoke\nExtend\nRequest request-1", shown(t, m.Blocks))
	assert.Equal(t, []string{revokeButton + " " + r.ID, extendButton + " " + r.ID},
		buttonsIn(t, m.Blocks))

	w.clock.Advance(8 * time.Minute)
	w.move(t, r.ID, request.Revoking, request.Done)
	m = next()
	assert.Equal(t, "Ended: readonly in the flow postgres: its time is over\nRequest request-1",
		shown(t, m.Blocks))
	assert.Empty(t, buttonsIn(t, m.Blocks))
}

func TestWhatElseTheRequesterIsTold(t *testing.T) {
	last := func(t *testing.T, w *world, id string) string {
		w.deliver(t, id)
		all := w.api.told(t, aliceID)
		require.NotEmpty(t, all)
		return all[len(all)-1]
	}
	t.Run("denied", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		_, err := w.service.Deny(t.Context(), carol, r.ID, "")
		require.NoError(t, err)
		assert.Equal(t, "Denied: readonly in the flow postgres\n• carol@example.com denied it "+
			"2026-03-03 14:00 UTC, by the rule approver\nRequest request-1", last(t, w, r.ID))
	})
	t.Run("expired", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Expired)
		assert.Contains(t, last(t, w, r.ID), "Expired: readonly in the flow postgres. Nobody decided "+
			"in the time that the flow gives. Ask again if you still need it.")
	})
	t.Run("failed", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Failed)
		assert.Contains(t, last(t, w, r.ID),
			"Failed: readonly in the flow postgres. The role was refused.")
	})
	t.Run("revoked by another", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		_, err := w.service.Revoke(t.Context(), bob, r.ID, "It is enough")
		require.NoError(t, err)
		w.move(t, r.ID, request.Done)
		assert.Contains(t, last(t, w, r.ID), "• bob@example.com revoked it 2026-03-03 14:00 UTC, "+
			"by the rule approver: “It is enough”")
	})
	t.Run("told of all of it late", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active, request.Revoking, request.Done)
		assert.Contains(t, last(t, w, r.ID), "Ended:")
		assert.Len(t, w.api.told(t, aliceID), 2, "not that it was active")
	})
	t.Run("outlived by an extension", func(t *testing.T) {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		extension, err := w.service.Extend(t.Context(), alice, r.ID, request.Extension{
			Duration: new(time.Hour)})
		require.NoError(t, err)
		w.move(t, extension.ID, request.Approved)
		assert.Contains(t, last(t, w, extension.ID),
			"Approved: your extension of readonly in the flow postgres")
		w.move(t, extension.ID, request.Active)
		assert.Contains(t, last(t, w, extension.ID), "Extended: you have readonly")
		w.move(t, r.ID, request.Revoking, request.Done)
		assert.Contains(t, last(t, w, r.ID),
			"You keep the role until 2026-03-03 15:00 UTC, by another request of yours.")
	})
	t.Run("without anything on how to connect", func(t *testing.T) {
		w := newWorld(t, func(f *request.Flow, _ *rules.Document, _ *Settings) {
			f.Targets[0].Connect = ""
		})
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		assert.NotContains(t, last(t, w, r.ID), "psql")
		assert.Contains(t, last(t, w, r.ID), "In the database you are alice.")
	})
}
