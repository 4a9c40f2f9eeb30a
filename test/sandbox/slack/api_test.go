package slack

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refused asserts that Slack refused with a code, and returns how.
func refused(t *testing.T, err error, code string) slackapi.SlackErrorResponse {
	t.Helper()
	r, ok := errors.AsType[slackapi.SlackErrorResponse](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, code, r.Err)
	return r
}

func TestMessages(t *testing.T) {
	a := start(t)
	channel, ts, err := a.api.PostMessageContext(t.Context(), Requests,
		slackapi.MsgOptionText("one &lt;b&gt; <@"+Bob+">", false))
	require.NoError(t, err)
	assert.Regexp(t, "^C", channel)
	require.Len(t, a.Messages(Requests), 1)
	assert.Equal(t, "one <b> @bob", a.Messages(channel)[0].Shown)

	for _, to := range []string{strings.TrimPrefix(Requests, "#"), channel} {
		same, _, err := a.api.PostMessageContext(t.Context(), to,
			slackapi.MsgOptionText("again", false))
		require.NoError(t, err)
		assert.Equal(t, channel, same)
	}

	_, answer, err := a.api.PostMessageContext(t.Context(), channel,
		slackapi.MsgOptionText("two", false), slackapi.MsgOptionTS(ts),
		slackapi.MsgOptionBroadcast())
	require.NoError(t, err)
	last := a.Messages(Requests)[3]
	assert.Equal(t, Message{
		Version: Version{Text: "two"}, Channel: channel, TS: answer, Thread: ts,
		Broadcast: true, User: BotUser, Shown: "two",
	}, last)

	_, _, _, err = a.api.UpdateMessageContext(t.Context(), channel, ts,
		buttons("changed", "approve"))
	require.NoError(t, err)
	first := a.Messages(Requests)[0]
	assert.Equal(t, "changed\napprove", first.Shown)
	assert.Equal(t, []Version{{Text: "one &lt;b&gt; <@" + Bob + ">"}}, first.History)
	b, ok := first.Button("approve")
	require.True(t, ok)
	assert.Equal(t, "r-1", b.Value)
}

func TestWhatSlackRefuses(t *testing.T) {
	a := start(t)
	a.AddChannel(Channel{Name: "secret", Private: true})
	a.AddChannel(Channel{Name: "old", Archived: true})
	channel, ts, err := a.api.PostMessageContext(t.Context(), Requests,
		slackapi.MsgOptionText("x", false))
	require.NoError(t, err)
	text := slackapi.MsgOptionText("x", false)
	post := func(to string, options ...slackapi.MsgOption) error {
		_, _, err := a.api.PostMessageContext(t.Context(), to, options...)
		return err
	}
	update := func(channel, ts string) error {
		_, _, _, err := a.api.UpdateMessageContext(t.Context(), channel, ts, text)
		return err
	}
	refused(t, post("#nowhere", text), "channel_not_found")
	refused(t, post("#secret", text), "channel_not_found")
	refused(t, post("#old", text), "is_archived")
	refused(t, post("U0NOBODY", text), "channel_not_found")
	refused(t, post(OtherBot, text), "cannot_dm_bot")
	refused(t, post(Requests), "no_text")
	refused(t, post(Requests, slackapi.MsgOptionText(strings.Repeat("x", 40_001), false)),
		"msg_too_long")
	refused(t, post(Requests, text, slackapi.MsgOptionTS("1.2")), "thread_not_found")
	refused(t, update(Requests, ts), "channel_not_found") // by its id alone
	refused(t, update(Alice, ts), "channel_not_found")
	refused(t, update(channel, "1.2"), "message_not_found")
	require.NoError(t, a.As(Alice).In(Requests).Say("mine"))
	refused(t, update(channel, a.Messages(Requests)[1].TS), "cant_update_message")
	_, err = a.api.GetUserInfoContext(t.Context(), "U0NOBODY")
	refused(t, err, "user_not_found")
	_, err = a.api.GetUserByEmailContext(t.Context(), "nobody@example.com")
	refused(t, err, "users_not_found")

	calls := a.APICalls()
	assert.Equal(t, "users.lookupByEmail", calls[len(calls)-1].Method)
	assert.Equal(t, "users_not_found", calls[len(calls)-1].Error)
}

func TestDirectMessages(t *testing.T) {
	a := start(t)
	channel, ts, err := a.api.PostMessageContext(t.Context(), Alice,
		slackapi.MsgOptionText("hello", false))
	require.NoError(t, err)
	assert.Regexp(t, "^D", channel)
	_, _, _, err = a.api.UpdateMessageContext(t.Context(), channel, ts,
		slackapi.MsgOptionText("bye", false))
	require.NoError(t, err)
	require.Len(t, a.DMs("alice@example.com"), 1)
	assert.Equal(t, "bye", a.DMs(Alice)[0].Shown)
	assert.Empty(t, a.DMs(Bob))

	a.SetScopes(append([]string{"im:write"}, Scopes...)...)
	opened, _, _, err := a.api.OpenConversationContext(t.Context(),
		&slackapi.OpenConversationParameters{Users: []string{Alice}})
	require.NoError(t, err)
	assert.Equal(t, channel, opened.ID)
}

func TestEphemeralMessages(t *testing.T) {
	a := start(t)
	_, err := a.api.PostEphemeralContext(t.Context(), Requests, Alice,
		slackapi.MsgOptionText("for you", false))
	require.NoError(t, err)
	assert.Empty(t, a.Messages(Requests))
	require.Len(t, a.Whispers(Alice), 1)
	assert.Empty(t, a.Whispers(Bob))
}

func TestPeople(t *testing.T) {
	a := start(t)
	who, err := a.api.AuthTestContext(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Workspace, who.TeamID)

	alice, err := a.api.GetUserByEmailContext(t.Context(), "ALICE@example.com")
	require.NoError(t, err)
	assert.Equal(t, Alice, alice.ID)
	assert.Equal(t, "alice@example.com", alice.Profile.Email)
	assert.Equal(t, Workspace, alice.TeamID)
	assert.True(t, alice.IsEmailConfirmed)

	for id, is := range map[string]func(*slackapi.User) bool{
		Guest:       func(u *slackapi.User) bool { return u.IsRestricted },
		Unconfirmed: func(u *slackapi.User) bool { return !u.IsEmailConfirmed },
		OtherBot:    func(u *slackapi.User) bool { return u.IsBot },
		Stranger:    func(u *slackapi.User) bool { return u.IsStranger && u.TeamID != Workspace },
	} {
		u, err := a.api.GetUserInfoContext(t.Context(), id)
		require.NoError(t, err)
		assert.True(t, is(u), "%+v", u)
	}

	dave := a.AddUser(User{Email: "dave@example.com"})
	u, err := a.api.GetUserInfoContext(t.Context(), dave.ID)
	require.NoError(t, err)
	assert.Equal(t, "dave", u.Name)
	_, err = a.api.GetUserByEmailContext(t.Context(), "sam@example.org")
	refused(t, err, "users_not_found")
}

func TestTokensAndScopes(t *testing.T) {
	a := start(t)
	call := func(token string) error {
		_, err := slackapi.New(token, slackapi.OptionAPIURL(a.APIURL())).AuthTestContext(t.Context())
		return err
	}
	refused(t, call(""), "not_authed")
	refused(t, call("xoxb-other"), "invalid_auth")
	old, secret := a.Token(), a.SigningSecret()
	a.Rotate()
	refused(t, call(old), "invalid_auth")
	assert.NotEqual(t, secret, a.SigningSecret())
	require.NoError(t, call(a.Token()))

	a.login()
	a.SetScopes("chat:write", "users:read")
	_, err := a.api.GetUserByEmailContext(t.Context(), "alice@example.com")
	r := refused(t, err, "missing_scope")
	assert.Equal(t, "users:read.email", r.Needed)
	assert.Equal(t, "chat:write,users:read", r.Provided)
	u, err := a.api.GetUserInfoContext(t.Context(), Alice)
	require.NoError(t, err)
	assert.Empty(t, u.Profile.Email)
	_, _, err = a.api.PostMessageContext(t.Context(), Requests, slackapi.MsgOptionText("x", false))
	refused(t, err, "not_in_channel")
	_, err = a.As(Alice).Command(t.Context(), "/sym help")
	assert.ErrorContains(t, err, "is not a command")
}

func TestOutages(t *testing.T) {
	a := start(t)
	call := func() error {
		_, err := a.api.AuthTestContext(t.Context())
		return err
	}
	a.Down(true)
	down, ok := errors.AsType[slackapi.StatusCodeError](call())
	require.True(t, ok)
	assert.Equal(t, http.StatusServiceUnavailable, down.Code)
	a.Down(false)
	require.NoError(t, call())

	a.Fail("auth.test", "internal_error", 2)
	for range 2 {
		refused(t, call(), "internal_error")
	}
	require.NoError(t, call())
	a.Fail("auth.test", "fatal_error", -1)
	for range 3 {
		refused(t, call(), "fatal_error")
	}
	a.Fail("auth.test", "", 0)
	require.NoError(t, call())

	a.RateLimit("auth.test", 30*time.Second)
	limited, ok := errors.AsType[*slackapi.RateLimitedError](call())
	require.True(t, ok)
	assert.Equal(t, 30*time.Second, limited.RetryAfter)
	_, err := a.api.GetUserInfoContext(t.Context(), Alice)
	require.NoError(t, err, "the limit is one method's")
	a.clock.advance(30 * time.Second)
	require.NoError(t, call())
}
