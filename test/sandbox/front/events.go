package front

import (
	"sync"
	"time"
)

// Assumption is an event: somebody asked to assume a role.
type Assumption struct {
	Caller      Identity
	RoleARN     string
	SessionName string
	// ExternalID is what the caller gave; empty if none.
	ExternalID string
	// Refused says why, and is empty where the role was assumed.
	Refused string
}

// Invocation is an event: a function was invoked and has answered.
type Invocation struct {
	Caller      Identity
	FunctionARN string
	Payload     []byte
	Answer      []byte
	// FunctionError is Lambda's: empty, or "Unhandled".
	FunctionError string
	Duration      time.Duration
}

// eventHub hands what happens in the sandbox to whoever listens.
type eventHub struct {
	mu        sync.Mutex
	listeners map[int]func(any)
	next      int
}

// subscribe calls listen for every event from now on, one at a time and in
// their order, until the returned function is called. A listener must be quick.
func (e *eventHub) subscribe(listen func(any)) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listeners == nil {
		e.listeners = map[int]func(any){}
	}
	id := e.next
	e.next++
	e.listeners[id] = listen
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.listeners, id)
	}
}

func (e *eventHub) publish(event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, listen := range e.listeners {
		listen(event)
	}
}
