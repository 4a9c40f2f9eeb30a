package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// tries is how often a call is made before it is given up.
const tries = 4

// firstPause is about how long the pause after the first try is. Each further one is twice as
// long.
const firstPause = 400 * time.Millisecond

// call makes a call, tries it again where that may help, and reads its answer. Every call of
// the API may be repeated: a decision that is made twice is one, and what would not be has an
// idempotency key.
func (c *Client) call(ctx context.Context, m message, answer any) error {
	body, err := c.try(ctx, m)
	pause := firstPause
	for n := 1; n < tries && err != nil && mayPass(err); n++ {
		// Somewhere between half and all of it, so that those who failed together do not come
		// back together.
		// #nosec G404 -- no secret comes of a pause
		if stopped := c.Sleep(ctx, pause/2+rand.N(pause/2)); stopped != nil {
			return &Unreachable{Endpoint: c.Endpoint.String(), cause: stopped}
		}
		pause *= 2
		body, err = c.try(ctx, m)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return &Stranger{Endpoint: c.Endpoint.String(), Saw: "what it sent is not the API's JSON"}
	}
	return nil
}

// settled are the codes of failures that another try would only repeat.
var settled = map[string]bool{
	"workflow_not_started": true, // the request has failed, and stays so
	"flow_misconfigured":   true,
}

// mayPass tells whether a failure may be gone at the next try.
func mayPass(err error) bool {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return !settled[refusal.Code] && (refusal.Status >= http.StatusInternalServerError ||
			refusal.Status == http.StatusTooManyRequests)
	}
	if _, ok := errors.AsType[*Unreachable](err); !ok || errors.Is(err, context.Canceled) {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	return !authority && !name
}
