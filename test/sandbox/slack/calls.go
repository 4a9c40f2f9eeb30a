package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is one signed call to the app, as it went out.
type Call struct {
	URL    string
	Header http.Header
	Body   []byte
	// Status and Answer are what the app said; Status is zero if it said nothing.
	Status int
	Answer []byte
}

// AppError is what Slack says of an app that does not answer as it should.
type AppError struct {
	// Code is Slack's: operation_timeout, http_client_error, http_service_error,
	// dispatch_failed, or invalid_command_response. An answer to a modal that Slack
	// could not follow is an invalid_response; Slack has no name for it.
	Code   string
	Status int    // zero if there was no answer
	Answer string // what the app answered
	Cause  error
}

// Error says what happened, and what the app has answered.
func (e *AppError) Error() string {
	switch {
	case e.Status > 0:
		return fmt.Sprintf("the app's answer is no use to Slack (%s): %d %.300s", e.Code,
			e.Status, e.Answer)
	default:
		return fmt.Sprintf("the app did not answer Slack (%s): %v", e.Code, e.Cause)
	}
}

// Unwrap is the error of the connection, if it was that.
func (e *AppError) Unwrap() error { return e.Cause }

// Tamper makes a call that Slack would not make.
type Tamper func(*tampering)

type tampering struct {
	form    func(url.Values)
	secret  string
	age     time.Duration
	body    func([]byte) []byte
	headers func(http.Header)
	times   int

	unchecked bool
}

// Forged signs the call with a secret that is not Slack's.
func Forged() Tamper { return func(t *tampering) { t.secret = "not-the-signing-secret" } }

// SignedWith signs the call with another secret, such as one that was rotated away.
func SignedWith(secret string) Tamper { return func(t *tampering) { t.secret = secret } }

// Stale signs the call as of some time ago, or ahead if it is negative.
func Stale(age time.Duration) Tamper { return func(t *tampering) { t.age = age } }

// Unsigned leaves the signature out.
func Unsigned() Tamper {
	return WithHeader(func(h http.Header) {
		h.Del("X-Slack-Signature")
		h.Del("X-Slack-Request-Timestamp")
	})
}

// WithHeader changes the headers after the call was signed.
func WithHeader(change func(http.Header)) Tamper {
	return func(t *tampering) { t.headers = change }
}

// Altered changes the body after it was signed.
func Altered(change func([]byte) []byte) Tamper { return func(t *tampering) { t.body = change } }

// WithForm changes the form before it is signed, as Slack would sign it.
func WithForm(change func(url.Values)) Tamper { return func(t *tampering) { t.form = change } }

// Times sends the call so many times as it is, one after the other. What counts is
// the last answer.
func Times(n int) Tamper { return func(t *tampering) { t.times = n } }

// Sign is the signature of a body under a secret.
// See https://docs.slack.dev/authentication/verifying-requests-from-slack.
func Sign(secret string, at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	return http.Header{
		"X-Slack-Request-Timestamp": {timestamp},
		"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// Post signs a form and sends it to the app. It answers what the app answered with
// status 200, and an [AppError] otherwise.
func (s *Server) Post(
	ctx context.Context, to string, form url.Values, tampers ...Tamper,
) ([]byte, error) {
	t := tampering{times: 1, secret: s.SigningSecret()}
	for _, tamper := range tampers {
		tamper(&t)
	}
	if t.form != nil {
		t.form(form)
	}
	body := []byte(form.Encode())
	c := &Call{URL: to, Header: Sign(t.secret, s.now().Add(-t.age), body), Body: body}
	c.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.Header.Set("Accept", "application/json,*/*")
	c.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	if t.body != nil {
		c.Body = t.body(bytes.Clone(body))
	}
	if t.headers != nil {
		t.headers(c.Header)
	}
	var answered []byte
	var err error
	for range t.times {
		answered, err = s.send(ctx, c)
	}
	return answered, err
}

// Replay sends an earlier call once more, byte for byte, with the signature it had.
func (s *Server) Replay(ctx context.Context, c Call) ([]byte, error) {
	return s.send(ctx, &Call{URL: c.URL, Header: c.Header.Clone(), Body: c.Body})
}

// send sends a call, and keeps it.
func (s *Server) send(ctx context.Context, c *Call) ([]byte, error) {
	sent := *c
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, &sent)
		if len(s.calls) > mostRemembered {
			s.calls = slices.Clone(s.calls[len(s.calls)-mostRemembered:])
		}
		s.notify()
	}()
	if c.URL == "" {
		return nil, &AppError{Code: "dispatch_failed",
			Cause: errors.New("nobody has said where the app is; see Connect")}
	}
	ctx, cancel := context.WithTimeout(ctx, s.replyWithin)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(c.Body))
	if err != nil {
		return nil, &AppError{Code: "dispatch_failed", Cause: err}
	}
	r.Header = c.Header.Clone()
	response, err := s.client.Do(r)
	if err == nil {
		defer response.Body.Close()
		sent.Status = response.StatusCode
		sent.Answer, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	}
	code := ""
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		sent.Status, code = 0, "operation_timeout"
	case err != nil:
		sent.Status, code = 0, "dispatch_failed"
	case sent.Status >= 500:
		code = "http_service_error"
	case sent.Status != http.StatusOK:
		code = "http_client_error"
	default:
		return sent.Answer, nil
	}
	return nil, &AppError{
		Code: code, Status: sent.Status, Answer: strings.TrimSpace(string(sent.Answer)), Cause: err,
	}
}

// Calls are the calls to the app that are over, the latest last.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Call, 0, len(s.calls))
	for _, c := range s.calls {
		all = append(all, *c)
	}
	return all
}

// APICalls are the app's calls to Slack so far, the latest last.
func (s *Server) APICalls() []APICall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.apiCalls)
}
