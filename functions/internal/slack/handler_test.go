package slack

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// TestCallsThatAreNotSlacks sends what an attacker, or a mistake, would.
func TestCallsThatAreNotSlacks(t *testing.T) {
	resign := func(w *world, e *events.APIGatewayV2HTTPRequest, body string) {
		e.Body, e.IsBase64Encoded = body, false
		e.Headers = sign("sign-1", body, w.clock.Now())
	}
	tests := []struct {
		name   string
		change func(*world, *events.APIGatewayV2HTTPRequest)
		status int
		code   string
	}{
		{"forged", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			body, _ := base64.StdEncoding.DecodeString(e.Body)
			e.Headers = sign("a guess", string(body), w.clock.Now())
		}, http.StatusUnauthorized, "invalid_signature"},
		{"changed on its way", func(_ *world, e *events.APIGatewayV2HTTPRequest) {
			e.Body = base64.StdEncoding.EncodeToString([]byte(commandForm(bobID, "req").Encode()))
		}, http.StatusUnauthorized, "invalid_signature"},
		{"stale", func(w *world, _ *events.APIGatewayV2HTTPRequest) {
			w.clock.Advance(5*time.Minute + 2*time.Second)
		}, http.StatusUnauthorized, "invalid_signature"},
		{"unsigned", func(_ *world, e *events.APIGatewayV2HTTPRequest) { e.Headers = nil },
			http.StatusUnauthorized, "invalid_signature"},
		{"signed with nothing", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			body, _ := base64.StdEncoding.DecodeString(e.Body)
			e.Headers = sign("", string(body), w.clock.Now())
		}, http.StatusUnauthorized, "invalid_signature"},
		{"too large", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			resign(w, e, strings.Repeat("a", maxBody+1))
		}, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"too large in base64", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			resign(w, e, strings.Repeat("a", maxBody+1))
			e.Body = base64.StdEncoding.EncodeToString([]byte(e.Body))
			e.IsBase64Encoded = true
		}, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"far too large in base64", func(_ *world, e *events.APIGatewayV2HTTPRequest) {
			e.Body = strings.Repeat("a", 5<<20)
		}, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"no base64", func(_ *world, e *events.APIGatewayV2HTTPRequest) { e.Body = "%%%" },
			http.StatusBadRequest, "invalid_body"},
		{"signed, and no form", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			resign(w, e, "%zz=;")
		}, http.StatusBadRequest, "invalid_form"},
		{"signed, and no payload", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			e.RawPath = interactionsPath
			resign(w, e, "payload=no+JSON")
		}, http.StatusBadRequest, "invalid_payload"},
		{"signed, and nothing", func(w *world, e *events.APIGatewayV2HTTPRequest) {
			e.RawPath = interactionsPath
			resign(w, e, "")
		}, http.StatusBadRequest, "invalid_payload"},
		{"with GET", func(_ *world, e *events.APIGatewayV2HTTPRequest) {
			e.RequestContext.HTTP.Method = http.MethodGet
		}, http.StatusMethodNotAllowed, "method_not_allowed"},
		{"elsewhere", func(_ *world, e *events.APIGatewayV2HTTPRequest) { e.RawPath = "/slack" },
			http.StatusNotFound, "route_not_found"},
		{"before the secret is there", func(w *world, _ *events.APIGatewayV2HTTPRequest) {
			w.secrets.signing = ""
		}, http.StatusServiceUnavailable, "slack_not_set_up"},
		{"while the secret cannot be read", func(w *world, _ *events.APIGatewayV2HTTPRequest) {
			w.secrets.err = errors.New("AccessDenied: the ARN of something")
		}, http.StatusServiceUnavailable, "slack_not_checked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			event := w.event(commandsPath, commandForm(aliceID, "req"))
			test.change(w, &event)
			response := w.Handler.Handle(t.Context(), event)
			assert.Equal(t, test.status, response.StatusCode)
			assert.Contains(t, response.Body, `"code":"`+test.code+`"`)
			assert.NotContains(t, response.Body, "ARN")
			assert.Empty(t, w.api.calls, "nothing was done")
			assert.Empty(t, w.later.payloads)
			assert.NotContains(t, w.log.String(), "sign-1")
		})
	}
}

func TestARuntimeWithoutSlack(t *testing.T) {
	var h *Handler
	w := newWorld(t)
	response := h.Handle(t.Context(), w.event(commandsPath, commandForm(aliceID, "req")))
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	assert.Contains(t, response.Body, "slack_workspace_id")
	assert.Error(t, h.Later(t.Context(), nil))
}

func TestBodiesAsTextAndBelowAStage(t *testing.T) {
	w := newWorld(t)
	event := w.event("/live"+commandsPath, commandForm(aliceID, "help"))
	event.RequestContext.Stage = "live"
	body, err := base64.StdEncoding.DecodeString(event.Body)
	require.NoError(t, err)
	event.Body, event.IsBase64Encoded = string(body), false
	response := w.Handler.Handle(t.Context(), event)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, response.Body, "/sym list")
}

// TestTheSigningSecretIsRotated regenerates it in Slack: the cache has the old one.
func TestTheSigningSecretIsRotated(t *testing.T) {
	w := newWorld(t)
	handle := func(secret string) int {
		event := w.event(commandsPath, commandForm(aliceID, "help"))
		body, _ := base64.StdEncoding.DecodeString(event.Body)
		event.Headers = sign(secret, string(body), w.clock.Now())
		return w.Handler.Handle(t.Context(), event).StatusCode
	}
	assert.Equal(t, http.StatusOK, handle("sign-1"))
	assert.Zero(t, w.secrets.refreshes)

	w.secrets.freshSigning = "sign-2"
	assert.Equal(t, http.StatusOK, handle("sign-2"), "read again, and believed")
	assert.Equal(t, 1, w.secrets.refreshes)
	assert.Equal(t, http.StatusUnauthorized, handle("sign-1"), "the old one is no good any more")

	// Forged calls, however many, do not make us read it for each.
	for range 100 {
		assert.Equal(t, http.StatusUnauthorized, handle("a guess"))
	}
	assert.Equal(t, 1, w.secrets.refreshes)
	w.clock.Advance(refreshEvery)
	handle("a guess")
	assert.Equal(t, 2, w.secrets.refreshes)
}

// TestTheTokenIsRotated revokes the token in Slack: the cache has the old one.
func TestTheTokenIsRotated(t *testing.T) {
	for _, refused := range badTokens {
		t.Run(refused, func(t *testing.T) {
			w := newWorld(t)
			w.api.tokens = []string{"xoxb-1", "xoxb-2"}
			w.secrets.freshToken = "xoxb-2"
			w.api.fail("users.info", fault{err: refused})
			email, err := w.Handler.people.email(t.Context(), aliceID)
			assert.NoError(t, err)
			assert.Equal(t, alice, email)
			assert.Equal(t, 1, w.secrets.refreshes)
		})
	}
	t.Run("not rotated after all", func(t *testing.T) {
		w := newWorld(t)
		w.api.fail("users.info", fault{err: "token_revoked"}, fault{err: "token_revoked"})
		_, err := w.Handler.people.email(t.Context(), aliceID)
		assert.ErrorContains(t, err, "token_revoked")
		assert.Len(t, w.api.calls, 1, "the same token is not tried twice")
		assert.NotContains(t, err.Error(), "xoxb")
	})
	t.Run("not there", func(t *testing.T) {
		w := newWorld(t)
		w.secrets.token = ""
		_, err := w.Handler.people.email(t.Context(), aliceID)
		assert.ErrorContains(t, err, "put slack_bot_token into the shared secret")
	})
}

func TestAnotherWorkspace(t *testing.T) {
	w := newWorld(t)
	form := commandForm(aliceID, "list")
	form.Set("team_id", "T0OTHER")
	response := w.Handler.Handle(t.Context(), w.event(commandsPath, form))
	assert.Contains(t, response.Body, "not the one that the Runtime belongs to")

	r := w.submit(t)
	for _, team := range []map[string]any{{"id": "T0OTHER"}, {}, nil} {
		payload := w.clickPayload(bobID, approveButton, r.ID)
		payload["team"] = team
		assert.Empty(t, w.interact(t, payload))
	}
	assert.Empty(t, w.later.payloads)
	assert.Empty(t, w.api.calls)
	told := w.api.whispered(t, bobID)
	require.Len(t, told, 3, "every click gets an answer")
	assert.Contains(t, told[0], "This workspace is not the one that the Runtime belongs to")
	assert.Contains(t, told[1], "Slack does not say in which workspace you did this")
}

func TestResponsesGoToSlackOnly(t *testing.T) {
	real := newClient("", nil)
	for address, may := range map[string]bool{
		"https://hooks.slack.com/actions/T0/1/x":     true,
		"https://hooks.slack-gov.com/actions/T0/1/x": true,
		"http://hooks.slack.com/actions/T0/1/x":      false,
		"https://hooks.slack.com.evil.example/x":     false,
		"https://evil.example/.slack.com":            false,
		"https://169.254.169.254/latest/meta-data":   false,
		"":   false,
		"::": false,
	} {
		assert.Equal(t, may, real.mayRespond(address), address)
	}
	standIn := newClient("http://127.0.0.1:1234/api/", nil)
	assert.True(t, standIn.mayRespond("http://127.0.0.1:1234/respond"))
	assert.False(t, standIn.mayRespond("http://127.0.0.1:4321/respond"))
}

// TestTheTimeForAReply counts from when API Gateway took the call: a cold start is part of it.
func TestTheTimeForAReply(t *testing.T) {
	now := time.Now()
	for passed, want := range map[time.Duration]time.Duration{
		0:                      2700 * time.Millisecond,
		800 * time.Millisecond: 1900 * time.Millisecond,
		time.Minute:            540 * time.Millisecond, // enough to say so
		-time.Second:           2700 * time.Millisecond,
	} {
		var event events.APIGatewayV2HTTPRequest
		event.RequestContext.TimeEpoch = now.Add(-passed).UnixMilli()
		assert.InDelta(t, want, timeLeft(event, now), float64(2*time.Millisecond), "%s", passed)
	}
	assert.Equal(t, replyWithin, timeLeft(events.APIGatewayV2HTTPRequest{}, now))
}

// meeting is a service that answers only while Slack is being asked.
type meeting struct {
	Service
	here, there chan struct{}
}

func (m meeting) Offered(ctx context.Context) ([]request.Flow, error) {
	close(m.here)
	if !m.meet(m.there) {
		return nil, errors.New("Slack was not asked meanwhile")
	}
	return m.Service.Offered(ctx)
}

func (m meeting) meet(other <-chan struct{}) bool {
	select {
	case <-other:
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

// TestSlackAndAWSAreAskedAtOnce lets each of the two answer only when the other was asked.
func TestSlackAndAWSAreAskedAtOnce(t *testing.T) {
	w := newWorld(t)
	m := meeting{w.service, make(chan struct{}), make(chan struct{})}
	w.api.onCall = func(method string) {
		if method == "users.info" {
			close(m.there)
			assert.True(t, m.meet(m.here), "AWS was not asked meanwhile")
		}
	}
	w.Handler.Service = m
	assert.Empty(t, w.command(t, aliceID, "req"))
	assert.Equal(t, 1, w.api.opened())
	assert.Equal(t, []string{"users.info", "views.open"}, w.api.calls, "and nothing else")
}

// TestInteractionsOfOtherKinds are answered, so that Slack shows nobody an error.
func TestInteractionsOfOtherKinds(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{"view_closed", "shortcut", "message_action", "news"} {
		assert.Empty(t, w.interact(t, map[string]any{
			"type": kind, "team": map[string]any{"id": workspace},
		}))
	}
	payload := w.clickPayload(bobID, "of_another_app", "x")
	assert.Empty(t, w.interact(t, payload))
	assert.Empty(t, w.interact(t, map[string]any{
		"type": "view_submission", "team": map[string]any{"id": workspace},
		"view": map[string]any{"callback_id": "of_another_app"},
	}))
	assert.Empty(t, w.later.payloads)
}
