// Package api is the Runtime's HTTP API: API Gateway's HTTP API with IAM authorisation, in
// payload format 2.0. It knows routes, JSON and status codes; what may be done stands in the
// package request. For its callers it is described in docs/openapi.yaml.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
)

// Callers tells which person signed a call, and with which account.
type Callers interface {
	Person(context.Context, identity.Caller) (email string, err error)
	Account(identity.Caller) string
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
	allow  string // the header Allow; empty for none
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
	found, id, err := route(event)
	if err != nil {
		return answer{}, err
	}
	caller := callerOf(event)
	person, err := a.Callers.Person(ctx, caller)
	if err != nil {
		return answer{}, err
	}
	ctx = request.WithAccount(ctx, a.Callers.Account(caller))
	if err := checkQuery(event, found.query); err != nil {
		return answer{}, err
	}
	return found.handle(a, ctx, call{
		person: person, id: id, query: event.QueryStringParameters, event: event,
	})
}

// callerOf is the principal whose signature API Gateway has checked.
func callerOf(event events.APIGatewayV2HTTPRequest) identity.Caller {
	authorizer := event.RequestContext.Authorizer
	if authorizer == nil || authorizer.IAM == nil {
		return identity.Caller{}
	}
	return identity.Caller{ARN: authorizer.IAM.UserARN, ID: authorizer.IAM.UserID}
}

func encode(a answer) events.APIGatewayV2HTTPResponse {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(a.body) // views and errors always encode
	response := events.APIGatewayV2HTTPResponse{
		StatusCode: a.status,
		Headers: map[string]string{
			"Content-Type":  "application/json; charset=utf-8",
			"Cache-Control": "no-store",
		},
		Body: body.String(),
	}
	if a.allow != "" {
		response.Headers["Allow"] = a.allow
	}
	return response
}
