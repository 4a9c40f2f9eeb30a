package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/ledger"
	"sym-postgres-quickstart/functions/internal/leftout"
)

// ConfigurationInvalid is the error of what the environment does not allow: every invocation where
// there is no way to the database, and a grant where it is not sure what may be granted to whom.
type ConfigurationInvalid struct{ Message string }

func (e ConfigurationInvalid) Error() string { return e.Message }

// InternalError is the error that nobody has thought of.
type InternalError struct{ Message string }

func (e InternalError) Error() string { return e.Message }

// handler answers the events.
type handler struct {
	ledger *ledger.Ledger
	// roles is the allow-list.
	roles []string
	users event.Users
	max   time.Duration
	// problems are what was left out of the configuration, and grants is why nothing is granted;
	// nil where something is. Neither keeps access from ending.
	problems []string
	grants   error
	log      *slog.Logger
}

// Invoke answers one event. What no repetition can change comes back as an answer with
// errors; what may succeed later is an error of a type whose name is stable.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if answer, err, checked := check(ctx, payload); checked {
		return answer, err
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	body, err := h.answer(ctx, payload)
	var refusal *event.Refusal
	if errors.As(err, &refusal) {
		h.log.WarnContext(ctx, "refused", "code", refusal.Code, "message", refusal.Message)
		return json.Marshal(refusal.Answer())
	}
	if err != nil {
		return nil, bare(err)
	}
	answer, err := event.Succeed(body)
	if err != nil {
		return nil, InternalError{err.Error()}
	}
	return json.Marshal(answer)
}

func (h *handler) answer(ctx context.Context, payload []byte) (any, error) {
	e, err := event.Parse(payload)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Type == event.TypeSweep:
		leftout.Log(ctx, h.log, h.problems)
		return h.ledger.Sweep(ctx)
	case e.Type == event.TypeStatus:
		return h.ledger.Status(ctx)
	case e.Type == event.TypeRetire && !e.Terraform.Deletes():
		return struct{}{}, nil // when the function is made there is nothing to take back
	case e.Type == event.TypeRetire:
		return h.ledger.Retire(ctx)
	case e.Event.Type == event.Deescalate:
		return h.ledger.Deescalate(ctx, h.end(e))
	}
	if h.grants != nil {
		return nil, h.grants
	}
	request, err := h.request(e)
	if err != nil {
		return nil, err
	}
	if e.Event.Type == event.Check {
		return h.ledger.Check(ctx, request)
	}
	return h.ledger.Escalate(ctx, request)
}

// end is what a deescalate asks for. It needs nothing but the run, so that access ends whatever
// else is wrong with the event.
func (h *handler) end(e *event.Event) ledger.End {
	end := ledger.End{Run: e.Run.SRN}
	requester, err := e.Requester()
	if err != nil {
		return end
	}
	user, err := h.users.User(requester)
	if err != nil {
		return end
	}
	if role, err := e.Role(); err == nil {
		end.User, end.Role = user, role
	}
	return end
}

// request is what an escalate, or a check, asks for.
func (h *handler) request(e *event.Event) (ledger.Request, error) {
	role, err := e.Role()
	if err != nil {
		return ledger.Request{}, err
	}
	if !slices.Contains(h.roles, role) {
		return ledger.Request{}, event.Refuse(event.RoleNotAllowed,
			"The role %q is not one that this function may hand out.", role)
	}
	requester, err := e.Requester()
	if err != nil {
		return ledger.Request{}, err
	}
	user, err := h.users.User(requester)
	if err != nil {
		return ledger.Request{}, err
	}
	duration, err := e.Duration(h.max)
	if err != nil {
		return ledger.Request{}, err
	}
	return ledger.Request{
		Run: e.Run.SRN, User: user, Role: role, Requester: requester,
		Reason: e.Fields.Reason, Duration: duration,
	}, nil
}

// withMargin ends the work a little before the function's deadline, so that there is time
// left to say so: a tenth, and a second at most.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, time.Second)))
}

// bare takes an error out of its wrappers, since Lambda names the outermost type.
func bare(err error) error {
	if named, ok := errors.AsType[database.DatabaseUnavailable](err); ok {
		return named
	}
	if named, ok := errors.AsType[database.DatabaseBusy](err); ok {
		return named
	}
	if named, ok := errors.AsType[database.CredentialsUnavailable](err); ok {
		return named
	}
	if named, ok := errors.AsType[database.ReaderUnavailable](err); ok {
		return named
	}
	if named, ok := errors.AsType[database.DatabaseRefused](err); ok {
		return named
	}
	if named, ok := errors.AsType[ConfigurationInvalid](err); ok {
		return named
	}
	if named, ok := errors.AsType[ledger.SweepIncomplete](err); ok {
		return named
	}
	if named, ok := errors.AsType[ledger.GrantsRemain](err); ok {
		return named
	}
	return InternalError{err.Error()}
}
