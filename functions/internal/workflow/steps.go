// Package workflow does the steps of a request's state machine: it asks for a decision,
// escalates, holds, deescalates and closes. Every step may be repeated, and every step may
// find that people or an earlier try have been faster: it looks at the request's state first
// and last.
//
// The other steps belong to no state machine. By reconcile a schedule has the function end what
// the workflows have left behind, deliver what was not delivered, and remind people. By deliver
// and slack the function calls itself for what can wait until after a reply. By check_rules
// Terraform asks whether rules compile before it writes them. By retire it has a flow's requests
// ended before it removes the flow.
package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/flows"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// Store is what the steps need beside what people need: a place for the tokens.
type Store interface {
	request.Store

	// StoreAskToken keeps the token of the wait for a decision, and returns the request as it
	// is from that moment on.
	StoreAskToken(ctx context.Context, id, token string) (request.Request, error)

	// StoreHoldToken keeps the token of the wait for the end of the access, and returns the
	// request as it is from that moment on.
	StoreHoldToken(ctx context.Context, id, token string) (request.Request, error)

	// Overdue reads open requests whose deadline has come, the oldest first. They may have
	// changed since. With an error it returns those that could be read.
	Overdue(ctx context.Context, now time.Time, limit int) ([]request.Request, error)

	// Note remembers something about a request, and tells whether it is new; Noted tells whether
	// it was noted.
	Note(ctx context.Context, id, name string) (first bool, err error)
	Noted(ctx context.Context, id, name string) (bool, error)

	// KeepFailure records why a step failed, and LastFailure returns the last such record.
	KeepFailure(ctx context.Context, id string, f request.Failure) error
	LastFailure(ctx context.Context, id string) (request.Failure, error)
}

// Courier delivers the audit records that are written, see the package delivery.
type Courier interface {
	// Deliver delivers what a request has left to deliver.
	Deliver(ctx context.Context, requestID string) error

	// Leftovers delivers what an earlier call could not, of any request.
	Leftovers(context.Context) (delivered int, err error)
}

// Chat is the conversation with people beside the API. Where there is none it is nil.
type Chat interface {
	// Later does what was left for after a reply.
	Later(context.Context, json.RawMessage) error

	// Remind tells people what is due.
	Remind(ctx context.Context, now time.Time) error
}

// Sender brings an event to a target's function.
type Sender interface {
	Send(context.Context, connector.Call) (event.Answer, error)
}

// Steps are what the state machine and the schedule invoke, and the function itself for what
// can be done later.
type Steps struct {
	OrgSlug   string
	Store     Store
	Workflows request.Workflows
	Chain     Sender
	// Flows finds another way to the function of a request whose flow was removed. Nil is none.
	Flows   request.Flows
	Courier Courier
	Chat    Chat
	// Problems are what was left out of the configuration. Nil is nothing.
	Problems func(context.Context) []string
	// Tell tells a human, or fails if nobody could be told.
	Tell func(context.Context, request.Trouble) error
	Now  func() time.Time
	Log  *slog.Logger
}

// CheckRules is the step by which Terraform asks whether rules compile.
const CheckRules = "check_rules"

// Input is the payload of a step.
type Input struct {
	Step      string `json:"step"`
	RequestID string `json:"request_id"`
	// TaskToken answers the wait of the steps ask and hold.
	TaskToken string `json:"task_token"`
	// Slack is what the step slack has to do.
	Slack json.RawMessage `json:"slack"`
	// Draft is what the step check_rules checks; its Flow is also the one that retire retires.
	rules.Draft
	// Documents are the parameters of a flow before they are written, for the step check_rules.
	Documents map[string]string `json:"documents"`
	// Terraform says what happens to the resource that invoked the step retire.
	Terraform *Terraform `json:"tf"`
}

// Output is what the state machine decides by.
type Output struct {
	State request.State `json:"state,omitempty"`
	// HoldSeconds is how long the access lasts from now on, at least 1, where State is active.
	HoldSeconds int64 `json:"hold_seconds,omitempty"`
	// Reconciled is what the step reconcile found. No state machine sees it.
	Reconciled *Reconciled `json:"reconciled,omitempty"`
	// Problems is what the step check_rules found. Terraform reads it.
	Problems *[]rules.Fault `json:"problems,omitempty"`
}

// The error types that the state machine sees beside those of the adapters. Lambda makes the
// Go type's name the errorType.
type (
	// UnknownInvocation says that the payload is none of this function's.
	UnknownInvocation struct{ Message string }

	// RequestNotFound says that the table has no such request.
	RequestNotFound struct{ ID string }

	// WorkflowUnavailable says that Step Functions did not take a signal. It may work later.
	WorkflowUnavailable struct{ Err error }

	// ReconcileFailed says that some overdue requests could not be ended. The next run tries
	// them again.
	ReconcileFailed struct {
		Failed, Overdue int
		Err             error
	}

	// StepFailed is any other failure.
	StepFailed struct{ Err error }
)

func (e *UnknownInvocation) Error() string { return e.Message }

func (e *RequestNotFound) Error() string {
	return fmt.Sprintf("there is no request %q in the table of requests", e.ID)
}

func (e *WorkflowUnavailable) Error() string { return e.Err.Error() }

func (e *WorkflowUnavailable) Unwrap() error { return e.Err }

func (e *ReconcileFailed) Error() string {
	return fmt.Sprintf("%d of %d overdue requests could not be ended: %s", e.Failed, e.Overdue,
		e.Err)
}

func (e *ReconcileFailed) Unwrap() error { return e.Err }

func (e *StepFailed) Error() string { return e.Err.Error() }

func (e *StepFailed) Unwrap() error { return e.Err }

// Run does one step. Its errors are pointers to named types, never a wrapper around one, so
// that their errorType is stable.
func (s *Steps) Run(ctx context.Context, in Input) (Output, error) {
	log := s.Log.With("step", in.Step, "request_id", in.RequestID)
	if in.Step == "reconcile" {
		log = s.Log.With("step", in.Step)
	}
	out, err := s.step(ctx, in)
	if err != nil {
		err = named(in, err)
		s.keepFailure(ctx, in, err)
		log.ErrorContext(ctx, "step failed", "error_type", fmt.Sprintf("%T", err),
			"error", err.Error())
		return Output{}, err
	}
	if out.Reconciled != nil {
		log.InfoContext(ctx, "step done", "overdue", out.Reconciled.Overdue,
			"ended", out.Reconciled.Ended)
		return out, nil
	}
	if out.Problems != nil {
		log.InfoContext(ctx, "step done", "problems", len(*out.Problems))
		return out, nil
	}
	log.InfoContext(ctx, "step done", "state", out.State, "hold_seconds", out.HoldSeconds)
	return out, nil
}

func (s *Steps) step(ctx context.Context, in Input) (Output, error) {
	if in.Step == "reconcile" {
		return s.reconcile(ctx)
	}
	switch in.Step {
	case Retire:
		return s.retire(ctx, in)
	case CheckRules:
		faults := append(in.Check(), flows.Check(in.Documents)...)
		return Output{Problems: &faults}, nil
	case "slack":
		if s.Chat == nil {
			return Output{}, &UnknownInvocation{"There is work for Slack, which is not set up."}
		}
		return Output{}, s.Chat.Later(ctx, in.Slack)
	}
	if in.RequestID == "" {
		return Output{}, &UnknownInvocation{"The step " + in.Step + " names no request_id."}
	}
	switch in.Step {
	case "ask", "hold":
		if in.TaskToken == "" {
			return Output{}, &UnknownInvocation{"The step " + in.Step + " has no task_token."}
		}
		if in.Step == "ask" {
			return s.ask(ctx, in.RequestID, in.TaskToken)
		}
		return s.hold(ctx, in.RequestID, in.TaskToken)
	case "escalate":
		return s.escalate(ctx, in.RequestID)
	case "deescalate":
		return s.deescalate(ctx, in.RequestID)
	case "close":
		return s.close(ctx, in.RequestID)
	case "deliver":
		return Output{}, s.Courier.Deliver(ctx, in.RequestID)
	}
	return Output{}, &UnknownInvocation{
		fmt.Sprintf("There is no step %q: the steps are ask, escalate, hold, deescalate, close, "+
			"deliver, slack, check_rules, retire and reconcile.", in.Step),
	}
}

// named finds the error that has a name for the state machine.
func named(in Input, err error) error {
	if in.RequestID != "" && errors.Is(err, request.ErrNotFound) {
		return &RequestNotFound{in.RequestID}
	}
	for _, as := range []func(error) (error, bool){
		as[*UnknownInvocation], as[*FlowInUse], as[*ReconcileFailed], as[*WorkflowUnavailable],
		as[*dynamodb.StoreUnavailable], as[*connector.ConnectorUnavailable],
		as[*connector.PostgresFunctionError], as[*ConnectorGone],
	} {
		if found, ok := as(err); ok {
			return found
		}
	}
	return &StepFailed{err}
}

func as[E error](err error) (error, bool) { return errors.AsType[E](err) }

// now is the time as it is stored: in UTC, to the millisecond.
func (s *Steps) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// machine is the part of an [request.Act] that the workflow itself does.
func (s *Steps) machine(action, rule, reason string) request.Act {
	return request.Act{
		Action: action, By: request.ByWorkflow, At: s.now(), Reason: reason, Rule: rule,
	}
}

// margin is how far two machines' clocks may lie apart, and how late a timer may ring, before
// a step takes the difference for an accident.
const margin = 5 * time.Second

// races is how often a step looks again after somebody else has changed the request.
const races = 5

// errRaces ends a step that was overtaken too often.
var errRaces = errors.New("the request kept changing while the step was at work")
