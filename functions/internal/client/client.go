// Package client calls the Runtime's HTTP API as a person does from a terminal: it finds where
// the API is, signs with the caller's AWS credentials, and tries again what may be tried again.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Client calls one API as one person.
type Client struct {
	Endpoint    *url.URL
	Region      string // of the signature
	Credentials aws.CredentialsProvider
	HTTP        *http.Client
	Now         func() time.Time
	Sleep       func(context.Context, time.Duration) error
}

// oneTry is how long one try of a call may take. API Gateway itself gives up after 30 seconds.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
const oneTry = 35 * time.Second

// NewHTTP makes the HTTP client for a [Client]. It follows no redirect: a signature holds for
// one address.
func NewHTTP() *http.Client {
	return &http.Client{
		Timeout:       oneTry,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// maxAnswer is the largest answer that is read, in bytes. Lambda sends no more than 6 MB.
const maxAnswer = 8 << 20

// message is a call, ready to be signed as often as it is tried.
type message struct {
	method, path string
	query        url.Values
	key          string // the header Idempotency-Key; empty for none
	body         []byte
}

// post makes the message of a change. Members that are zero are left out.
func post(path, key string, members map[string]any) (message, error) {
	for name, value := range members {
		if value == "" || value == false || value == int64(0) {
			delete(members, name)
		}
	}
	body, err := json.Marshal(members)
	return message{method: http.MethodPost, path: path, key: key, body: body}, err
}

// try makes a call once and returns the body of its answer. What the API refuses is a
// [*Refusal].
func (c *Client) try(ctx context.Context, m message) ([]byte, error) {
	r, err := c.sign(ctx, m)
	if err != nil {
		return nil, err
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, c.refusal(response, body)
	}
	return body, nil
}

// sign makes the HTTP request of a message, with the Signature Version 4 of the caller.
func (c *Client) sign(ctx context.Context, m message) (*http.Request, error) {
	address := *c.Endpoint
	address.Path += m.path
	address.RawQuery = m.query.Encode()
	r, err := http.NewRequestWithContext(ctx, m.method, address.String(), bytes.NewReader(m.body))
	if err != nil {
		return nil, fmt.Errorf("the address %q cannot be called: %w", address.String(), err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sym")
	if m.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if m.key != "" {
		r.Header.Set("Idempotency-Key", m.key)
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if ctx.Err() != nil {
		return nil, c.unreachable(ctx, err)
	}
	if err != nil {
		return nil, &CredentialsError{err}
	}
	sum := sha256.Sum256(m.body)
	err = v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), "execute-api",
		c.Region, c.Now())
	return r, err
}
