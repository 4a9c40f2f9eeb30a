package request

import (
	"context"
	"errors"
)

// The sizes of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 100
)

// Story is a request with everything that happened to it.
type Story struct {
	Request Request
	Records []Record
}

// Show reads a request and its audit records.
func (s *Service) Show(ctx context.Context, id string) (Story, error) {
	r, err := s.get(ctx, id)
	if err != nil {
		return Story{}, err
	}
	records, err := s.Store.Records(ctx, id)
	return Story{Request: s.stuck(ctx, r), Records: records}, err
}

// List reads requests, newest first. A limit of zero is [DefaultLimit].
func (s *Service) List(ctx context.Context, q Query) (Page, error) {
	switch {
	case q.State != "" && !q.State.Known():
		return Page{}, fail(InvalidState, "There is no state %s. %s", quote(string(q.State)),
			choices("The states are", "", States, func(s State) string { return string(s) }))
	case q.Limit == 0:
		q.Limit = DefaultLimit
	case q.Limit < 0 || q.Limit > MaxLimit:
		return Page{}, fail(InvalidLimit, "The limit has to be a whole number from 1 to %d.",
			MaxLimit)
	}
	q.Requester = Email(q.Requester)
	page, err := s.Store.List(ctx, q)
	if errors.Is(err, ErrInvalidNext) {
		return Page{}, fail(InvalidNext, "The value of next did not come from a list before. "+
			"Leave it out to begin with the newest request.")
	}
	for i := range page.Requests {
		page.Requests[i] = s.stuck(ctx, page.Requests[i])
	}
	return page, err
}

// Offered reads what can be asked for.
func (s *Service) Offered(ctx context.Context) ([]Flow, error) { return s.Flows.Flows(ctx) }
