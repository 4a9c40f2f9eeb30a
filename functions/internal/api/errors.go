package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
)

// The codes of errors that lie in the call itself.
const (
	invalidJSON      request.Code = "invalid_json"
	invalidField     request.Code = "invalid_field"
	unknownField     request.Code = "unknown_field"
	invalidParameter request.Code = "invalid_parameter"
	unknownParameter request.Code = "unknown_parameter"
	bodyTooLarge     request.Code = "body_too_large"
	notJSON          request.Code = "unsupported_media_type"
	routeNotFound    request.Code = "route_not_found"
	methodNotAllowed request.Code = "method_not_allowed"
	internalError    request.Code = "internal"
)

// statuses are the HTTP statuses of all codes. docs/openapi.yaml has the same ones.
var statuses = map[request.Code]int{
	invalidJSON:             http.StatusBadRequest,
	invalidField:            http.StatusBadRequest,
	unknownField:            http.StatusBadRequest,
	invalidParameter:        http.StatusBadRequest,
	unknownParameter:        http.StatusBadRequest,
	request.MissingField:    http.StatusBadRequest,
	request.UnknownFlow:     http.StatusBadRequest,
	request.UnknownTarget:   http.StatusBadRequest,
	request.MissingReason:   http.StatusBadRequest,
	request.InvalidReason:   http.StatusBadRequest,
	request.InvalidDuration: http.StatusBadRequest,
	request.DurationTooLong: http.StatusBadRequest,
	request.InvalidKey:      http.StatusBadRequest,
	request.InvalidState:    http.StatusBadRequest,
	request.InvalidLimit:    http.StatusBadRequest,
	request.InvalidNext:     http.StatusBadRequest,
	request.InvalidTime:     http.StatusBadRequest,

	identity.UnknownCaller:       http.StatusForbidden,
	request.NotAnApprover:        http.StatusForbidden,
	request.SelfApproval:         http.StatusForbidden,
	request.NotAllowedToRevoke:   http.StatusForbidden,
	request.NotARequester:        http.StatusForbidden,
	request.NotYours:             http.StatusForbidden,
	request.BreakGlassNotAllowed: http.StatusForbidden,
	request.DeniedByRule:         http.StatusForbidden,

	request.NotFound: http.StatusNotFound,
	routeNotFound:    http.StatusNotFound,

	methodNotAllowed: http.StatusMethodNotAllowed,

	request.AlreadyDecided:   http.StatusConflict,
	request.NotActive:        http.StatusConflict,
	request.RevokedMeanwhile: http.StatusConflict,
	request.NothingToReview:  http.StatusConflict,
	request.KeyReused:        http.StatusConflict,
	request.WorkflowEnded:    http.StatusConflict,

	bodyTooLarge: http.StatusRequestEntityTooLarge,

	notJSON: http.StatusUnsupportedMediaType,

	request.CannotBeGranted:  http.StatusUnprocessableEntity,
	request.NobodyCanApprove: http.StatusUnprocessableEntity,

	internalError: http.StatusInternalServerError,

	request.WorkflowNotReached: http.StatusBadGateway,
	request.WorkflowNotStarted: http.StatusBadGateway,

	identity.NotChecked:       http.StatusServiceUnavailable,
	request.FlowMisconfigured: http.StatusServiceUnavailable,
}

// failure is the answer to what could not be done. A refusal says why; anything else stays
// inside, in the log.
func (a *API) failure(
	ctx context.Context, event events.APIGatewayV2HTTPRequest, err error,
) answer {
	var refusal *request.Error
	if !errors.As(err, &refusal) {
		refusal = &request.Error{Code: internalError, Message: fmt.Sprintf("Something failed "+
			"inside the Runtime. Look at whether your call took effect and try again; if it fails "+
			"again, give the maintainer this call ID: %s.",
			event.RequestContext.RequestID)}
		a.Log.ErrorContext(ctx, "call failed", "call", event.RequestContext.RequestID,
			"method", event.RequestContext.HTTP.Method, "path", event.RawPath, "error", err)
	}
	status, known := statuses[refusal.Code]
	if !known {
		status = http.StatusBadRequest
	}
	if refusal.Code != internalError {
		level := slog.LevelInfo
		if status >= http.StatusInternalServerError {
			level = slog.LevelError // the alarm on 5xx sends somebody here
		}
		a.Log.Log(ctx, level, "call refused", "call", event.RequestContext.RequestID,
			"method", event.RequestContext.HTTP.Method, "path", event.RawPath,
			"caller", callerOf(event).ARN, "code", refusal.Code, "cause", errors.Unwrap(refusal))
	}
	refused := answer{status: status, body: map[string]any{"error": map[string]string{
		"code": string(refusal.Code), "message": refusal.Message,
	}}}
	if wrong, ok := errors.AsType[*wrongMethod](err); ok {
		refused.allow = strings.Join(wrong.allowed, ", ")
	}
	return refused
}

func refuse(code request.Code, format string, args ...any) error {
	return &request.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
