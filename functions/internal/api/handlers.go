package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/request"
)

// submit is POST /requests.
func (a *API) submit(ctx context.Context, c call) (answer, error) {
	f, err := readBody(c.event, false, "flow", "target", "reason", "duration", "break_glass")
	if err != nil {
		return answer{}, err
	}
	var sub request.Submission
	if sub.Flow, err = f.text("flow"); err != nil {
		return answer{}, err
	}
	if sub.Target, err = f.text("target"); err != nil {
		return answer{}, err
	}
	if sub.Reason, err = f.text("reason"); err != nil {
		return answer{}, err
	}
	if sub.Duration, err = f.duration("duration"); err != nil {
		return answer{}, err
	}
	if sub.BreakGlass, err = f.boolean("break_glass"); err != nil {
		return answer{}, err
	}
	if sub.Key, err = idempotencyKey(c.event); err != nil {
		return answer{}, err
	}
	r, err := a.Service.Submit(ctx, c.person, sub)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: viewRequest(r)}, nil
}

// extend is POST /requests/{id}/extend.
func (a *API) extend(ctx context.Context, c call) (answer, error) {
	f, err := readBody(c.event, true, "duration", "reason")
	if err != nil {
		return answer{}, err
	}
	var e request.Extension
	if e.Duration, err = f.duration("duration"); err != nil {
		return answer{}, err
	}
	if e.Reason, err = f.text("reason"); err != nil {
		return answer{}, err
	}
	if e.Key, err = idempotencyKey(c.event); err != nil {
		return answer{}, err
	}
	r, err := a.Service.Extend(ctx, c.person, c.id, e)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: viewRequest(r)}, nil
}

// idempotencyKey is the header of that name; empty where there is none. Who sends an empty one
// believes to have sent a key.
func idempotencyKey(event events.APIGatewayV2HTTPRequest) (string, error) {
	for name, value := range event.Headers {
		if strings.EqualFold(name, "Idempotency-Key") {
			if value == "" {
				return "", refuse(request.InvalidKey, "The header Idempotency-Key is empty. Send "+
					"a random UUID, or leave it out.")
			}
			return value, nil
		}
	}
	return "", nil
}

// decision is POST /requests/{id}/approve, deny, revoke or review.
func decision(
	do func(s *request.Service, ctx context.Context, person, id, reason string) (
		request.Request, error),
) handler {
	return func(a *API, ctx context.Context, c call) (answer, error) {
		f, err := readBody(c.event, true, "reason")
		if err != nil {
			return answer{}, err
		}
		reason, err := f.text("reason")
		if err != nil {
			return answer{}, err
		}
		r, err := do(a.Service, ctx, c.person, c.id, reason)
		if err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusOK, body: viewRequest(r)}, nil
	}
}

// show is GET /requests/{id}.
func (a *API) show(ctx context.Context, c call) (answer, error) {
	story, err := a.Service.Show(ctx, c.id)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: viewStory(story)}, nil
}

// list is GET /requests.
func (a *API) list(ctx context.Context, c call) (answer, error) {
	q, err := a.query(c)
	if err != nil {
		return answer{}, err
	}
	page, err := a.Service.List(ctx, q)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: viewPage(page)}, nil
}

// flows is GET /flows.
func (a *API) flows(ctx context.Context, _ call) (answer, error) {
	flows, err := a.Service.Offered(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: viewFlows(flows)}, nil
}

// me is GET /me.
func (a *API) me(_ context.Context, c call) (answer, error) {
	return answer{status: http.StatusOK, body: meView{
		Email: c.person, Caller: callerOf(c.event).ARN,
	}}, nil
}
