package main

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/workflow"
)

var environment = map[string]string{
	"SYM_ORG_SLUG":              "acme",
	"SYM_REQUEST_TABLE":         "requests",
	"SYM_RUNTIME_CONNECTOR_ARN": "arn:aws:iam::111122223333:role/sym/SymRuntimeMain",
	"SYM_EXTERNAL_ID":           "11111111-2222-4333-8444-555555555555",
	"SYM_FLOWS_PATH":            "/sym/main/flows",
	"SYM_CALLERS":               `{}`,
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
			continue
		}
		_, err := readSettings(getenv(name))
		assert.ErrorContains(t, err, name)
	}
	s, err := readSettings(getenv("SYM_CALLERS"))
	require.NoError(t, err)
	assert.Equal(t, "111122223333", s.account)
}
