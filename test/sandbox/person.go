package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"sym-postgres-quickstart/test/sandbox/front"
)

// Person calls the Runtime's API with credentials of their own.
type Person struct {
	Email string
	Keys  aws.Credentials
	api   string
}

// Person signs somebody in, to call a deployment's API.
func (s *Sandbox) Person(ctx context.Context, d Deployment, email string) (Person, error) {
	keys, err := s.SignIn(ctx, email)
	return Person{Email: email, Keys: keys, api: d.APIEndpoint}, err
}

// Request is a request as the API shows it.
type Request struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	Flow      string    `json:"flow"`
	Target    string    `json:"target"`
	Requester string    `json:"requester"`
	Reason    string    `json:"reason"`
	Duration  int       `json:"duration"`
	Extends   string    `json:"extends"`
	GrantedAt time.Time `json:"granted_at"`
	ExpiresAt time.Time `json:"expires_at"`
	DoneAt    time.Time `json:"done_at"`
	ReviewDue time.Time `json:"review_due"`
	Connect   string    `json:"connect"`
	Failure   string    `json:"failure"`

	ApprovalsNeeded int      `json:"approvals_needed"`
	Approvals       []Record `json:"approvals"`
	Audit           []Record `json:"audit"`
}

// Record is one transition of a request, as the API shows it.
type Record struct {
	From   string    `json:"from"`
	To     string    `json:"to"`
	Action string    `json:"action"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Rule   string    `json:"rule"`
	// Because says why the rule matched, where that is not said by its name.
	Because string `json:"because"`
}

// APIError is an error that the API answered.
type APIError struct {
	Status        int
	Code, Message string
}

// Error is the API's own sentence, with its code.
func (e *APIError) Error() string {
	return fmt.Sprintf("%s (%d %s)", e.Message, e.Status, e.Code)
}

// Ask asks for a target of a flow for some time.
func (p Person) Ask(ctx context.Context, flow, target, reason string, d time.Duration) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests", map[string]any{
		"flow": flow, "target": target, "reason": reason, "duration": int(d.Seconds()),
	})
}

// BreakGlass asks for a target of a flow in an emergency.
func (p Person) BreakGlass(ctx context.Context, flow, target, reason string, d time.Duration) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests", map[string]any{
		"flow": flow, "target": target, "reason": reason, "duration": int(d.Seconds()),
		"break_glass": true,
	})
}

// Extend asks for an access once more.
func (p Person) Extend(ctx context.Context, id, reason string, d time.Duration) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests/"+id+"/extend", map[string]any{
		"reason": reason, "duration": int(d.Seconds()),
	})
}

// Review writes down what came of broken glass.
func (p Person) Review(ctx context.Context, id, note string) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests/"+id+"/review", map[string]any{"reason": note})
}

// List answers the requests that fit a query, such as "state=active", the newest first.
func (p Person) List(ctx context.Context, query string) ([]Request, error) {
	answer, err := p.Call(ctx, http.MethodGet, "/requests?"+query, nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Requests []Request }
	return page.Requests, json.Unmarshal(answer, &page)
}

// Approve approves a request.
func (p Person) Approve(ctx context.Context, id string) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests/"+id+"/approve", nil)
}

// Deny denies a request.
func (p Person) Deny(ctx context.Context, id, reason string) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests/"+id+"/deny", map[string]any{"reason": reason})
}

// Revoke ends a request's access early.
func (p Person) Revoke(ctx context.Context, id string) (Request, error) {
	return p.request(ctx, http.MethodPost, "/requests/"+id+"/revoke", nil)
}

// Show answers one request with its audit trail.
func (p Person) Show(ctx context.Context, id string) (Request, error) {
	return p.request(ctx, http.MethodGet, "/requests/"+id, nil)
}

// Await answers a request once it is in the wanted state. It gives up when ctx
// ends, and at once if the request ends in another state.
func (p Person) Await(ctx context.Context, id, state string) (Request, error) {
	for {
		r, err := p.Show(ctx, id)
		if err != nil || r.State == state {
			return r, err
		}
		switch r.State {
		case "denied", "expired", "failed", "done":
			return r, fmt.Errorf("the request %s is %s and will not be %s: %s", id, r.State, state, r.Failure)
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("the request %s is still %s, not %s: %w", id, r.State, state, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (p Person) request(ctx context.Context, method, path string, body any) (Request, error) {
	var r Request
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return r, err
		}
	}
	answer, err := p.Call(ctx, method, path, data)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(answer, &r)
}

// Call makes any call to the API, signed with the person's credentials. An
// answer that is not a success is an [APIError].
func (p Person) Call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.api+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, p.Keys, r, hex.EncodeToString(sum[:]), "execute-api",
		front.Region, time.Now())
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode < 300 {
		return data, err
	}
	var failure struct {
		Error   struct{ Code, Message string }
		Message string
	}
	_ = json.Unmarshal(data, &failure)
	if failure.Error.Message == "" {
		failure.Error.Message = failure.Message
	}
	return data, &APIError{response.StatusCode, failure.Error.Code, failure.Error.Message}
}
