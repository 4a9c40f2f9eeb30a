package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

func TestHelp(t *testing.T) {
	w := newWorld(t)
	for _, text := range []string{"", "help", "HELP", "  help  me "} {
		assert.Contains(t, w.command(t, aliceID, text), "/sym req NAME", "%q", text)
	}
	for _, text := range []string{"dance", "<!channel>", strings.Repeat("x", 5000)} {
		answer := w.command(t, aliceID, text)
		assert.Contains(t, answer, "There is no /sym "+shorten(text, 40))
		assert.Contains(t, answer, "/sym list")
	}
	assert.Empty(t, w.api.calls)
}

func TestListShowsWhoHasWhatAndHowLongStill(t *testing.T) {
	w := newWorld(t)
	assert.Contains(t, w.command(t, malloID, "list"), "Nobody has anything now.")

	ending := w.submit(t, request.Submission{Flow: "postgres", Target: "admin", Reason: "x"})
	w.move(t, ending.ID, request.Approved, request.Active)
	active := w.submit(t)
	w.move(t, active.ID, request.Approved, request.Active)
	over := w.submit(t)
	w.move(t, over.ID, request.Approved, request.Active, request.Revoking, request.Done)
	w.submit(t) // waits
	w.clock.Advance(4*time.Minute + 30*time.Second)

	answer := w.command(t, aliceID, "list")
	assert.Regexp(t, `(?s)Who has what now\nyou admin in the flow postgres, 30 seconds left.*`+
		`you readonly in the flow postgres, 25 minutes left, until 2026-03-03 14:30 UTC.*`+
		`What you wait for\nreadonly in the flow postgres for 30 minutes`, answer)
	assert.Equal(t, 2, strings.Count(answer, "left"), "what is over is not shown")

	answer = w.command(t, bobID, "list")
	assert.Contains(t, answer, "alice@example.com readonly")
	assert.NotContains(t, answer, "What you wait for", "another person's")
	assert.Regexp(t, `(?s)What waits for you\nalice@example.com asked for readonly in the flow `+
		`postgres for 30 minutes, at 2026-03-03 14:00 UTC. It waits until 2026-03-03 15:00 UTC.*`+
		`Look at order 4711\nApprove\nDeny`, answer)
	assert.NotContains(t, w.command(t, malloID, "list"), "waits", "they decide nothing")

	w.clock.Advance(time.Minute)
	assert.Contains(t, w.command(t, bobID, "list"), "admin in the flow postgres, is being taken away")

	stuck := w.submit(t)
	w.move(t, stuck.ID, request.Approved)
	assert.Regexp(t, `What you wait for\nreadonly .*, approved but not granted yet\nreadonly|`+
		`What you wait for\nreadonly .*\nreadonly .*, approved but not granted yet`,
		w.command(t, aliceID, "list"))
}

func TestListOfMany(t *testing.T) {
	w := newWorld(t)
	for i := range mostListed + 1 {
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		if i == mostListed-1 {
			assert.NotContains(t, w.command(t, aliceID, "list"), "There are more")
		}
	}
	answer := w.command(t, aliceID, "list")
	assert.Equal(t, mostListed, strings.Count(answer, "left, until"))
	assert.Contains(t, answer, "There are more")
}

func TestCommandsOfPeopleWhoMayNot(t *testing.T) {
	w := newWorld(t)
	w.api.users["U0GUEST"] = account("U0GUEST", "guest@example.com", set("is_restricted", true))
	for _, text := range []string{"req", "list"} {
		assert.Contains(t, w.command(t, "U0GUEST", text), "is a guest's")
		assert.Contains(t, w.command(t, "U0NOBODY", text), "does not know your account")
	}
	assert.Zero(t, w.api.opened())
	assert.NotContains(t, w.command(t, "U0GUEST", "help"), "guest")
}

func TestUnknownFlows(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"mysql", "postgres extra", "<!channel>"} {
		answer := w.command(t, aliceID, "req "+name)
		assert.Contains(t, answer, fmt.Sprintf("There is no flow or target %q", name))
		assert.Contains(t, answer, "The flows are postgres.")
	}
	assert.Zero(t, w.api.opened())
}

func TestFlowsThatAPersonMayNotAskFor(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.Requesters = []string{alice}
	})
	assert.Contains(t, w.command(t, malloID, "req"), "nothing here that you (mallo@example.com) can")
	assert.Empty(t, w.command(t, aliceID, "req"))
}

// broken is a store whose table is gone.
type broken struct{ Store }

func (broken) Open(context.Context, int) ([]request.Request, error) {
	return nil, errors.New("ResourceNotFound: table sym-main")
}

func TestFailuresStayInside(t *testing.T) {
	w := newWorld(t)
	w.Handler.Store = broken{w.store}
	answer := w.command(t, aliceID, "list")
	assert.Contains(t, answer, "give the maintainer this call ID: call-1.")
	assert.NotContains(t, answer, "table")
	assert.Contains(t, w.log.String(), "ResourceNotFound")
}

func TestModalsThatSlackDoesNotOpenAnyMore(t *testing.T) {
	w := newWorld(t)
	w.api.fail("views.open", fault{err: "expired_trigger_id"})
	assert.Contains(t, w.command(t, aliceID, "req"), "Slack has given up. Try again")
	// The same call once more, whose first opened it.
	w.api.fail("views.open", fault{err: "exchanged_trigger_id"})
	assert.Empty(t, w.command(t, aliceID, "req"))
	w.api.fail("views.open", fault{err: "fatal_error"})
	assert.Contains(t, w.command(t, aliceID, "req"), "Something failed inside")
	require.Zero(t, w.api.opened())
}
