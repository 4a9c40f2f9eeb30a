package slack

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommands(t *testing.T) {
	a := start(t)
	a.command = func(given url.Values) any {
		return map[string]any{"response_type": "ephemeral", "text": "You said " + given.Get("text")}
	}
	m, err := a.As("alice@example.com").In(Requests).Command(t.Context(), "/sym req  postgres ")
	require.NoError(t, err)
	assert.Equal(t, "You said req  postgres", m.Shown)
	assert.Equal(t, Alice, m.For)
	assert.Empty(t, a.Messages(Requests))
	assert.Empty(t, a.Whispers(Bob))
	form := a.got[0]
	for name, value := range map[string]string{
		"team_id": Workspace, "user_id": Alice, "user_name": "alice", "command": "/sym",
		"channel_id": m.Channel, "channel_name": "access-requests", "api_app_id": AppID,
	} {
		assert.Equal(t, value, form.Get(name), name)
	}

	a.command = func(url.Values) any { return "just words" }
	m, err = a.As(Alice).In(BotUser).Command(t.Context(), "/sym")
	require.NoError(t, err)
	assert.Equal(t, "just words", m.Shown)
	assert.Equal(t, "directmessage", a.got[1].Get("channel_name"))

	a.command = func(url.Values) any {
		return map[string]any{"response_type": "in_channel", "text": "for all"}
	}
	_, err = a.As(Alice).In(Requests).Command(t.Context(), "/sym")
	require.NoError(t, err)
	assert.Equal(t, "for all", a.Messages(Requests)[0].Shown)

	_, err = a.As(Alice).Command(t.Context(), "/other")
	assert.ErrorContains(t, err, `"/other" is not a command`)
	_, err = a.As("nobody").Command(t.Context(), "/sym")
	assert.ErrorContains(t, err, `there is nobody "nobody"`)
	_, err = a.As(Alice).In("#nowhere").Command(t.Context(), "/sym")
	assert.ErrorContains(t, err, "sees no channel")
}

func TestSignatures(t *testing.T) {
	a := start(t)
	give := func(tampers ...Tamper) error {
		_, err := a.As(Alice).Command(t.Context(), "/sym help", tampers...)
		return err
	}
	require.NoError(t, give())
	assert.Equal(t, 0, a.refused)
	old := a.SigningSecret()
	a.Rotate()
	tampers := map[string]Tamper{
		"forged":   Forged(),
		"rotated":  SignedWith(old),
		"stale":    Stale(6 * time.Minute),
		"early":    Stale(-6 * time.Minute),
		"unsigned": Unsigned(),
		"altered":  Altered(func(b []byte) []byte { return append(b, "&text=req"...) }),
		"half signed": WithHeader(func(h http.Header) {
			h.Set("X-Slack-Signature", "v0=00")
		}),
	}
	for name, tamper := range tampers {
		failed, ok := errors.AsType[*AppError](give(tamper))
		require.True(t, ok, name)
		assert.Equal(t, http.StatusUnauthorized, failed.Status, name)
		assert.Equal(t, "http_client_error", failed.Code)
	}
	assert.Equal(t, len(tampers), a.refused)
	require.NoError(t, give(Stale(4*time.Minute)))
	require.NoError(t, give(WithForm(func(f url.Values) { f.Set("team_id", "T0OTHER") })))
	assert.Equal(t, "T0OTHER", a.got[len(a.got)-1].Get("team_id"))
}

func TestReplays(t *testing.T) {
	a := start(t)
	_, err := a.As(Alice).Command(t.Context(), "/sym help", Times(3))
	require.NoError(t, err)
	require.Len(t, a.got, 3)
	assert.Equal(t, a.got[0], a.got[2])

	calls := a.Calls()
	require.Len(t, calls, 3)
	a.clock.advance(time.Minute)
	_, err = a.Replay(t.Context(), calls[0])
	require.NoError(t, err)
	assert.Equal(t, a.got[0], a.got[3])
	assert.Equal(t, calls[0].Header, a.Calls()[3].Header)
}

func TestAppsThatFail(t *testing.T) {
	a := start(t)
	give := func(code string) {
		t.Helper()
		_, err := a.As(Alice).Command(t.Context(), "/sym req")
		failed, ok := errors.AsType[*AppError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, code, failed.Code)
		whispers := a.Whispers(Alice)
		assert.Equal(t, "/sym failed with the error “"+code+"”", whispers[len(whispers)-1].Shown)
		assert.Equal(t, slackbot, whispers[len(whispers)-1].User)
	}
	a.status = http.StatusNotFound
	give("http_client_error")
	a.status = http.StatusBadGateway
	give("http_service_error")
	a.status = http.StatusOK
	a.command = func(url.Values) any { return `{"text": ` }
	give("invalid_command_response")
	a.command = func(url.Values) any {
		return map[string]any{"text": "x", "blocks": []any{map[string]any{"type": "confetti"}}}
	}
	give("invalid_command_response")

	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	a.Connect(server.URL, server.URL)
	give("dispatch_failed")
	a.Connect("", "")
	give("dispatch_failed")
}

// TestAnAppThatIsTooSlow waits for nothing: the time that the app has is over at
// once.
func TestAnAppThatIsTooSlow(t *testing.T) {
	s, err := Start(Options{ReplyWithin: time.Nanosecond})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	s.Connect("http://127.0.0.1:9/commands", "http://127.0.0.1:9/interactions")
	_, err = s.As(Alice).Command(t.Context(), "/sym req")
	failed, ok := errors.AsType[*AppError](err)
	require.True(t, ok)
	assert.Equal(t, "operation_timeout", failed.Code)
	assert.Equal(t, "/sym failed with the error “operation_timeout”", s.Whispers(Alice)[0].Shown)
}

func TestClicks(t *testing.T) {
	a := start(t)
	channel, ts, err := a.api.PostMessageContext(t.Context(), Requests,
		buttons("please", "approve", "deny"))
	require.NoError(t, err)
	m := a.Messages(Requests)[0]
	var said slackapi.InteractionCallback
	a.interact = func(s slackapi.InteractionCallback) any { said = s; return nil }
	require.NoError(t, a.As(Bob).Click(t.Context(), m, "deny"))
	assert.Equal(t, slackapi.InteractionTypeBlockActions, said.Type)
	assert.Equal(t, Bob, said.User.ID)
	assert.Equal(t, Workspace, said.Team.ID)
	assert.Equal(t, channel, said.Container.ChannelID)
	assert.Equal(t, ts, said.Container.MessageTs)
	assert.Equal(t, ts, said.Message.Timestamp)
	require.Len(t, said.ActionCallback.BlockActions, 1)
	action := said.ActionCallback.BlockActions[0]
	assert.Equal(t, "deny", action.ActionID)
	assert.Equal(t, "r-1", action.Value)
	assert.Equal(t, "actions", action.BlockID)

	_, _, _, err = a.api.UpdateMessageContext(t.Context(), channel, ts, buttons("done", "more"))
	require.NoError(t, err)
	require.NoError(t, a.As(Bob).Click(t.Context(), m, "deny"), "a click on what stood there")
	assert.ErrorContains(t, a.As(Bob).Click(t.Context(), a.Messages(Requests)[0], "deny"),
		`no button "deny"`)

	a.status = http.StatusInternalServerError
	failed, ok := errors.AsType[*AppError](a.As(Bob).Click(t.Context(), m, "deny"))
	require.True(t, ok)
	assert.Equal(t, http.StatusInternalServerError, failed.Status)
}

func TestResponseURLs(t *testing.T) {
	a := start(t)
	_, _, err := a.api.PostMessageContext(t.Context(), Requests, buttons("please", "approve"))
	require.NoError(t, err)
	m := a.Messages(Requests)[0]
	var to string
	a.interact = func(s slackapi.InteractionCallback) any { to = s.ResponseURL; return nil }
	require.NoError(t, a.As(Bob).Click(t.Context(), m, "approve"))
	respond := func(options ...slackapi.MsgOption) error {
		_, _, _, err := slackapi.New("", slackapi.OptionAPIURL(a.APIURL())).SendMessageContext(
			t.Context(), "", append(options, slackapi.MsgOptionText("now", false))...)
		return err
	}
	aside := slackapi.MsgOptionResponseURL(to, slackapi.ResponseTypeEphemeral)
	require.NoError(t, respond(aside))
	require.Len(t, a.Whispers(Bob), 1)
	assert.Equal(t, "now", a.Whispers(Bob)[0].Shown)
	assert.Equal(t, m.Channel, a.Whispers(Bob)[0].Channel)
	assert.Len(t, a.Messages(Requests), 1)

	require.NoError(t, respond(slackapi.MsgOptionReplaceOriginal(to)))
	assert.Equal(t, "now", a.Messages(Requests)[0].Shown)
	assert.Len(t, a.Messages(Requests)[0].History, 1)

	a.Fail("response_url", "internal_error", 1)
	require.Error(t, respond(aside))
	for range 3 {
		require.NoError(t, respond(aside))
	}
	require.Error(t, respond(aside), "five times, and no more")
	calls := a.APICalls()
	assert.Equal(t, "used_url", calls[len(calls)-1].Error)

	require.NoError(t, a.As(Bob).Click(t.Context(), m, "approve"))
	a.clock.advance(31 * time.Minute)
	require.Error(t, respond(slackapi.MsgOptionResponseURL(to, slackapi.ResponseTypeEphemeral)))
	calls = a.APICalls()
	assert.Equal(t, "expired_url", calls[len(calls)-1].Error)
}
