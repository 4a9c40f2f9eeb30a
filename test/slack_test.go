package test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/slack"
)

// The buttons of the messages, by their action ids.
const (
	approveButton = "sym_approve"
	denyButton    = "sym_deny"
	revokeButton  = "sym_revoke"
)

// message waits for a message in a channel in which all of these words are read.
func (w *world) message(t *testing.T, channel string, words ...string) slack.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := w.box.Slack.WaitMessage(ctx, channel, slack.Says(words...))
	require.NoError(t, err)
	return m
}

// told waits for a direct message to the engineer.
func (e engineer) told(t *testing.T, words ...string) slack.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := e.world.box.Slack.WaitDM(ctx, e.Email, slack.Says(words...))
	require.NoError(t, err)
	return m
}

// whispered waits for a sentence that only somebody sees.
func (w *world) whispered(t *testing.T, who string, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.box.Slack.WaitWhisper(ctx, who, slack.Says(words...))
	require.NoError(t, err)
}

// opens gives a command, or clicks, and waits for the modal that it opens.
func (w *world) opens(t *testing.T, who string, do func(context.Context) error) slack.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, do(ctx))
	v, err := w.box.Slack.WaitModal(ctx, who, func(slack.View) bool { return true })
	require.NoError(t, err)
	return v
}

// requests asks for the read-only role in Slack, and answers the message in
// the channel.
func (e engineer) requests(t *testing.T, seconds, reason string) slack.Message {
	t.Helper()
	me := e.world.box.Slack.As(e.Email).In(slack.Requests)
	modal := e.world.opens(t, e.Email, func(ctx context.Context) error {
		_, err := me.Command(ctx, "/sym req "+e.world.deployment.Flow)
		return err
	})
	errs, err := me.Submit(t.Context(), modal, map[string]any{
		"For how long": seconds, "Reason": reason,
	})
	require.NoError(t, err)
	require.Empty(t, errs)
	return e.world.message(t, slack.Requests, e.Email, reason, "Waits for approval")
}

func inSlack(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	s := w.box.Slack
	m := e.requests(t, "30", "Order 3 was charged twice")
	e.cannotRead(t, session)

	// A click is asked who it is from.
	stranger := s.AddUser(slack.User{Email: "mallory@example.com"})
	for who, answer := range map[string]string{
		e.Email: "You asked for this access yourself", stranger.ID: "not an approver",
		slack.Guest: "is a guest's",
	} {
		require.NoError(t, s.As(who).Click(t.Context(), m, approveButton))
		w.whispered(t, who, answer)
	}
	var refused *slack.AppError
	for name, tamper := range map[string]slack.Tamper{
		"forged": slack.Forged(), "stale": slack.Stale(6 * time.Minute),
	} {
		err := s.As(slack.Bob).Click(t.Context(), m, approveButton, tamper)
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, http.StatusUnauthorized, refused.Status, name)
	}
	e.cannotRead(t, session)

	// Bob's counts once, however often Slack sends it.
	require.NoError(t, s.As(slack.Bob).Click(t.Context(), m, approveButton, slack.Times(3)))
	e.told(t, "Approved", "bob@example.com")
	e.told(t, "Active", "psql", e.user)
	m = w.message(t, slack.Requests, e.Email, "Active until")
	_, again := m.Button(approveButton)
	require.False(t, again, "there is nothing to approve any more")
	e.canRead(t, session)

	// All of it stays in one message, up to the end.
	e.told(t, "Ended")
	ended := w.message(t, slack.Requests, e.Email, "Ended")
	require.Equal(t, m.TS, ended.TS)
	require.Empty(t, ended.Buttons())
	e.cannotRead(t, session)

	// And the API tells the same story.
	mine, err := e.List(t.Context(), "requester="+e.Email)
	require.NoError(t, err)
	require.Len(t, mine, 1)
	r := requireStory(t, e.Person, mine[0].ID, "requested", "approved", "active", "revoking", "done")
	require.Equal(t, approver, r.Audit[1].By)
}

func deniedInSlack(t *testing.T, w *world) {
	e := w.engineer(t)
	m := e.requests(t, "60", "Just <!channel> *looking*")
	bob := w.box.Slack.As(slack.Bob)
	modal := w.opens(t, slack.Bob, func(ctx context.Context) error {
		return bob.Click(ctx, m, denyButton)
	})
	errs, err := bob.Submit(t.Context(), modal, map[string]any{"Reason": "Use the replica"})
	require.NoError(t, err)
	require.Empty(t, errs)
	e.told(t, "Denied", "Use the replica")
	m = w.message(t, slack.Requests, e.Email, "Denied", "Use the replica")
	require.Empty(t, m.Buttons())
	require.NotContains(t, string(m.Blocks), `"<!channel> *looking*`, "no words become markup")
}

func revokedInSlack(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	m := e.requests(t, "600", "For long")
	require.NoError(t, w.box.Slack.As(slack.Carol).Click(t.Context(), m, approveButton))
	active := e.told(t, "Active")
	require.NoError(t, w.box.Slack.As(e.Email).Click(t.Context(), active, revokeButton))
	e.told(t, "Ended", "revoked it")
	e.cannotRead(t, session)
	_, again := w.message(t, slack.Requests, e.Email, "Ended").Button(revokeButton)
	require.False(t, again)
}
