package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/workflow"
)

var environment = map[string]string{
	"SYM_ORG_SLUG":              "acme",
	"SYM_REQUEST_TABLE":         "requests",
	"SYM_RUNTIME_CONNECTOR_ARN": "arn:aws:iam::111122223333:role/sym/SymRuntimeMain",
	"SYM_EXTERNAL_ID":           "11111111-2222-4333-8444-555555555555",
	"SYM_FLOWS_PATH":            "/sym/main/flows",
	"SYM_CALLERS":               `{}`,
	"SYM_AUDIT_LOG_GROUP":       "/sym/main/audit",
	"SYM_ERROR_TOPIC_ARN":       "arn:aws:sns:us-east-1:111122223333:sym-main-errors",
	"SYM_SHARED_SECRET_ARN":     "arn:aws:secretsmanager:us-east-1:111122223333:secret:sym-main",
}

func getenv(without string) func(string) string {
	return func(name string) string {
		if name == without {
			return ""
		}
		return environment[name]
	}
}

// TestInvoke checks which payload goes where.
func TestInvoke(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	r, err := build(t.Context(), getenv(""))
	require.NoError(t, err)

	answer, err := r.invoke(t.Context(), json.RawMessage(
		`{"rawPath":"/flows","requestContext":{"http":{"method":"GET"}}}`))
	require.NoError(t, err)
	response, ok := answer.(events.APIGatewayV2HTTPResponse)
	require.True(t, ok, "%T", answer)
	assert.Equal(t, 403, response.StatusCode, "nobody has signed it")

	for name, payload := range map[string]string{
		"an unknown step": `{"step":"dance","request_id":"x"}`,
		"nothing":         `{}`,
		"null":            `null`,
		"a list":          `[]`,
		"a string":        `"escalate"`,
		"an event":        `{"type":"event","event":{"type":"escalate"}}`,
		"a step that is none, in what was a body":        `{"body":"{\"step\":\"escalate\"}"}`,
		"an HTTP context of the older format of payload": `{"requestContext":{"httpMethod":"GET"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.invoke(t.Context(), json.RawMessage(payload))
			assert.IsType(t, &workflow.UnknownInvocation{}, err)
		})
	}
}

// TestSlackRoutes checks that Slack's calls do not come to the API, nor anybody else's to Slack.
func TestSlackRoutes(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // nobody's
	code := func(r *runtime, route, path string) string {
		t.Helper()
		answer, err := r.invoke(t.Context(), fmt.Appendf(nil,
			`{"routeKey":%q,"rawPath":%q,"requestContext":{"http":{"method":"POST"}}}`, route, path))
		require.NoError(t, err)
		var body struct{ Error struct{ Code string } }
		require.NoError(t, json.Unmarshal(
			[]byte(answer.(events.APIGatewayV2HTTPResponse).Body), &body))
		return body.Error.Code
	}
	without, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	assert.Equal(t, "slack_is_off", code(without, "POST /slack/commands", "/slack/commands"))
	assert.Nil(t, without.steps.Chat)

	environment["SYM_SLACK_WORKSPACE_ID"] = "T0123456789"
	defer delete(environment, "SYM_SLACK_WORKSPACE_ID")
	with, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	assert.NotNil(t, with.steps.Chat)
	assert.NotEqual(t, "slack_is_off", code(with, "POST /slack/commands", "/slack/commands"))
	assert.Equal(t, "route_not_found", code(with, "$default", "/slack/commands"))
}

// TestSinks checks that whatever a record is to be delivered to is there to take it.
func TestSinks(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	environment["SYM_SLACK_WORKSPACE_ID"], environment["SYM_AUDIT_BUCKET"] = "T0123456789", "audit"
	defer delete(environment, "SYM_SLACK_WORKSPACE_ID")
	defer delete(environment, "SYM_AUDIT_BUCKET")
	s, err := readSettings(getenv(""))
	require.NoError(t, err)
	r, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	var names []string
	for _, sink := range r.steps.Courier.(*delivery.Courier).Sinks {
		names = append(names, sink.Name())
	}
	assert.ElementsMatch(t, s.sinks(), names)
	assert.Len(t, names, 4)
}

// TestCheckAlias checks that who may ask about rules may do nothing else.
func TestCheckAlias(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	r, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{
		InvokedFunctionArn: "arn:aws:lambda:us-east-1:111122223333:function:sym-main-runtime:check",
	})
	answer, err := r.invoke(ctx, json.RawMessage(`{"step":"check_rules","targets":{}}`))
	require.NoError(t, err)
	assert.Empty(t, *answer.(workflow.Output).Problems)
	for _, payload := range []string{
		`{"step":"escalate","request_id":"x"}`, `{"step":"reconcile"}`, `{}`,
		`{"step":"slack","slack":{"do":"approve","user":"U0BOB","id":"x"}}`,
		`{"rawPath":"/flows","requestContext":{"http":{"method":"GET"},"authorizer":{"iam":{}}}}`,
		`{"step":"check_rules","requestContext":{"http":{"method":"GET"}},"rawPath":"/flows"}`,
	} {
		_, err := r.invoke(ctx, json.RawMessage(payload))
		assert.IsType(t, &workflow.UnknownInvocation{}, err, payload)
	}
}

// TestHTTPNeverStep checks that a caller of the API cannot smuggle a step in.
func TestHTTPNeverStep(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	r, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	answer, err := r.invoke(t.Context(), json.RawMessage(`{"step":"escalate","request_id":"x",
		"rawPath":"/flows","requestContext":{"http":{"method":"GET"}}}`))
	require.NoError(t, err)
	assert.IsType(t, events.APIGatewayV2HTTPResponse{}, answer)
}

func TestSettings(t *testing.T) {
	for name := range environment {
		if name == "SYM_CALLERS" {
			continue // there may be none
		}
		_, err := readSettings(getenv(name))
		assert.ErrorContains(t, err, name)
	}
	s, err := readSettings(getenv("SYM_CALLERS"))
	require.NoError(t, err)
	assert.Equal(t, "111122223333", s.account)
}

// TestBadEntries checks that no entry of a table stops the function, that people are told of what
// was left out, and that a plan hears the same before.
func TestBadEntries(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // nobody's
	wrong := map[string]string{
		"SYM_CALLERS":            `{"arn:aws:iam::111122223333:group/x": "x@example.com", "y": 1}`,
		"SYM_SLACK_USERS":        `{"bob": "bob@example.com"}`,
		"SYM_SLACK_WORKSPACE_ID": "T0123456789",
	}
	r, err := build(t.Context(), func(name string) string {
		if value, ok := wrong[name]; ok {
			return value
		}
		return environment[name]
	})
	require.NoError(t, err)
	assert.NotNil(t, r.steps.Chat)
	problems := r.steps.Problems(t.Context())
	require.Len(t, problems, 3)
	assert.Contains(t, problems[0], "SYM_CALLERS: the table of callers lists \"arn:aws:iam::111122223333:group/x\"")
	assert.Contains(t, problems[2], "SYM_SLACK_USERS: \"bob\" is no user id")

	payload, err := json.Marshal(map[string]any{"step": "check_settings", "settings": wrong})
	require.NoError(t, err)
	answer, err := r.invoke(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{
		InvokedFunctionArn: "arn:aws:lambda:us-east-1:111122223333:function:sym-main-runtime:check",
	}), payload)
	require.NoError(t, err)
	assert.Equal(t, settingsProblems{problems}, answer)
}

// TestErrorTopic checks that the function accepts records from SNS and from no other source.
func TestErrorTopic(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	r, err := build(t.Context(), getenv(""))
	require.NoError(t, err)
	answer, err := r.invoke(t.Context(), json.RawMessage(`{"Records":[{"EventSource":"aws:sns",
		"Sns":{"TopicArn":"arn:aws:sns:us-east-1:111122223333:sym-main-errors","Message":"x"}}]}`))
	require.NoError(t, err)
	assert.Nil(t, answer)
	assert.Nil(t, r.relay.Poster, "there is no channel")
	for _, payload := range []string{
		`{"Records":[]}`, `{"Records":[{"eventSource":"aws:s3"}]}`,
	} {
		_, err := r.invoke(t.Context(), json.RawMessage(payload))
		assert.IsType(t, &workflow.UnknownInvocation{}, err, payload)
	}

	environment["SYM_SLACK_WORKSPACE_ID"], environment["SYM_ERROR_CHANNEL"] = "T0123456789", "#errors"
	defer delete(environment, "SYM_SLACK_WORKSPACE_ID")
	defer delete(environment, "SYM_ERROR_CHANNEL")
	r, err = build(t.Context(), getenv(""))
	require.NoError(t, err)
	assert.NotNil(t, r.relay.Poster)
}
