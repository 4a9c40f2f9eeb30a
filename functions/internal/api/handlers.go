package api

import (
	"context"
	"net/http"
	"strconv"

	"sym-postgres-quickstart/functions/internal/request"
)

// submit is POST /requests.
func (a *API) submit(ctx context.Context, c call) (answer, error) {
	f, err := readBody(c.event, false, "flow", "target", "reason", "duration")
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
	r, err := a.Service.Submit(ctx, c.person, sub)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, viewRequest(r)}, nil
}

// decision is POST /requests/{id}/approve, deny or revoke.
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
		return answer{http.StatusOK, viewRequest(r)}, nil
	}
}

// show is GET /requests/{id}.
func (a *API) show(ctx context.Context, c call) (answer, error) {
	story, err := a.Service.Show(ctx, c.id)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, viewStory(story)}, nil
}

// list is GET /requests.
func (a *API) list(ctx context.Context, c call) (answer, error) {
	q := request.Query{State: request.State(c.query["state"]), Next: c.query["next"]}
	if limit, given := c.query["limit"]; given {
		n, err := strconv.Atoi(limit)
		if err != nil || n == 0 {
			n = -1 // zero would mean the default; the service refuses what is below
		}
		q.Limit = n
	}
	page, err := a.Service.List(ctx, q)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, viewPage(page)}, nil
}

// flows is GET /flows.
func (a *API) flows(ctx context.Context, _ call) (answer, error) {
	flows, err := a.Service.Offered(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, viewFlows(flows)}, nil
}
