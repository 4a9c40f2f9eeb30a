// Package api is the Runtime's HTTP API: API Gateway's HTTP API with IAM authorisation, in
// payload format 2.0. It knows routes, JSON and status codes; what may be done stands in the
// package request.
package api

import (
	"bytes"
	"context"
	"encoding/json"
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
	bodyTooLarge     request.Code = "body_too_large"
	routeNotFound    request.Code = "route_not_found"
	methodNotAllowed request.Code = "method_not_allowed"
	internalError    request.Code = "internal"
)

// statuses are the HTTP statuses of the codes; what is not among them is 400.
var statuses = map[request.Code]int{
	identity.UnknownCaller:     http.StatusForbidden,
	request.NotAnApprover:      http.StatusForbidden,
	request.SelfApproval:       http.StatusForbidden,
	request.NotAllowedToRevoke: http.StatusForbidden,
	request.NotFound:           http.StatusNotFound,
	routeNotFound:              http.StatusNotFound,
	methodNotAllowed:           http.StatusMethodNotAllowed,
	request.AlreadyDecided:     http.StatusConflict,
	request.NotActive:          http.StatusConflict,
	request.WorkflowEnded:      http.StatusConflict,
	bodyTooLarge:               http.StatusRequestEntityTooLarge,
	internalError:              http.StatusInternalServerError,
	identity.NotChecked:        http.StatusServiceUnavailable,
	request.WorkflowNotReached: http.StatusBadGateway,
	request.WorkflowNotStarted: http.StatusBadGateway,
}

// Callers tells who has signed a call.
type Callers interface {
	Person(context.Context, identity.Caller) (email string, err error)
}

// API answers calls.
type API struct {
	Service *request.Service
	Callers Callers
	Log     *slog.Logger
}

// call is one call by a person.
type call struct {
	person string
	id     string // of a request, where the path has one
	query  map[string]string
	event  events.APIGatewayV2HTTPRequest
}

// answer is a status and what is sent with it as JSON.
type answer struct {
	status int
	body   any
}

type handler func(*API, context.Context, call) (answer, error)

// routes has the handlers by path and method; {id} stands for one part of a path.
var routes = map[string]map[string]handler{
	"/flows":                 {http.MethodGet: (*API).flows},
	"/requests":              {http.MethodGet: (*API).list, http.MethodPost: (*API).submit},
	"/requests/{id}":         {http.MethodGet: (*API).show},
	"/requests/{id}/approve": {http.MethodPost: decision((*request.Service).Approve)},
	"/requests/{id}/deny":    {http.MethodPost: decision((*request.Service).Deny)},
	"/requests/{id}/revoke":  {http.MethodPost: decision((*request.Service).Revoke)},
}

// Handle answers a call. It never fails: what goes wrong is an answer too.
func (a *API) Handle(
	ctx context.Context, event events.APIGatewayV2HTTPRequest,
) events.APIGatewayV2HTTPResponse {
	response, err := a.handle(ctx, event)
	if err != nil {
		response = a.failure(ctx, event, err)
	}
	return encode(response)
}

func (a *API) handle(
	ctx context.Context, event events.APIGatewayV2HTTPRequest,
) (answer, error) {
	handle, id, err := route(event)
	if err != nil {
		return answer{}, err
	}
	person, err := a.Callers.Person(ctx, callerOf(event))
	if err != nil {
		return answer{}, err
	}
	return handle(a, ctx, call{
		person: person, id: id, query: event.QueryStringParameters, event: event,
	})
}

// route finds the handler of a call, and the id in its path.
func route(event events.APIGatewayV2HTTPRequest) (handle handler, id string, err error) {
	path := event.RawPath
	// The path begins with the stage's name, unless it is the default one.
	if stage := event.RequestContext.Stage; stage != "" && stage != "$default" {
		path = strings.TrimPrefix(path, "/"+stage)
	}
	pattern := path
	if parts := strings.Split(path, "/"); len(parts) > 2 && parts[1] == "requests" {
		id, parts[2] = parts[2], "{id}"
		pattern = strings.Join(parts, "/")
	}
	methods, found := routes[pattern]
	if !found || strings.HasPrefix(pattern, "/requests/") && id == "" {
		return nil, "", refuse(routeNotFound, "There is nothing at %.100q. The API has /flows, "+
			"/requests, /requests/{id} and /requests/{id}/approve, deny and revoke.", path)
	}
	method := event.RequestContext.HTTP.Method
	handle, found = methods[method]
	if !found {
		allowed := http.MethodGet
		if _, ok := methods[http.MethodPost]; ok {
			allowed = http.MethodPost
		}
		if len(methods) > 1 {
			allowed = "GET and POST"
		}
		return nil, "", refuse(methodNotAllowed, "The method %.20q is not possible at %.100q. "+
			"Use %s.", method, path, allowed)
	}
	return handle, id, nil
}

// callerOf is the principal whose signature API Gateway has checked.
func callerOf(event events.APIGatewayV2HTTPRequest) identity.Caller {
	authorizer := event.RequestContext.Authorizer
	if authorizer == nil || authorizer.IAM == nil {
		return identity.Caller{}
	}
	return identity.Caller{ARN: authorizer.IAM.UserARN, ID: authorizer.IAM.UserID}
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
			"again, tell whoever maintains it that it was the call %s.",
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
	return answer{status, map[string]any{"error": map[string]string{
		"code": string(refusal.Code), "message": refusal.Message,
	}}}
}

func encode(a answer) events.APIGatewayV2HTTPResponse {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(a.body) // views and errors always encode
	return events.APIGatewayV2HTTPResponse{
		StatusCode: a.status,
		Headers: map[string]string{
			"Content-Type":  "application/json; charset=utf-8",
			"Cache-Control": "no-store",
		},
		Body: body.String(),
	}
}

func refuse(code request.Code, format string, args ...any) error {
	return &request.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
