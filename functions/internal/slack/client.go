package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	slackapi "github.com/slack-go/slack"
)

// NotConfigured says that the shared secret has nothing of Slack's in it yet.
type NotConfigured struct{ Missing string }

// Error says what is missing, and where it belongs.
func (e *NotConfigured) Error() string {
	return "Slack is not set up: put " + e.Missing + " into the shared secret of the Runtime, " +
		"see docs/slack.md."
}

// client calls Slack. It takes the token anew where Slack does not accept it any more.
type client struct {
	url     string
	secrets Secrets
	http    *http.Client
	wait    func(context.Context, time.Duration) error

	mu    sync.Mutex
	token string
	api   *slackapi.Client
}

// callTimeout is how long one call of Slack's may take where the context gives more.
const callTimeout = 10 * time.Second

func newClient(apiURL string, secrets Secrets) *client {
	if apiURL == "" {
		apiURL = slackapi.APIURL
	}
	if !strings.HasSuffix(apiURL, "/") {
		apiURL += "/"
	}
	return &client{
		url: apiURL, secrets: secrets, http: &http.Client{Timeout: callTimeout}, wait: wait,
	}
}

// wait lets time pass, unless the context ends before.
func wait(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// longestWait is how long Slack may ask us to wait before we call again. A channel takes about a
// message a second.
const longestWait = 5 * time.Second

// do calls one method of Slack's. A token that was rotated is read again, once, and where Slack
// asks for a moment's patience it has it, once.
func (c *client) do(
	ctx context.Context, method string, call func(*slackapi.Client) error,
) error {
	api, token, err := c.connect(ctx)
	if err != nil {
		return err
	}
	if err = call(api); tokenRefused(err) {
		c.secrets.Refresh(ctx)
		again, fresh, failed := c.connect(ctx)
		if failed != nil {
			return failed
		}
		if api = again; fresh != token {
			err = call(api)
		}
	}
	limited, isLimited := errors.AsType[*slackapi.RateLimitedError](err)
	if isLimited && limited.RetryAfter <= longestWait && c.wait(ctx, limited.RetryAfter) == nil {
		err = call(api)
	}
	if err != nil {
		return fmt.Errorf("calling Slack's %s: %w", method, err)
	}
	return nil
}

// connect returns a client with the token as it is now.
func (c *client) connect(ctx context.Context) (*slackapi.Client, string, error) {
	token, _, err := c.secrets.Slack(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading Slack's token: %w", err)
	}
	if token == "" {
		return nil, "", &NotConfigured{"slack_bot_token"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api == nil || c.token != token {
		c.token = token
		c.api = slackapi.New(token, slackapi.OptionAPIURL(c.url),
			slackapi.OptionHTTPClient(c.http))
	}
	return c.api, token, nil
}

// codeOf is the name that Slack gives to what it refuses; empty if it has not refused anything.
func codeOf(err error) string {
	if refused, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok {
		return refused.Err
	}
	return ""
}

func codeIs(err error, codes ...string) bool { return slices.Contains(codes, codeOf(err)) }

// badTokens are what Slack says of a token that it does not accept any more.
var badTokens = []string{
	"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive",
}

// tokenRefused tells whether another token may help.
func tokenRefused(err error) bool { return codeIs(err, badTokens...) }

// tryAgain are Slack's refusals that time, or a human, makes go away.
var tryAgain = append([]string{
	"ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error",
	"service_unavailable", "request_timeout", "team_added_to_org", "missing_scope",
	"no_permission",
}, badTokens...)

// refusesForGood tells whether Slack has refused what it will always refuse.
func refusesForGood(err error) bool { return codeOf(err) != "" && !codeIs(err, tryAgain...) }

// message is what is posted: blocks, and the text that stands for them in a notification.
type message struct {
	text   string // escaped, see escape
	blocks []slackapi.Block
}

func (m message) options(more ...slackapi.MsgOption) []slackapi.MsgOption {
	return append([]slackapi.MsgOption{
		slackapi.MsgOptionText(m.text, false), slackapi.MsgOptionBlocks(m.blocks...),
		// Nothing in people's words becomes a link or a mention. Slack's chat.update would
		// otherwise read them as a client does.
		slackapi.MsgOptionParse(false), slackapi.MsgOptionDisableLinkUnfurl(),
		slackapi.MsgOptionDisableMediaUnfurl(),
	}, more...)
}

// post posts a message to a channel, or to a user by their id: that opens the conversation with
// them by itself.
func (c *client) post(ctx context.Context, to string, m message, more ...slackapi.MsgOption) (
	channel, ts string, err error,
) {
	err = c.do(ctx, "chat.postMessage", func(api *slackapi.Client) (err error) {
		channel, ts, err = api.PostMessageContext(ctx, to, m.options(more...)...)
		if err == nil && (channel == "" || ts == "") {
			err = errors.New("the answer does not say where the message is")
		}
		return err
	})
	return channel, ts, err
}

// update replaces a message.
func (c *client) update(ctx context.Context, channel, ts string, m message) error {
	return c.do(ctx, "chat.update", func(api *slackapi.Client) error {
		_, _, _, err := api.UpdateMessageContext(ctx, channel, ts, m.options()...)
		return err
	})
}

// permalink is the address of a message.
func (c *client) permalink(ctx context.Context, channel, ts string) (link string, err error) {
	err = c.do(ctx, "chat.getPermalink", func(api *slackapi.Client) (err error) {
		link, err = api.GetPermalinkContext(ctx, &slackapi.PermalinkParameters{
			Channel: channel, Ts: ts,
		})
		return err
	})
	return link, err
}

// respond answers a click where it was made, so that only who clicked sees it. The address is
// the call's own, works for half an hour, and is a secret for so long.
func (c *client) respond(ctx context.Context, responseURL string, m message) error {
	if !c.mayRespond(responseURL) {
		return errors.New("the address to respond to is not Slack's")
	}
	api := slackapi.New("", slackapi.OptionAPIURL(c.url), slackapi.OptionHTTPClient(c.http))
	_, _, _, err := api.SendMessageContext(ctx, "", append(m.options(),
		slackapi.MsgOptionResponseURL(responseURL, slackapi.ResponseTypeEphemeral))...)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the address
	}
	if err != nil {
		return fmt.Errorf("responding to a click in Slack: %w", err)
	}
	return nil
}

// mayRespond keeps what we say to people from going anywhere but to Slack.
func (c *client) mayRespond(responseURL string) bool {
	to, err := url.Parse(responseURL)
	if err != nil {
		return false
	}
	if own, err := url.Parse(c.url); err == nil && c.url != slackapi.APIURL {
		return to.Scheme == own.Scheme && to.Host == own.Host
	}
	return to.Scheme == "https" && (strings.HasSuffix(to.Host, ".slack.com") ||
		strings.HasSuffix(to.Host, ".slack-gov.com"))
}

// open opens a modal for who has just done something.
func (c *client) open(
	ctx context.Context, trigger string, view slackapi.ModalViewRequest,
) error {
	return c.do(ctx, "views.open", func(api *slackapi.Client) error {
		_, err := api.OpenViewContext(ctx, trigger, view)
		return err
	})
}

// change replaces a modal, unless it has changed since.
func (c *client) change(
	ctx context.Context, view slackapi.ModalViewRequest, hash, id string,
) error {
	return c.do(ctx, "views.update", func(api *slackapi.Client) error {
		_, err := api.UpdateViewContext(ctx, view, "", hash, id)
		return err
	})
}
