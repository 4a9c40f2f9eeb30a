// Package requesttest has what tests of the Runtime need in place of AWS: a store in memory,
// which passes the same suite as the real one, and workflows that remember what they were
// told.
package requesttest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"sym-postgres-quickstart/functions/internal/request"
)

// Memory is a store in memory. It keeps what DynamoDB keeps: each write is whole, one after
// the other, and a transition does not touch the tokens.
type Memory struct {
	// Fail, if set, is asked before every operation; its error is the operation's. A test may
	// also use it to let something happen at that moment.
	Fail func(operation string) error

	mu       sync.Mutex
	requests map[string]request.Request
	records  map[string][]request.Record
	notes    map[string]bool
	messages map[string][2]string
	copies   map[string][][3]string
	failures map[string]request.Failure
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		requests: map[string]request.Request{}, records: map[string][]request.Record{},
		notes: map[string]bool{}, messages: map[string][2]string{},
		failures: map[string]request.Failure{}, copies: map[string][][3]string{},
	}
}

func (m *Memory) fail(operation string) error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail(operation)
}

// Create implements [request.Store].
func (m *Memory) Create(_ context.Context, changes ...request.Change) error {
	if err := m.fail("create"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.requests[changes[0].Request.ID]; exists {
		return request.ErrConflict
	}
	for _, change := range changes {
		m.write(change)
	}
	return nil
}

// Apply implements [request.Store].
func (m *Memory) Apply(_ context.Context, change request.Change) error {
	if err := m.fail("apply"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.requests[change.Request.ID]
	if current.State != change.Record.From || current.Version != change.Request.Version-1 {
		return request.ErrConflict
	}
	change.Request.AskToken, change.Request.HoldToken = current.AskToken, current.HoldToken
	m.write(change)
	return nil
}

func (m *Memory) write(change request.Change) {
	id := change.Request.ID
	m.requests[id] = change.Request
	m.records[id] = append(m.records[id], change.Record)
}

// Get implements [request.Store].
func (m *Memory) Get(_ context.Context, id string) (request.Request, error) {
	if err := m.fail("get"); err != nil {
		return request.Request{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, exists := m.requests[id]
	if !exists {
		return request.Request{}, request.ErrNotFound
	}
	return r, nil
}

// Records implements [request.Store].
func (m *Memory) Records(_ context.Context, id string) ([]request.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records[id]), m.fail("records")
}

// List implements [request.Store].
func (m *Memory) List(_ context.Context, q request.Query) (request.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []request.Request
	for _, r := range m.requests {
		if q.Fits(r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b request.Request) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	start, err := 0, error(nil)
	if q.Next != "" {
		if start, err = strconv.Atoi(q.Next); err != nil {
			return request.Page{}, request.ErrInvalidNext
		}
	}
	found = found[min(start, len(found)):]
	if len(found) <= q.Limit {
		return request.Page{Requests: found}, nil
	}
	return request.Page{Requests: found[:q.Limit], Next: strconv.Itoa(start + q.Limit)}, nil
}

// Overdue lists open requests whose deadline has come, the oldest first.
func (m *Memory) Overdue(_ context.Context, now time.Time, limit int) (
	[]request.Request, error,
) {
	if err := m.fail("overdue"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []request.Request
	for _, r := range m.requests {
		if deadline := r.Deadline(); !deadline.IsZero() && !deadline.After(now) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b request.Request) int {
		return a.Deadline().Compare(b.Deadline())
	})
	return found[:min(limit, len(found))], nil
}

// StoreAskToken keeps the token of the wait for a decision.
func (m *Memory) StoreAskToken(_ context.Context, id, token string) (request.Request, error) {
	return m.token(id, func(r *request.Request) { r.AskToken = token })
}

// StoreHoldToken keeps the token of the wait for the end.
func (m *Memory) StoreHoldToken(_ context.Context, id, token string) (request.Request, error) {
	return m.token(id, func(r *request.Request) { r.HoldToken = token })
}

func (m *Memory) token(id string, set func(*request.Request)) (request.Request, error) {
	if err := m.fail("token"); err != nil {
		return request.Request{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, exists := m.requests[id]
	if !exists {
		return request.Request{}, request.ErrNotFound
	}
	set(&r)
	m.requests[id] = r
	return r, nil
}

// Holds tells whether a person has a target, or is about to.
func (m *Memory) Holds(_ context.Context, person, flow, target string) (bool, error) {
	if err := m.fail("holds"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.requests {
		if r.Requester == person && r.Flow == flow && r.Target.Name == target &&
			(r.State == request.Approved || r.State == request.Active) {
			return true, nil
		}
	}
	return false, nil
}

// Open lists open requests, the one that is due first before the others.
func (m *Memory) Open(ctx context.Context, limit int) ([]request.Request, error) {
	return m.Overdue(ctx, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), limit)
}

// Note remembers something about a request, and tells whether it is new.
func (m *Memory) Note(_ context.Context, id, name string) (first bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first = !m.notes[id+"/"+name]
	m.notes[id+"/"+name] = true
	return first, m.fail("note")
}

// Noted tells whether something was noted.
func (m *Memory) Noted(_ context.Context, id, name string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notes[id+"/"+name], m.fail("noted")
}

// KeepFailure keeps why a step failed.
func (m *Memory) KeepFailure(_ context.Context, id string, f request.Failure) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures[id] = f
	return m.fail("keep failure")
}

// LastFailure is the last failure of a step; zero if there was none.
func (m *Memory) LastFailure(_ context.Context, id string) (request.Failure, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures[id], m.fail("last failure")
}

// SlackMessage is where a request's message is; empty where there is none.
func (m *Memory) SlackMessage(_ context.Context, id string) (channel, ts string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	message := m.messages[id]
	return message[0], message[1], m.fail("slack message")
}

// AddSlackCopy keeps where a direct message about a request is.
func (m *Memory) AddSlackCopy(_ context.Context, id, kind, channel, ts string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if added := [3]string{kind, channel, ts}; !slices.Contains(m.copies[id], added) {
		m.copies[id] = append(m.copies[id], added)
	}
	return m.fail("add slack copy")
}

// SlackCopies lists what was kept by AddSlackCopy.
func (m *Memory) SlackCopies(_ context.Context, id string) ([][3]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.copies[id]), m.fail("slack copies")
}

// SaveSlackMessage keeps where a request's message is.
func (m *Memory) SaveSlackMessage(_ context.Context, id, channel, ts string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages[id] = [2]string{channel, ts}
	return m.fail("save slack message")
}
