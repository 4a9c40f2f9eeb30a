package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/request"
)

type handler func(*API, context.Context, call) (answer, error)

// endpoint is what one method of one path does.
type endpoint struct {
	handle handler
	query  []string // the names of the query parameters that it takes
}

// routes has the endpoints by path and method; {id} stands for one part of a path.
// docs/openapi.yaml describes the same ones.
var routes = map[string]map[string]endpoint{
	"/flows": {http.MethodGet: {handle: (*API).flows}},
	"/me":    {http.MethodGet: {handle: (*API).me}},
	"/requests": {
		http.MethodGet:  {handle: (*API).list, query: listParameters},
		http.MethodPost: {handle: (*API).submit},
	},
	"/requests/{id}": {http.MethodGet: {handle: (*API).show}},
	"/requests/{id}/approve": {
		http.MethodPost: {handle: decision((*request.Service).Approve)},
	},
	"/requests/{id}/deny": {
		http.MethodPost: {handle: decision((*request.Service).Deny)},
	},
	"/requests/{id}/revoke": {
		http.MethodPost: {handle: decision((*request.Service).Revoke)},
	},
	"/requests/{id}/extend": {http.MethodPost: {handle: (*API).extend}},
	"/requests/{id}/review": {
		http.MethodPost: {handle: decision((*request.Service).Review)},
	},
}

// route finds the endpoint of a call, and the id in its path.
func route(event events.APIGatewayV2HTTPRequest) (found endpoint, id string, err error) {
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
	methods, known := routes[pattern]
	if !known || strings.HasPrefix(pattern, "/requests/") && id == "" {
		return endpoint{}, "", refuse(routeNotFound, "There is nothing at %.100q. The API has "+
			"/flows, /me, /requests, /requests/{id} and /requests/{id}/approve, deny, revoke, extend "+
			"and review.", path)
	}
	method := event.RequestContext.HTTP.Method
	found, known = methods[method]
	if !known {
		var allowed []string
		for name := range methods {
			allowed = append(allowed, name)
		}
		slices.Sort(allowed)
		return endpoint{}, "", request.Refuse(&wrongMethod{allowed}, methodNotAllowed,
			"The method %.20q is not possible at %.100q. Use %s.", method, path,
			strings.Join(allowed, " and "))
	}
	return found, id, nil
}

// wrongMethod says which methods a path has instead.
type wrongMethod struct{ allowed []string }

func (w *wrongMethod) Error() string { return "allowed are " + strings.Join(w.allowed, ", ") }
