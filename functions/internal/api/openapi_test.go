package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"sym-postgres-quickstart/functions/internal/api"
)

const documentPath = "../../../docs/openapi.yaml"

// document is docs/openapi.yaml, with a router over it.
type document struct {
	*openapi3.T
	routers.Router
}

// theDocument reads the document once for all tests.
var theDocument = sync.OnceValues(func() (document, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(documentPath)
	if err != nil {
		return document{}, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return document{}, err
	}
	doc.Servers = nil // calls in tests have no host
	router, err := legacy.NewRouter(doc)
	return document{doc, router}, err
})

// conforms checks that a call and its answer are as the document says. What was refused may
// have been wrong in any way.
func conforms(
	t *testing.T, event events.APIGatewayV2HTTPRequest, answer events.APIGatewayV2HTTPResponse,
) {
	t.Helper()
	doc, err := theDocument()
	require.NoError(t, err)
	r := requestOf(t, event)
	route, parameters, err := doc.FindRoute(r)
	if err != nil || strings.Contains(answer.Body, "route_not_found") {
		name := map[int]string{404: "NotFound", 405: "MethodNotAllowed"}[answer.StatusCode]
		require.NotEmpty(t, name, "the document has no %s %s", r.Method, r.URL.Path)
		route = &routers.Route{Spec: doc.T, Operation: &openapi3.Operation{
			Responses: openapi3.NewResponses(openapi3.WithStatus(answer.StatusCode,
				doc.Components.Responses[name])),
		}}
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
		},
	}
	if answer.StatusCode/100 == 2 {
		assert.NoError(t, openapi3filter.ValidateRequest(t.Context(), input))
	}
	assert.NoError(t, openapi3filter.ValidateResponse(t.Context(),
		&openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: answer.StatusCode,
			Header:  headers(answer),
			Body:    io.NopCloser(strings.NewReader(answer.Body)),
			Options: input.Options,
		}))
}

func headers(answer events.APIGatewayV2HTTPResponse) http.Header {
	all := http.Header{}
	for name, value := range answer.Headers {
		all.Set(name, value)
	}
	return all
}

// requestOf is the HTTP request that API Gateway made an event of.
func requestOf(t *testing.T, event events.APIGatewayV2HTTPRequest) *http.Request {
	t.Helper()
	query := url.Values{}
	for name, value := range event.QueryStringParameters {
		query.Set(name, value)
	}
	address := url.URL{Path: event.RawPath, RawQuery: query.Encode()}
	if event.RequestContext.Stage != "$default" {
		address.Path = strings.TrimPrefix(address.Path, "/"+event.RequestContext.Stage)
	}
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		body, _ = base64.StdEncoding.DecodeString(event.Body) // what is garbled is refused
	}
	r, err := http.NewRequest(event.RequestContext.HTTP.Method, address.String(),
		bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range event.Headers {
		r.Header.Set(name, value)
	}
	if event.Body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// slackRoutes are in the document, and another package's.
var slackRoutes = map[string][]string{
	"/slack/commands":     {http.MethodPost},
	"/slack/interactions": {http.MethodPost},
}

// TestDocumentedRoutes holds the document against the routes, in both directions.
func TestDocumentedRoutes(t *testing.T) {
	doc, err := theDocument()
	require.NoError(t, err)
	documented := map[string][]string{}
	for path, item := range doc.Paths.Map() {
		documented[path] = slices.Sorted(maps.Keys(item.Operations()))
	}
	there := api.Routes()
	maps.Copy(there, slackRoutes)
	for path := range there {
		slices.Sort(there[path])
	}
	assert.Equal(t, there, documented)
}

// TestDeployedRoutes holds the document against the routes that Terraform gives API Gateway.
func TestDeployedRoutes(t *testing.T) {
	deployed := []string{}
	find := func(file, pattern, method string) {
		t.Helper()
		source, err := os.ReadFile("../../../modules/sym-runtime/" + file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(pattern).
			FindAllStringSubmatch(string(source), -1) {
			deployed = append(deployed, method+match[1])
		}
	}
	find("api.tf", `"((?:GET|POST) /[^"]*)"`, "")
	find("slack.tf", `"(/slack/[^"]*)"`, "POST ") // in a list of paths
	doc, err := theDocument()
	require.NoError(t, err)
	documented := []string{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	assert.ElementsMatch(t, documented, deployed)
}

// TestOtherMethods tries every method at every path: what the path does not have is answered with
// 405 and the methods that it has, and the document says so.
func TestOtherMethods(t *testing.T) {
	doc, err := theDocument()
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		if slackRoutes[path] != nil {
			continue
		}
		has := slices.Sorted(maps.Keys(item.Operations()))
		for _, operation := range item.Operations() {
			assert.NotNil(t, operation.Responses.Value("405"), "%s lists it", path)
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if slices.Contains(has, method) {
				continue
			}
			d := newDesk(t)
			event := as("alice", method, strings.ReplaceAll(path, "{id}", "x"), "")
			answer := d.Handle(t.Context(), event)
			assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, "%s %s", method, path)
			assert.Equal(t, strings.Join(has, ", "), answer.Headers["Allow"], "%s %s", method, path)
			conforms(t, event, answer)
		}
	}
}

// TestDocumentedCodes holds the document against the codes of errors, in both directions: each
// has one status in Go, and the response of that status lists it.
func TestDocumentedCodes(t *testing.T) {
	statusOf := map[string]int{
		"BadRequest": 400, "Forbidden": 403, "NotFound": 404, "MethodNotAllowed": 405,
		"Conflict": 409, "TooLarge": 413, "NotJSON": 415, "CannotBeGranted": 422, "TooMany": 429,
		"Internal": 500, "WorkflowTrouble": 502, "Unavailable": 503,
	}
	data, err := os.ReadFile(documentPath)
	require.NoError(t, err)
	var raw struct {
		Components struct{ Responses map[string]any }
	}
	require.NoError(t, yaml.Unmarshal(data, &raw))
	documented := map[string]int{}
	for name, response := range raw.Components.Responses {
		status, known := statusOf[name]
		require.True(t, known, "the response %s", name)
		for _, code := range enums(response) {
			assert.NotContains(t, documented, code, "a code in two responses")
			documented[code] = status
		}
	}

	inGo := map[string]int{}
	for code, status := range api.Statuses() {
		inGo[string(code)] = status
	}
	assert.Equal(t, inGo, documented)
	assert.ElementsMatch(t, declaredCodes(t), slices.Collect(maps.Keys(inGo)),
		"every code has a status")

	// An operation refers to the responses by their own status.
	doc, err := theDocument()
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				if name, found := strings.CutPrefix(response.Ref, "#/components/responses/"); found {
					assert.Equal(t, strconv.Itoa(statusOf[name]), status, "%s %s", method, path)
				}
			}
		}
	}
}

// enums are the values of every enum below a node.
func enums(node any) (all []string) {
	switch node := node.(type) {
	case map[string]any:
		for name, below := range node {
			if name == "enum" {
				for _, value := range below.([]any) {
					all = append(all, value.(string))
				}
				continue
			}
			all = append(all, enums(below)...)
		}
	case []any:
		for _, below := range node {
			all = append(all, enums(below)...)
		}
	}
	return all
}

// declaredCodes reads every constant of the type request.Code from the source.
func declaredCodes(t *testing.T) (codes []string) {
	t.Helper()
	for _, dir := range []string{".", "../request", "../identity"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(node ast.Node) bool {
				spec, ok := node.(*ast.ValueSpec)
				if !ok || !isCode(spec.Type) {
					return true
				}
				for _, value := range spec.Values {
					code, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					require.NoError(t, err)
					codes = append(codes, code)
				}
				return true
			})
		}
	}
	require.NotEmpty(t, codes)
	return codes
}

func isCode(typ ast.Expr) bool {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name == "Code"
	case *ast.SelectorExpr:
		return typ.Sel.Name == "Code"
	}
	return false
}

// TestDocumentedInputs sends every operation something that it does not know. The refusal lists
// what it does know, and so does the document.
func TestDocumentedInputs(t *testing.T) {
	doc, err := theDocument()
	require.NoError(t, err)
	list := regexp.MustCompile(`The (?:fields|parameters) are ([a-z_, ]+)\.`)
	known := func(body string) []string {
		match := list.FindStringSubmatch(body)
		if match == nil {
			return []string{}
		}
		names := strings.Split(match[1], ", ")
		slices.Sort(names)
		return names
	}
	for path, item := range doc.Paths.Map() {
		if slackRoutes[path] != nil {
			continue
		}
		for method, operation := range item.Operations() {
			t.Run(fmt.Sprintf("%s %s", method, path), func(t *testing.T) {
				d := newDesk(t)
				event := as("alice", method, strings.ReplaceAll(path, "{id}", "x"), `{}`)
				event.QueryStringParameters = map[string]string{"surprise": "1"}
				status, body := d.call(t, event)
				require.Equal(t, http.StatusBadRequest, status, body)
				assert.Contains(t, body, "unknown_parameter")
				var parameters = []string{}
				for _, p := range operation.Parameters {
					if p.Value.In == "query" {
						parameters = append(parameters, p.Value.Name)
					}
				}
				slices.Sort(parameters)
				assert.Equal(t, parameters, known(body))

				if operation.RequestBody == nil {
					return
				}
				event.QueryStringParameters, event.Body = nil, `{"surprise":1}`
				status, body = d.call(t, event)
				require.Equal(t, http.StatusBadRequest, status, body)
				assert.Contains(t, body, "unknown_field")
				content := operation.RequestBody.Value.Content.Get("application/json")
				assert.Equal(t, slices.Sorted(maps.Keys(content.Schema.Value.Properties)),
					known(body))
			})
		}
	}
}

// TestConforms checks that what the document does not say is noticed.
func TestConforms(t *testing.T) {
	doc, err := theDocument()
	require.NoError(t, err)
	event := as("alice", "GET", "/flows", "")
	route, _, err := doc.FindRoute(requestOf(t, event))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		status int
		body   string
		ok     bool
	}{
		"as it is":            {200, `{"flows":[]}`, true},
		"a member too many":   {200, `{"flows":[],"more":1}`, false},
		"a member is missing": {200, `{}`, false},
		"an unknown status":   {418, `{}`, false},
		"an error":            {403, `{"error":{"code":"unknown_caller","message":"No."}}`, true},
		"API Gateway's":       {403, `{"message":"Forbidden"}`, true},
		"an unknown code":     {403, `{"error":{"code":"no","message":"No."}}`, false},
		"a code of another status": {403, `{"error":{"code":"not_found","message":"No."}}`,
			false},
	} {
		t.Run(name, func(t *testing.T) {
			options := &openapi3filter.Options{IncludeResponseStatus: true}
			err := openapi3filter.ValidateResponse(t.Context(),
				&openapi3filter.ResponseValidationInput{
					RequestValidationInput: &openapi3filter.RequestValidationInput{
						Request: requestOf(t, event), Route: route, Options: options,
					},
					Status: test.status, Options: options,
					Header: http.Header{"Content-Type": {"application/json"}},
					Body:   io.NopCloser(strings.NewReader(test.body)),
				})
			assert.Equal(t, test.ok, err == nil, "%v", err)
		})
	}
}
