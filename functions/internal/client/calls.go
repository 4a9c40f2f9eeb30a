package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Submission is what a person asks for.
type Submission struct {
	Flow       string
	Target     string
	Reason     string
	Duration   time.Duration // zero for the target's default
	BreakGlass bool
	Key        string // idempotency key; empty for a random one
}

// Submit asks for access.
func (c *Client) Submit(ctx context.Context, s Submission) (Request, error) {
	m, err := post("/requests", keyOr(s.Key), map[string]any{
		"flow": s.Flow, "target": s.Target, "reason": s.Reason, "duration": seconds(s.Duration),
		"break_glass": s.BreakGlass,
	})
	if err != nil {
		return Request{}, err
	}
	return c.request(ctx, m)
}

// Extension is what a person asks for who needs longer.
type Extension struct {
	Duration time.Duration // zero for as long as before
	Reason   string        // empty for the one of before
	Key      string        // idempotency key; empty for a random one
}

// Extend asks for an access once more.
func (c *Client) Extend(ctx context.Context, id string, e Extension) (Request, error) {
	m, err := post(requestPath(id)+"/extend", keyOr(e.Key), map[string]any{
		"reason": e.Reason, "duration": seconds(e.Duration),
	})
	if err != nil {
		return Request{}, err
	}
	return c.request(ctx, m)
}

// Act does one of approve, deny, revoke and review to a request.
func (c *Client) Act(ctx context.Context, action, id, reason string) (Request, error) {
	m, err := post(requestPath(id)+"/"+action, "", map[string]any{"reason": reason})
	if err != nil {
		return Request{}, err
	}
	return c.request(ctx, m)
}

// Show reads a request with its audit records.
func (c *Client) Show(ctx context.Context, id string) (Request, error) {
	return c.request(ctx, message{method: http.MethodGet, path: requestPath(id)})
}

func (c *Client) request(ctx context.Context, m message) (Request, error) {
	var r Request
	err := c.call(ctx, m, &r)
	return r, err
}

// Query says which requests to list.
type Query struct {
	State, Flow, Target, Requester string
	HeldAt                         time.Time
	Review                         bool // only broken glass that nobody has reviewed
	Limit                          int  // at most so many; zero for all
	Next                           string
}

// largestPage is how many requests the API gives at once.
const largestPage = 100

// List reads requests, the newest first, page by page up to the limit.
func (c *Client) List(ctx context.Context, q Query) (Page, error) {
	all := Page{Requests: []Request{}, Next: q.Next}
	for {
		size := largestPage
		if q.Limit > 0 {
			size = min(size, q.Limit-len(all.Requests))
		}
		query := url.Values{"limit": {strconv.Itoa(size)}}
		for name, value := range map[string]string{
			"state": q.State, "flow": q.Flow, "target": q.Target, "requester": q.Requester,
			"next": all.Next,
		} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if !q.HeldAt.IsZero() {
			query.Set("held_at", q.HeldAt.UTC().Format(time.RFC3339Nano))
		}
		if q.Review {
			query.Set("review", "pending")
		}
		var page struct {
			Requests *[]Request `json:"requests"`
			Next     string     `json:"next"`
		}
		m := message{method: http.MethodGet, path: "/requests", query: query}
		if err := c.call(ctx, m, &page); err != nil {
			return Page{}, err
		}
		if page.Requests == nil {
			return Page{}, &Stranger{c.Endpoint.String(), "it sent no list of requests"}
		}
		all.Requests = append(all.Requests, *page.Requests...)
		all.Next = page.Next
		if all.Next == "" || q.Limit > 0 && len(all.Requests) >= q.Limit {
			return all, nil
		}
	}
}

// Flows reads what can be asked for.
func (c *Client) Flows(ctx context.Context) (Flows, error) {
	var f Flows
	err := c.call(ctx, message{method: http.MethodGet, path: "/flows"}, &f)
	if err == nil && f.Flows == nil {
		err = &Stranger{c.Endpoint.String(), "it sent no list of flows"}
	}
	return f, err
}

// Me reads who the API takes the caller for.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	err := c.call(ctx, message{method: http.MethodGet, path: "/me"}, &me)
	if err == nil && me.Email == "" {
		err = &Stranger{c.Endpoint.String(), "it does not say who you are"}
	}
	return me, err
}

func requestPath(id string) string { return "/requests/" + id }

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func keyOr(key string) string {
	if key == "" {
		return uuid.NewString()
	}
	return key
}
