package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/email"
	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/ledger"
)

// defaultMaxDuration is the longest that access is given where PG_MAX_DURATION is not set.
const defaultMaxDuration = 24 * time.Hour

// ConfigurationInvalid is the error of every invocation where the environment is wrong.
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
	log   *slog.Logger
}

// newHandler reads the configuration. Where it is wrong, every invocation says how, which
// tells more than a process that exits.
func newHandler(getenv func(string) string, log *slog.Logger) lambda.Handler {
	h, err := configure(getenv, log)
	if err != nil {
		return broken{ConfigurationInvalid{err.Error()}}
	}
	return h
}

func configure(getenv func(string) string, log *slog.Logger) (*handler, error) {
	h := &handler{max: defaultMaxDuration, log: log}
	for role := range strings.SplitSeq(getenv("PG_ROLES"), ",") {
		if role = strings.TrimSpace(role); role != "" {
			h.roles = append(h.roles, role)
		}
	}
	if text := getenv("PG_MAX_DURATION"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds <= 0 {
			return nil, fmt.Errorf(
				"PG_MAX_DURATION is %q, but it has to be a number of seconds above zero", text)
		}
		h.max = time.Duration(seconds) * time.Second
	}
	h.users.From = getenv("PG_USERNAME_FROM")
	switch h.users.From {
	case "", event.FromLocalPart, event.FromEmail:
	default:
		return nil, fmt.Errorf("PG_USERNAME_FROM is %q, but it has to be %s or %s",
			h.users.From, event.FromLocalPart, event.FromEmail)
	}
	if text := getenv("PG_USERNAMES"); text != "" {
		var table map[string]string
		if err := json.Unmarshal([]byte(text), &table); err != nil {
			return nil, errors.New("PG_USERNAMES is not a JSON object of e-mail addresses " +
				"and database users")
		}
		h.users.Table = make(map[string]string, len(table))
		for address, user := range table {
			h.users.Table[email.Fold(strings.TrimSpace(address))] = user
		}
	}
	options, err := ledgerOptions(getenv)
	if err != nil {
		return nil, err
	}
	config, err := database.FromEnvironment(getenv)
	if err != nil {
		return nil, err
	}
	connector, err := database.NewConnector(config)
	if err != nil {
		return nil, err
	}
	if options.Readers, err = readersOf(getenv, config, log); err != nil {
		return nil, err
	}
	h.ledger = ledger.New(database.NewSession(connector.Connect), log, options)
	return h, nil
}

// ledgerOptions reads PG_END_SESSIONS (on or off, on where it is not set), PG_UNKNOWN_USERS
// (existing or create, existing where it is not set) and PG_ON_END (report or revoke, report
// where it is not set).
func ledgerOptions(getenv func(string) string) (options ledger.Options, err error) {
	switch value := getenv("PG_END_SESSIONS"); value {
	case "", "on":
	case "off":
		options.KeepSessions = true
	default:
		return options, fmt.Errorf("PG_END_SESSIONS is %q, but it has to be on or off", value)
	}
	switch value := ledger.OnEnd(getenv("PG_ON_END")); value {
	case "", ledger.Report, ledger.TakeBack:
		options.OnEnd = value
	default:
		return options, fmt.Errorf("PG_ON_END is %q, but it has to be %s or %s",
			value, ledger.Report, ledger.TakeBack)
	}
	switch value := getenv("PG_UNKNOWN_USERS"); value {
	case "", "existing":
	case "create":
		options.MakeUsers = true
	default:
		return options, fmt.Errorf(
			"PG_UNKNOWN_USERS is %q, but it has to be existing or create", value)
	}
	return options, nil
}

// broken answers every event with the same error.
type broken struct{ err error }

func (b broken) Invoke(context.Context, []byte) ([]byte, error) { return nil, b.err }

// Invoke answers one event. What no repetition can change comes back as an answer with
// errors; what may succeed later is an error of a type whose name is stable.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
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
	request, err := h.request(e)
	if err != nil {
		return nil, err
	}
	if e.Event.Type == event.Check {
		return h.ledger.Check(ctx, request)
	}
	return h.ledger.Escalate(ctx, request)
}

// end is what a deescalate asks for. Nothing but its run is needed: whatever else is wrong with
// the event keeps nobody's access.
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
	if named, ok := errors.AsType[ledger.SweepIncomplete](err); ok {
		return named
	}
	if named, ok := errors.AsType[ledger.GrantsRemain](err); ok {
		return named
	}
	return InternalError{err.Error()}
}
