package delivery

import (
	"context"
	"log/slog"
	"time"

	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/request"
)

// Step is the step of the payload that wakes the courier.
const Step = "deliver"

// Wake is the payload that wakes the courier.
type Wake struct {
	Step      string `json:"step"`
	RequestID string `json:"request_id"`
}

// Later does work in an invocation of its own.
type Later interface {
	Do(ctx context.Context, payload any) error
}

// Store is a table of requests that wakes the courier for what is written.
type Store struct {
	*dynamodb.Store
	later Later
	log   *slog.Logger
}

// NewStore makes a store of a table whose records have sinks, see [dynamodb.New].
func NewStore(store *dynamodb.Store, later Later, log *slog.Logger) *Store {
	return &Store{Store: store, later: later, log: log}
}

// Create implements [request.Store].
func (s *Store) Create(ctx context.Context, changes ...request.Change) error {
	if err := s.Store.Create(ctx, changes...); err != nil {
		return err
	}
	s.wake(ctx, changes[0].Request.ID)
	return nil
}

// Apply implements [request.Store].
func (s *Store) Apply(ctx context.Context, change request.Change) error {
	if err := s.Store.Apply(ctx, change); err != nil {
		return err
	}
	s.wake(ctx, change.Request.ID)
	return nil
}

// wakeTimeout is how long a transition waits for the courier to be woken.
const wakeTimeout = 2 * time.Second

// wake has the courier come. The record is written and in the outbox: should nobody wake the
// courier, it comes by itself with the next minute.
func (s *Store) wake(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wakeTimeout)
	defer cancel()
	if err := s.later.Do(ctx, Wake{Step: Step, RequestID: id}); err != nil {
		s.log.WarnContext(ctx, "the courier was not woken and comes by itself", "request_id", id,
			"error", err.Error())
	}
}
