package requesttest

import (
	"context"
	"slices"
	"sync"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// Workflows stand in for Step Functions: they know which executions run, which tokens somebody
// waits for, and what each was told first.
type Workflows struct {
	mu      sync.Mutex
	started []string
	ended   map[string]bool
	waiting map[string]bool
	told    map[string]request.State

	startError, signalError error
	lookErrors              map[string]error
}

// NewWorkflows makes an engine in which nothing runs.
func NewWorkflows() *Workflows {
	return &Workflows{
		ended: map[string]bool{}, waiting: map[string]bool{}, told: map[string]request.State{},
		lookErrors: map[string]error{},
	}
}

// Start implements [request.Workflows].
func (w *Workflows) Start(_ context.Context, r request.Request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.startError != nil:
		return w.startError
	case w.ended[r.ID]:
		return request.ErrWorkflowEnded
	}
	w.started = append(w.started, r.ID)
	return nil
}

// Signal implements [request.Workflows].
func (w *Workflows) Signal(_ context.Context, token string, state request.State) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.signalError != nil:
		return w.signalError
	case !w.waiting[token]:
		return request.ErrNotWaiting
	}
	delete(w.waiting, token)
	w.told[token] = state
	return nil
}

// Execution implements [request.Workflows].
func (w *Workflows) Execution(_ context.Context, r request.Request) (request.Execution, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.lookErrors[r.ID] != nil:
		return "", w.lookErrors[r.ID]
	case w.ended[r.ID]:
		return request.Ended, nil
	case slices.Contains(w.started, r.ID):
		return request.Running, nil
	}
	return request.Missing, nil
}

// Wait begins a wait, as the state machine does before it invokes the step with the token.
func (w *Workflows) Wait(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[token] = true
}

// Stop ends the execution of a request and every wait, as somebody at the console would.
func (w *Workflows) Stop(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[id] = true
	clear(w.waiting)
}

// Told is the state that a wait was answered with; empty if it was not.
func (w *Workflows) Told(token string) request.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told[token]
}

// Started counts how often the execution of a request was asked for.
func (w *Workflows) Started(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, started := range w.started {
		if started == id {
			n++
		}
	}
	return n
}

// SetErrors sets what the next calls fail with.
func (w *Workflows) SetErrors(start, signal error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startError, w.signalError = start, signal
}

// FailLooking sets what a look at one request's execution fails with.
func (w *Workflows) FailLooking(id string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookErrors[id] = err
}

// Flows are a configuration that the test holds. It implements [request.Flows].
type Flows []request.Flow

// Flows implements [request.Flows].
func (f Flows) Flows(context.Context) ([]request.Flow, error) { return f, nil }

// Clock is a time that the test holds.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock begins at a fixed time.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 3, 14, 0, 0, 123_000_000, time.UTC)}
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
