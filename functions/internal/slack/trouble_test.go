package slack

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

func TestTroubleIsPosted(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Poster.Post(t.Context(), request.Trouble{
		What: "A role could not be taken back.", Whom: alice, Do: "Look at the database.",
		RequestID: "request-7",
	}))
	require.Len(t, w.api.to(errorsTo), 1)
	m := w.api.to(errorsTo)[0]
	assert.Equal(t, "⚠️ This needs a human\nWhat: A role could not be taken back.\n"+
		"For whom: alice@example.com\nWhat to do: Look at the database.\nRequest request-7",
		shown(t, m.Blocks))
	assert.Equal(t, "This needs a human: A role could not be taken back.", m.Text)

	long := strings.Repeat("<!channel> \u202e", 2000)
	require.NoError(t, w.Poster.Post(t.Context(), request.Trouble{What: long, Whom: long, Do: long}))
	require.NoError(t, w.Poster.Post(t.Context(), request.Trouble{}))
	require.Len(t, w.api.to(errorsTo), 3)
	assertVisible(t, shown(t, w.api.to(errorsTo)[1].Blocks))
}

func TestTroubleThatCannotBePosted(t *testing.T) {
	w := newWorld(t)
	w.api.fail("chat.postMessage", fault{err: "channel_not_found"})
	assert.ErrorContains(t, w.Poster.Post(t.Context(), request.Trouble{What: "x"}),
		"channel_not_found")
	assert.Empty(t, w.troubles, "it goes round in no circle")

	w = newWorld(t, func(_ *request.Flow, _ *rules.Document, s *Settings) { s.ErrorChannel = "" })
	require.NoError(t, w.Poster.Post(t.Context(), request.Trouble{What: "x"}))
	assert.Empty(t, w.api.calls)
}
