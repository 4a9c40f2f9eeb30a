package request

import (
	"errors"
	"fmt"
	"strconv"
)

// Code names a reason for a refusal. Codes are stable: callers may compare them.
type Code string

// The reasons for which something that a person asked is not done.
const (
	MissingField       Code = "missing_field"
	UnknownFlow        Code = "unknown_flow"
	UnknownTarget      Code = "unknown_target"
	MissingReason      Code = "missing_reason"
	InvalidReason      Code = "invalid_reason"
	InvalidDuration    Code = "invalid_duration"
	DurationTooLong    Code = "duration_too_long"
	NotFound           Code = "not_found"
	AlreadyDecided     Code = "already_decided"
	NotActive          Code = "not_active"
	NotAnApprover      Code = "not_an_approver"
	SelfApproval       Code = "self_approval"
	NotAllowedToRevoke Code = "not_allowed_to_revoke"
	InvalidState       Code = "invalid_state"
	InvalidLimit       Code = "invalid_limit"
	InvalidNext        Code = "invalid_next"
	InvalidTime        Code = "invalid_time"

	// DeniedByRule says that a rule of the flow denies the request outright.
	DeniedByRule Code = "denied_by_rule"
	// NotARequester says that the flow's rules do not let this person ask.
	NotARequester Code = "not_a_requester"
	// BreakGlassNotAllowed says that the rules do not let this person break the glass.
	BreakGlassNotAllowed Code = "break_glass_not_allowed"
	// FlowMisconfigured says that the rules of the target cannot be used.
	FlowMisconfigured Code = "flow_misconfigured"
	// InvalidKey says that an idempotency key cannot be used.
	InvalidKey Code = "invalid_idempotency_key"
	// KeyReused says that an idempotency key came with another content before.
	KeyReused Code = "idempotency_key_reused"
	// NotYours says that only the requester may do this.
	NotYours Code = "not_your_request"
	// RevokedMeanwhile says that the access which an extension prolongs was revoked by somebody.
	RevokedMeanwhile Code = "revoked_meanwhile"
	// NothingToReview says that the request is no break-glass that waits for its review.
	NothingToReview Code = "nothing_to_review"

	// CannotBeGranted says that the target's function would refuse the grant. The message comes
	// from the function.
	CannotBeGranted Code = "cannot_be_granted"

	// NobodyCanApprove says that too few people could approve the request.
	NobodyCanApprove Code = "nobody_can_approve"

	// WorkflowNotStarted says that a request failed at its very beginning.
	WorkflowNotStarted Code = "workflow_not_started"
	// WorkflowNotReached says that a decision stands and that the workflow will see it later.
	WorkflowNotReached Code = "workflow_not_reached"
	// WorkflowEnded says that a decision stands and that no workflow is left to act on it.
	WorkflowEnded Code = "workflow_ended"
)

// Error is a refusal with a code for machines and a sentence for people. The inside of a
// failure is never in its message; it is what the error unwraps to.
type Error struct {
	Code    Code
	Message string
	cause   error
}

// Error is the sentence for people.
func (e *Error) Error() string { return e.Message }

// Unwrap is the failure behind, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// The outcomes that adapters report and that the domain decides about.
var (
	// ErrConflict says that somebody else has changed the request first.
	ErrConflict = errors.New("the request has changed in between")

	// ErrNotFound says that there is no such request.
	ErrNotFound = errors.New("there is no such request")

	// ErrNotWaiting says that no workflow waits for the answer that a token stands for.
	ErrNotWaiting = errors.New("no workflow waits for this answer")

	// ErrWorkflowEnded says that the request's workflow has come to its end, or was stopped.
	ErrWorkflowEnded = errors.New("the workflow of this request has ended")
)

// Refuse makes an [Error], with its message formatted like [fmt.Sprintf]'s and a cause that
// stays inside, or nil.
func Refuse(cause error, code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

func fail(code Code, format string, args ...any) error {
	return Refuse(nil, code, format, args...)
}

func failBecause(cause error, code Code, format string, args ...any) error {
	return Refuse(cause, code, format, args...)
}

// quote shows what a person wrote, short enough for a message.
func quote(s string) string {
	const most = 64
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
