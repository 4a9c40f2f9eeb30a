package front

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
)

// maxAPIBody is the largest body an HTTP API takes.
// See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html.
const maxAPIBody = 10 << 20

// apis serves each HTTP API that Terraform creates at an address of its own.
type apis struct {
	front   *Front
	mu      sync.Mutex
	running map[string]*api
}

// api is one HTTP API.
type api struct {
	apis    *apis
	id      string
	account string
	server  *http.Server
	url     string
}

var apiPath = regexp.MustCompile(`^/v2/apis(?:/([^/]+))?$`)

func newAPIs(f *Front) *apis { return &apis{front: f, running: map[string]*api{}} }

// serveControl answers API Gateway's own API: moto keeps the state, and the
// endpoint in its answers is one that is there.
func (a *apis) serveControl(w http.ResponseWriter, r *http.Request, c call) {
	match := apiPath.FindStringSubmatch(r.URL.Path)
	if match == nil {
		if a.refuseStage(w, r, c) {
			return
		}
		a.front.forward(w, r, c)
		return
	}
	answer, err := a.front.forwardAndRead(r, c)
	if err != nil {
		c.fail(w, http.StatusBadGateway, "ServiceUnavailable", err.Error())
		return
	}
	if r.Method == http.MethodDelete && answer.ok() {
		a.stop(match[1])
	}
	var one map[string]any
	if answer.ok() && json.Unmarshal(answer.body, &one) == nil {
		if id, ok := one["apiId"].(string); ok {
			if one["apiEndpoint"], err = a.start(id, c.caller.Account); err != nil {
				c.fail(w, http.StatusInternalServerError, "InternalFailure", err.Error())
				return
			}
			answer.body, _ = json.Marshal(one)
		}
	}
	answer.send(w)
}

// start serves an API, unless it is served already, and answers its address.
func (a *apis) start(id, account string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if running, ok := a.running[id]; ok {
		return running.url, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	one := &api{apis: a, id: id, account: account, url: "http://" + listener.Addr().String()}
	one.server = &http.Server{Handler: one, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = one.server.Serve(listener) }()
	a.running[id] = one
	return one.url, nil
}

func (a *apis) stop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one, ok := a.running[id]; ok {
		_ = one.server.Close()
		delete(a.running, id)
	}
}

func (a *apis) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, one := range a.running {
		_ = one.server.Close()
		delete(a.running, id)
	}
}

// route is what the API knows of one of its routes.
type route struct {
	RouteKey          string `json:"routeKey"`
	AuthorizationType string `json:"authorizationType"`
	Target            string `json:"target"`
	parameters        map[string]string
}

// ServeHTTP answers one call to the API as API Gateway would: it finds the
// route, authorises the caller, invokes the function and sends its answer.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAPIBody))
	if err != nil {
		apiMessage(w, http.StatusRequestEntityTooLarge, "Request Too Long")
		return
	}
	ctx := r.Context()
	found, err := a.route(ctx, r)
	if err != nil {
		a.apis.front.Log.Warn("api", "path", r.URL.Path, "error", err)
		apiMessage(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	if found == nil {
		apiMessage(w, http.StatusNotFound, "Not Found")
		return
	}
	request := a.request(r, body, *found)
	if found.AuthorizationType == "AWS_IAM" {
		signed, caller, err := a.apis.front.authenticate(r, body)
		// An HTTP API has no resource policy that could let another account in.
		if err != nil || signed.service != "execute-api" || caller.Account != a.account {
			apiMessage(w, http.StatusForbidden, "Forbidden")
			return
		}
		request.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{
				AccessKey: signed.accessKeyID, AccountID: caller.Account, CallerID: caller.UserID,
				UserARN: caller.ARN, UserID: caller.UserID,
			},
		}
	}
	answer, err := a.invoke(ctx, found.Target, request)
	if err != nil {
		a.apis.front.Log.Warn("api", "route", found.RouteKey, "error", err)
		apiMessage(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.WriteString(w, answer.Body)
}

// route finds the route that a request matches; nil if there is none. A route
// without a parameter goes before one with, and $default is for what is left.
func (a *api) route(ctx context.Context, r *http.Request) (*route, error) {
	var answer struct {
		Items []route `json:"items"`
	}
	err := a.apis.front.askJSON(ctx, a.account, "apigateway", http.MethodGet,
		"/v2/apis/"+a.id+"/routes", "", nil, &answer)
	if err != nil {
		return nil, err
	}
	var found, fallback *route
	for _, candidate := range answer.Items {
		if candidate.RouteKey == "$default" {
			fallback = &candidate
			continue
		}
		method, pattern, _ := strings.Cut(candidate.RouteKey, " ")
		if method != "ANY" && method != r.Method {
			continue
		}
		parameters, ok := matchPath(pattern, r.URL.Path)
		if ok && (found == nil || len(parameters) < len(found.parameters)) {
			candidate.parameters = parameters
			found = &candidate
		}
	}
	if found == nil {
		return fallback, nil
	}
	return found, nil
}

func matchPath(pattern, path string) (map[string]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	parameters := map[string]string{}
	for i, segment := range want {
		if name, ok := strings.CutPrefix(segment, "{"); ok && have[i] != "" {
			parameters[strings.TrimSuffix(name, "}")] = have[i]
		} else if segment != have[i] {
			return nil, false
		}
	}
	return parameters, true
}

// request is the event that API Gateway makes of a request, in payload format
// 2.0.
func (a *api) request(r *http.Request, body []byte, matched route) events.APIGatewayV2HTTPRequest {
	now := time.Now().UTC()
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	query := map[string]string{}
	for name, values := range r.URL.Query() {
		query[name] = strings.Join(values, ",")
	}
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	request := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: matched.RouteKey, RawPath: r.URL.Path,
		RawQueryString: r.URL.RawQuery, Headers: headers, QueryStringParameters: query,
		PathParameters: maps.Clone(matched.parameters), Body: string(body),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: matched.RouteKey, AccountID: a.account, Stage: "$default",
			RequestID: uuid.NewString(), APIID: a.id, DomainName: r.Host,
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto,
				SourceIP: source, UserAgent: r.UserAgent(),
			},
		},
	}
	if !utf8.Valid(body) {
		request.Body, request.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return request
}

func (a *api) invoke(ctx context.Context, target string, request events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	var answer events.APIGatewayV2HTTPResponse
	var integration struct {
		IntegrationURI string `json:"integrationUri"`
	}
	err := a.apis.front.askJSON(ctx, a.account, "apigateway", http.MethodGet,
		"/v2/apis/"+a.id+"/"+target, "", nil, &integration)
	if err != nil {
		return answer, err
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	caller := Identity{Account: a.account, Service: "apigateway.amazonaws.com",
		ARN: fmt.Sprintf("arn:aws:execute-api:%s:%s:%s", Region, a.account, a.id)}
	result, err := a.apis.front.invoke(ctx, caller, functionARN(integration.IntegrationURI), payload)
	if err != nil {
		return answer, err
	}
	if result.Error != "" {
		return answer, fmt.Errorf("the function failed: %.300s", result.Payload)
	}
	if err := json.Unmarshal(result.Payload, &answer); err != nil {
		return answer, err
	}
	if answer.IsBase64Encoded {
		data, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil {
			return answer, err
		}
		answer.Body = string(data)
	}
	return answer, nil
}

// functionARN takes the function's ARN out of an invoke ARN
// ("…:lambda:path/2015-03-31/functions/<arn>/invocations").
func functionARN(uri string) string {
	if _, rest, ok := strings.Cut(uri, "/functions/"); ok {
		return strings.TrimSuffix(rest, "/invocations")
	}
	return uri
}

func apiMessage(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}
