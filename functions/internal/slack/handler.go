package slack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// The paths that Slack calls.
const (
	commandsPath     = "/slack/commands"
	interactionsPath = "/slack/interactions"
)

// maxBody is the largest body that is looked at, in bytes. A click brings the message or the
// modal along in which it was made.
const maxBody = 512 << 10

// replyWithin is how long after API Gateway took the call the work before a reply may take. Slack
// waits for three seconds, and a modal opens only as long.
//
// A function that starts cold has to assume a role, read the secret, ask Slack who somebody is
// while it reads what they can ask for, and open the modal: one after the other four calls of some
// tenths of a second. So no modal that says "loading" is opened first: it would be a fifth.
const replyWithin = 2700 * time.Millisecond

// refreshEvery is how often a wrong signature makes us read the signing secret again. Anyone can
// send wrong signatures.
const refreshEvery = 10 * time.Second

// Handler answers Slack's calls.
type Handler struct {
	desk

	mu        sync.Mutex
	refreshed time.Time
}

// Handle answers a call of Slack's. It never fails: what goes wrong is an answer too. A nil
// Handler is one of a Runtime that has no Slack.
func (h *Handler) Handle(
	ctx context.Context, event events.APIGatewayV2HTTPRequest,
) events.APIGatewayV2HTTPResponse {
	if h == nil {
		return failure(http.StatusNotFound, "slack_is_off", "This Runtime has no Slack. Set "+
			"slack_workspace_id in Terraform to the workspace's id, and apply.")
	}
	answer := h.commands
	switch path := pathOf(event); {
	case path == interactionsPath:
		answer = h.interactions
	case path != commandsPath:
		return failure(http.StatusNotFound, "route_not_found", "There is nothing here. Slack's "+
			"calls go to "+commandsPath+" and "+interactionsPath+".")
	}
	if event.RequestContext.HTTP.Method != http.MethodPost {
		return failure(http.StatusMethodNotAllowed, "method_not_allowed", "Slack calls with POST.")
	}
	ctx, cancel := context.WithTimeout(ctx, timeLeft(event, time.Now()))
	defer cancel()
	body, refused := readBody(event)
	if refused == nil {
		refused = h.verify(ctx, event, body)
	}
	if refused != nil {
		return *refused
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return failure(http.StatusBadRequest, "invalid_form", "The body is no form.")
	}
	return answer(ctx, call{id: event.RequestContext.RequestID, form: form})
}

// timeLeft is what is left of the time for a reply: some has passed if the function started cold.
func timeLeft(event events.APIGatewayV2HTTPRequest, now time.Time) time.Duration {
	took := event.RequestContext.TimeEpoch // in milliseconds
	if took == 0 {
		return replyWithin
	}
	// The two clocks are not the same.
	passed := max(0, now.Sub(time.UnixMilli(took)))
	return max(replyWithin-passed, replyWithin/5)
}

// together does two things at the same time, and returns both results and the first's error
// before the second's.
func together[A, B any](first func() (A, error), second func() (B, error)) (A, B, error) {
	var a A
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		a, failed = first()
	}()
	b, err := second()
	<-done
	if failed != nil {
		err = failed
	}
	return a, b, err
}

// call is one call whose signature has been verified.
type call struct {
	id   string // API Gateway's, for the log
	form url.Values
}

// pathOf is the path without the stage's name.
func pathOf(event events.APIGatewayV2HTTPRequest) string {
	path := event.RawPath
	if stage := event.RequestContext.Stage; stage != "" && stage != "$default" {
		path = strings.TrimPrefix(path, "/"+stage)
	}
	return path
}

// readBody is the body as it was signed. API Gateway encodes forms in base64.
func readBody(event events.APIGatewayV2HTTPRequest) (
	[]byte, *events.APIGatewayV2HTTPResponse,
) {
	body := []byte(event.Body)
	tooLarge := len(body) > maxBody
	if event.IsBase64Encoded {
		if tooLarge = len(body) > base64.StdEncoding.EncodedLen(maxBody); !tooLarge {
			decoded, err := base64.StdEncoding.DecodeString(event.Body)
			if err != nil {
				refused := failure(http.StatusBadRequest, "invalid_body", "The body cannot be "+
					"decoded.")
				return nil, &refused
			}
			body, tooLarge = decoded, len(decoded) > maxBody
		}
	}
	if tooLarge {
		refused := failure(http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf(
			"The body is larger than %d bytes, which is the most that is read.", maxBody))
		return nil, &refused
	}
	return body, nil
}

// verify refuses what Slack has not signed just now. A signature that is wrong by the secret in
// the cache may be right by one that was put there since.
func (h *Handler) verify(
	ctx context.Context, event events.APIGatewayV2HTTPRequest, body []byte,
) *events.APIGatewayV2HTTPResponse {
	check := func() error {
		// What nobody has signed, or not just now, is not worth reading a secret for.
		if _, _, err := claimed(event.Headers, h.Now()); err != nil {
			return err
		}
		_, secret, err := h.Secrets.Slack(ctx)
		if err != nil {
			return fmt.Errorf("reading Slack's signing secret: %w", err)
		}
		if secret == "" {
			return &NotConfigured{"slack_signing_secret"}
		}
		return verify(secret, event.Headers, body, h.Now())
	}
	err := check()
	if errors.Is(err, errWrongSignature) && h.mayRefresh() {
		h.Secrets.Refresh(ctx)
		err = check()
	}
	if err == nil {
		return nil
	}
	var refused events.APIGatewayV2HTTPResponse
	missing, isMissing := errors.AsType[*NotConfigured](err)
	switch {
	case isMissing:
		refused = failure(http.StatusServiceUnavailable, "slack_not_set_up", missing.Error())
	case errors.Is(err, errUnsigned), errors.Is(err, errStale), errors.Is(err, errWrongSignature):
		h.Log.WarnContext(ctx, "call refused", "call", event.RequestContext.RequestID,
			"path", event.RawPath, "source", event.RequestContext.HTTP.SourceIP, "cause", err)
		return new(failure(http.StatusUnauthorized, "invalid_signature", "The call cannot be "+
			"believed: "+err.Error()+"."))
	default:
		refused = failure(http.StatusServiceUnavailable, "slack_not_checked", "Whether this call "+
			"is Slack's could not be checked just now. Try again in a moment.")
	}
	h.Log.ErrorContext(ctx, "call not checked", "call", event.RequestContext.RequestID,
		"path", event.RawPath, "error", err)
	return &refused
}

func (h *Handler) mayRefresh() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Now()
	if now.Sub(h.refreshed) < refreshEvery {
		return false
	}
	h.refreshed = now
	return true
}

// failure is an answer to whoever is not Slack. Slack shows none of it to people.
func failure(status int, code, message string) events.APIGatewayV2HTTPResponse {
	return respond(status, map[string]any{
		"error": map[string]string{"code": code, "message": message},
	})
}

// done is the answer that says nothing.
func done() events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusOK, Headers: map[string]string{"Cache-Control": "no-store"},
	}
}

func respond(status int, body any) events.APIGatewayV2HTTPResponse {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // what we make always encodes
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers: map[string]string{
			"Content-Type":  "application/json; charset=utf-8",
			"Cache-Control": "no-store",
		},
		Body: encoded.String(),
	}
}

// ephemeral is an answer to a command that only who gave it sees.
func ephemeral(m message) events.APIGatewayV2HTTPResponse {
	return respond(http.StatusOK, struct {
		Type   string           `json:"response_type"`
		Text   string           `json:"text"`
		Blocks []slackapi.Block `json:"blocks"`
	}{slackapi.ResponseTypeEphemeral, m.text, m.blocks})
}

// sentence is what to tell a person of an error. A refusal says why; anything else stays inside,
// in the log.
func (d desk) sentence(ctx context.Context, callID, doing string, err error) string {
	refused, isRefusal := errors.AsType[*request.Error](err)
	if isRefusal {
		d.Log.InfoContext(ctx, "refused in Slack", "call", callID, "doing", doing,
			"code", refused.Code, "cause", errors.Unwrap(refused))
		return refused.Message
	}
	d.Log.ErrorContext(ctx, "failed in Slack", "call", callID, "doing", doing, "error", err)
	return fmt.Sprintf("Something failed inside the Runtime. Look at whether it took effect and "+
		"try again; if it fails again, give the maintainer this call ID: %s.", callID)
}
