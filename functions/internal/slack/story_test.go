package slack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
	standin "sym-postgres-quickstart/test/sandbox/slack"
)

// connect puts the adapter behind an HTTP server, as API Gateway does, and lets the stand-in call
// it. The stand-in refuses what Slack would refuse.
func connect(t *testing.T, change ...func(*request.Flow, *rules.Document, *Settings)) (
	*world, *standin.Server,
) {
	t.Helper()
	var w *world
	slack, err := standin.Start(standin.Options{Now: func() time.Time { return w.clock.Now() }})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, slack.Close()) })
	w = newWorld(t, append(change, func(f *request.Flow, _ *rules.Document, s *Settings) {
		f.RequestChannel = standin.Requests
		s.Workspace, s.ErrorChannel, s.APIURL = standin.Workspace, standin.Errors, slack.APIURL()
	})...)
	w.secrets.token, w.secrets.signing = slack.Token(), slack.SigningSecret()
	gateway := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		event := events.APIGatewayV2HTTPRequest{
			RawPath: r.URL.Path, Body: string(body), Headers: map[string]string{},
		}
		for name := range r.Header {
			event.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		event.RequestContext.HTTP.Method = r.Method
		response := w.Handler.Handle(r.Context(), event)
		for name, value := range response.Headers {
			rw.Header().Set(name, value)
		}
		rw.WriteHeader(response.StatusCode)
		_, _ = io.WriteString(rw, response.Body)
	}))
	t.Cleanup(gateway.Close)
	slack.Connect(gateway.URL+commandsPath, gateway.URL+interactionsPath)
	return w, slack
}

// TestAStoryInSlack goes from the command to the end of the access, through a Slack that looks at
// every block, trigger and scope.
func TestAStoryInSlack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, slack := connect(t, glass)
	as := slack.As(standin.Alice)

	// Alice asks.
	said, err := as.Command(ctx, "/sym req")
	require.NoError(t, err)
	require.Nil(t, said)
	modal := slack.Modal(standin.Alice)
	require.NotNil(t, modal)
	require.NoError(t, as.Choose(ctx, *modal, "Target", "postgres-admin"))
	modal = slack.Modal(standin.Alice)
	assert.Contains(t, modal.Options("For how long"), "600")
	require.NoError(t, as.Choose(ctx, *modal, "Target", "postgres-readonly"))
	modal = slack.Modal(standin.Alice)
	errs, err := as.Submit(ctx, *modal, map[string]any{
		"Reason": strings.Repeat("x", 1001)}, standin.Unchecked())
	require.NoError(t, err)
	assert.Contains(t, errs[reasonBlock], "1000 is the most")
	errs, err = as.Submit(ctx, *modal, map[string]any{
		"For how long": "1 hour", "Reason": "Look at order <!channel> 4711"})
	require.NoError(t, err)
	require.Empty(t, errs)
	w.work(t)
	r := w.requests(t)[0]
	w.deliver(t, r.ID)

	// The channel sees it, and who is not an approver is told so, alone.
	inChannel := func() standin.Message {
		all := slack.Messages(standin.Requests)
		require.Len(t, all, 1)
		return all[0]
	}
	assert.Contains(t, inChannel().Shown, "Look at order <!channel> 4711")
	require.NoError(t, as.In(standin.Requests).Click(ctx, inChannel(), approveButton))
	w.work(t)
	require.Len(t, slack.Whispers(standin.Alice), 1)
	assert.Contains(t, slack.Whispers(standin.Alice)[0].Shown, "You asked for this access yourself")

	// Bob approves, and Carol is late.
	old := inChannel()
	require.NoError(t, slack.As(standin.Bob).Click(ctx, old, approveButton, standin.Times(2)))
	require.NoError(t, slack.As(standin.Carol).Click(ctx, old, approveButton))
	w.work(t)
	w.deliver(t, r.ID)
	assert.Contains(t, inChannel().Shown, "bob@example.com approved it")
	assert.Empty(t, slack.Whispers(standin.Bob))
	assert.Contains(t, slack.Whispers(standin.Carol)[0].Shown, "was approved by bob@example.com")
	w.move(t, r.ID, request.Active)
	w.deliver(t, r.ID)
	dms := slack.DMs(standin.Alice)
	require.Len(t, dms, 2)
	assert.Contains(t, dms[1].Shown, "host=db.example.com dbname=orders user=alice")
	said, err = slack.As(standin.Carol).Command(ctx, "/sym list")
	require.NoError(t, err)
	assert.Contains(t, said.Shown, "alice@example.com readonly in the flow postgres, 1 hour left")

	// She asks for longer, which Carol denies with a reason.
	w.clock.Advance(51 * time.Minute)
	require.NoError(t, w.Remind(ctx, w.clock.Now()))
	left := slack.DMs(standin.Alice)[2]
	assert.Contains(t, left.Shown, "9 minutes left")
	require.NoError(t, as.Click(ctx, left, extendButton))
	errs, err = as.Submit(ctx, *slack.Modal(standin.Alice), map[string]any{"Reason": "One more"})
	require.NoError(t, err)
	require.Empty(t, errs)
	w.work(t)
	extension := w.requests(t)[0]
	require.Equal(t, r.ID, extension.Extends)
	w.deliver(t, extension.ID)
	asked := slack.Messages(standin.Requests)[1]
	require.NoError(t, slack.As(standin.Carol).Click(ctx, asked, denyButton))
	_, err = slack.As(standin.Carol).Submit(ctx, *slack.Modal(standin.Carol),
		map[string]any{"Reason": "It is late"})
	require.NoError(t, err)
	w.work(t)
	w.deliver(t, extension.ID)
	assert.Contains(t, slack.DMs(standin.Alice)[3].Shown, "It is late")

	// She gives it back.
	require.NoError(t, as.Click(ctx, left, revokeButton))
	w.work(t)
	w.move(t, r.ID, request.Done)
	w.deliver(t, r.ID)
	assert.Contains(t, slack.Messages(standin.Requests)[0].Shown, "Ended")
	assert.Empty(t, slack.Messages(standin.Requests)[0].Buttons())

	// In an emergency she breaks the glass, and Bob looks at it afterwards.
	_, err = as.Command(ctx, "/sym req postgres")
	require.NoError(t, err)
	errs, err = as.Submit(ctx, *slack.Modal(standin.Alice), map[string]any{
		"Reason": "Everything burns", "Emergency": []string{"yes"}})
	require.NoError(t, err)
	require.Empty(t, errs)
	w.work(t)
	broken := w.requests(t)[0]
	require.True(t, broken.BreakGlass)
	w.move(t, broken.ID, request.Active)
	w.deliver(t, broken.ID)
	loud := slack.Messages(standin.Requests)[2]
	assert.Contains(t, loud.Shown, "Access is given")
	require.NoError(t, slack.As(standin.Bob).Click(ctx, loud, reviewButton))
	_, err = slack.As(standin.Bob).Submit(ctx, *slack.Modal(standin.Bob),
		map[string]any{"What you found": "It did burn"})
	require.NoError(t, err)
	w.work(t)
	w.deliver(t, broken.ID)
	assert.Contains(t, slack.Messages(standin.Requests)[2].Shown, "bob@example.com reviewed it")
	_, waits := slack.Messages(standin.Requests)[2].Button(reviewButton)
	assert.False(t, waits)

	// Nothing that was sent was refused.
	for _, call := range slack.APICalls() {
		assert.Empty(t, call.Error, "%s %v", call.Method, call.Args)
	}
	assert.Empty(t, w.troubles)
	assert.Empty(t, slack.Messages(standin.Errors))
}

// TestWhatIsLarge is taken by a Slack that counts.
func TestWhatIsLarge(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, slack := connect(t, glass, func(f *request.Flow, _ *rules.Document, _ *Settings) {
		for i := range 250 {
			f.Targets = append(f.Targets, request.Target{
				Name: fmt.Sprintf("postgres-r%d", i), RoleName: fmt.Sprintf("r%d", i),
				Label:           strings.Repeat("🙂", 200),
				DefaultDuration: time.Minute, MaxDuration: time.Minute,
			})
		}
	})
	as := slack.As(standin.Alice)
	_, err := as.Command(ctx, "/sym req")
	require.NoError(t, err)
	modal := slack.Modal(standin.Alice)
	require.NotNil(t, modal)
	require.Len(t, modal.Options("Target"), 252)
	require.NoError(t, as.Choose(ctx, *modal, "Target", "postgres-r249"))
	modal = slack.Modal(standin.Alice)
	assert.Equal(t, []string{"15", "30", "60"}, modal.Options("For how long"))
	for _, said := range hostile {
		errs, err := as.Submit(ctx, *modal, map[string]any{"Reason": said}, standin.Unchecked())
		require.NoError(t, err)
		if len(errs) > 0 {
			assert.Contains(t, errs[reasonBlock], "The reason has the character U+")
			continue
		}
		_, err = as.Command(ctx, "/sym req")
		require.NoError(t, err)
		modal = slack.Modal(standin.Alice)
	}
	w.work(t)
	for _, r := range w.requests(t) {
		w.deliver(t, r.ID)
		if r.State == request.Requested {
			w.move(t, r.ID, request.Approved)
		}
		w.move(t, r.ID, request.Active)
		w.deliver(t, r.ID)
	}
	for range mostListed {
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		w.submit(t)
	}
	said, err := as.Command(ctx, "/sym list")
	require.NoError(t, err)
	assert.Contains(t, said.Shown, "There are more.")
	for _, r := range w.largest(t) {
		require.NoError(t, w.Sink.toChannel(ctx, r, "", ""))
	}
	require.NoError(t, w.Poster.Post(ctx, request.Trouble{
		What: strings.Repeat("w", 9000), Whom: strings.Repeat("w", 9000),
		Do: strings.Repeat("d", 9000), RequestID: strings.Repeat("i", 64),
	}))
	for _, call := range slack.APICalls() {
		assert.Empty(t, call.Error, "%s %.300v", call.Method, call.Args)
	}
}

// TestASlackThatIsNotSetUpRight tells humans what to do, in the error channel too.
func TestASlackThatIsNotSetUpRight(t *testing.T) {
	w, slack := connect(t)
	hidden := slack.AddChannel(standin.Channel{Name: "#hidden", Private: true})
	r := w.submit(t)
	moved := r
	moved.Channel = "#hidden"
	require.NoError(t, w.Sink.toChannel(t.Context(), moved, "", ""))
	require.Len(t, w.troubles, 1)
	require.NoError(t, w.Poster.Post(t.Context(), w.troubles[0]))
	require.Len(t, slack.Messages(standin.Errors), 1)
	assert.Contains(t, slack.Messages(standin.Errors)[0].Shown,
		"cannot be posted to Slack's channel #hidden: channel_not_found")
	assert.Empty(t, slack.Messages(hidden))

	// The token and the secret are rotated: the next call and the next message fit.
	slack.Rotate()
	w.secrets.freshToken, w.secrets.freshSigning = slack.Token(), slack.SigningSecret()
	said, err := slack.As(standin.Alice).Command(t.Context(), "/sym list")
	require.NoError(t, err)
	assert.Contains(t, said.Shown, "Nobody has anything now.")
	w.deliver(t, r.ID)
	assert.Len(t, slack.Messages(standin.Requests), 1)

	// Fewer scopes than the manifest has.
	slack.SetScopes("commands")
	other := w.submit(t)
	require.Error(t, w.tryDeliver(t, other.ID))
	require.Len(t, w.troubles, 2)
	assert.Contains(t, w.troubles[1].Do, "docs/slack-app.yaml")
	slack.SetScopes(standin.Scopes...)
	w.deliver(t, other.ID)
	assert.Len(t, slack.Messages(standin.Requests), 2)
}

// TestCallsThatSlackDidNotMake come over HTTP here: forged, stale, altered, and replayed.
func TestCallsThatSlackDidNotMake(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, slack := connect(t)
	r := w.submit(t)
	w.deliver(t, r.ID)
	message := slack.Messages(standin.Requests)[0]
	bob := slack.As(standin.Bob)
	for name, tamper := range map[string]standin.Tamper{
		"forged": standin.Forged(), "unsigned": standin.Unsigned(),
		"stale": standin.Stale(6 * time.Minute),
		"altered": standin.Altered(func(body []byte) []byte {
			return []byte(strings.ReplaceAll(string(body), r.ID, "request-2"))
		}),
	} {
		assert.Error(t, bob.Click(ctx, message, approveButton, tamper), name)
		assert.Empty(t, w.later.take(), name)
	}
	for _, who := range []string{standin.Guest, standin.Unconfirmed, standin.Stranger} {
		require.NoError(t, slack.As(who).Click(ctx, message, approveButton))
		w.work(t)
		require.Len(t, slack.Whispers(who), 1, who)
		assert.Contains(t, slack.Whispers(who)[0].Shown, "We cannot match this account to a person.")
	}
	require.NoError(t, bob.Click(ctx, message, approveButton))
	calls := slack.Calls()
	_, err := slack.Replay(ctx, calls[len(calls)-1])
	require.NoError(t, err, "in time it is a repetition")
	w.work(t)
	assert.Len(t, w.get(t, r.ID).Approvals, 1)
	w.clock.Advance(6 * time.Minute)
	_, err = slack.Replay(ctx, calls[len(calls)-1])
	assert.Error(t, err, "and later it is nothing")
	assert.Empty(t, w.later.take())
}
