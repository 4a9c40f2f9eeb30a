package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Refusal is an error that the API answered: a code for programs and a sentence for people.
type Refusal struct {
	Status  int
	Code    string
	Message string
}

// Error is the sentence for people.
func (r *Refusal) Error() string { return r.Message }

// Codes for what is answered not by the Runtime but by API Gateway in front of it, which has
// none.
const (
	CodeForbidden   = "forbidden"
	CodeThrottled   = "throttled"
	CodeUnavailable = "unavailable"
)

// Unreachable says that no answer came.
type Unreachable struct {
	Endpoint string
	cause    error
}

// unreachable says why no answer came. Who has stopped us is not the network's fault, in
// whatever words the error says it.
func (c *Client) unreachable(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	return &Unreachable{Endpoint: c.Endpoint.String(), cause: cause}
}

// Error is the sentence for people.
func (u *Unreachable) Error() string {
	if dns, ok := errors.AsType[*net.DNSError](u.cause); ok && dns.IsNotFound {
		return fmt.Sprintf("There is no host %s. Compare the address of the API, %s, with "+
			"`terraform output api_endpoint`.", dns.Name, u.Endpoint)
	}
	if errors.Is(u.cause, context.Canceled) {
		return "Stopped before the API answered. What was asked for may have been done."
	}
	return fmt.Sprintf("The API at %s could not be reached: %v. Look at the address and your "+
		"network, and try again.", u.Endpoint, u.cause)
}

// Unwrap is what went wrong.
func (u *Unreachable) Unwrap() error { return u.cause }

// Stranger says that what answered is not the Runtime's API.
type Stranger struct{ Endpoint, Saw string }

// Error is the sentence for people.
func (s *Stranger) Error() string {
	return fmt.Sprintf("What answers at %s is not the Runtime's API: %s. Compare the address with "+
		"`terraform output api_endpoint`.", s.Endpoint, s.Saw)
}

// refusal reads the answer to a call that did not succeed.
func (c *Client) refusal(response *http.Response, body []byte) error {
	status := response.StatusCode
	var answer struct {
		Error   struct{ Code, Message string }
		Message string // API Gateway's own
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case err == nil && answer.Error.Code != "":
		return &Refusal{status, answer.Error.Code, answer.Error.Message}
	case status == http.StatusForbidden:
		return &Refusal{status, CodeForbidden, fmt.Sprintf("API Gateway refused your signature for "+
			"%s (region %s). Your credentials may have expired (`aws sso login`), be another "+
			"account's (`aws sts get-caller-identity`), lack execute-api:Invoke on this API, or "+
			"your clock may be wrong.", c.Endpoint, c.Region)}
	case status == http.StatusTooManyRequests:
		return &Refusal{status, CodeThrottled, "The API gets too many calls just now. Try again in " +
			"a minute."}
	case status >= http.StatusInternalServerError:
		return &Refusal{status, CodeUnavailable, fmt.Sprintf("The Runtime does not answer just now "+
			"(%s). Try again in a minute; if it lasts, tell whoever maintains it.", response.Status)}
	default:
		return &Stranger{c.Endpoint.String(), "it answers " + response.Status}
	}
}
