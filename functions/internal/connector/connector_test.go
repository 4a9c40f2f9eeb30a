package connector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

const (
	connectorARN = "arn:aws:iam::111122223333:role/sym/SymRuntimeMain"
	lambdaARN    = "arn:aws:iam::444455556666:role/sym/SymLambdaPostgres"
	functionARN  = "arn:aws:lambda:eu-west-1:444455556666:function:sym-postgres"
	externalID   = "11111111-2222-4333-8444-555555555555"
)

// cloud stands in for STS and Lambda. It gives a key for every hop and writes down whose key
// signed what, so that a test sees whether the hops follow one another.
type cloud struct {
	hops     []string
	event    event.Event
	region   string
	refuse   string // the ARN of a role that is refused
	function func(w http.ResponseWriter)
}

var signer = regexp.MustCompile(`Credential=([^/]+)/\d+/([^/]+)/`)

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signed := signer.FindStringSubmatch(r.Header.Get("Authorization"))
	by := signed[1]
	if strings.Contains(r.URL.Path, "/invocations") {
		c.hops = append(c.hops, by+" invokes "+strings.Split(r.URL.Path, "/")[3])
		c.region = signed[2]
		_ = json.NewDecoder(r.Body).Decode(&c.event)
		c.function(w)
		return
	}
	_ = r.ParseForm()
	role := r.Form.Get("RoleArn")
	if role == c.refuse {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type>`+
			`<Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
		return
	}
	name := role[strings.LastIndex(role, "/")+1:]
	c.hops = append(c.hops, fmt.Sprintf("%s assumes %s as %s with external id %q", by, name,
		r.Form.Get("RoleSessionName"), r.Form.Get("ExternalId")))
	fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials>`+
		`<AccessKeyId>KEY%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
		`<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>`+
		`</Credentials><AssumedRoleUser><AssumedRoleId>x</AssumedRoleId>`+
		`<Arn>arn:aws:sts::111122223333:assumed-role/%s/%s</Arn></AssumedRoleUser>`+
		`</AssumeRoleResult></AssumeRoleResponse>`, name, name, r.Form.Get("RoleSessionName"))
}

func answers(body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, body) }
}

func fails(payload string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_, _ = io.WriteString(w, payload)
	}
}

func send(t *testing.T, c *cloud) (event.Answer, string, error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	var log bytes.Buffer
	chain := New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("KEYRuntime", "s", ""),
	}, connectorARN, externalID, "function/sym-main", slog.New(slog.NewJSONHandler(&log, nil)))
	answer, err := chain.Send(t.Context(), Call{
		RequestID: "request 1/ä", LambdaConnector: lambdaARN, FunctionARN: functionARN,
		Event: event.Event{ID: "e", Type: event.TypeEvent, Event: event.Spec{Type: event.Escalate}},
	})
	return answer, log.String(), err
}

func TestSend(t *testing.T) {
	c := &cloud{function: answers(`{"body":{"run":"r"},"errors":["no"]}`)}
	answer, log, err := send(t, c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"run":"r"}`, string(answer.Body))
	assert.Equal(t, event.Errors{"no"}, answer.Errors)
	assert.Equal(t, "e", c.event.ID)
	assert.Equal(t, "eu-west-1", c.region, "the function's region, not the Runtime's")
	assert.Equal(t, []string{
		`KEYRuntime assumes SymRuntimeMain as request-1-- with external id "` + externalID + `"`,
		`KEYSymRuntimeMain assumes SymLambdaPostgres as request-1-- with external id ""`,
		`KEYSymLambdaPostgres invokes ` + functionARN,
	}, c.hops)

	// The log tells the same story, without the external id.
	assert.NotContains(t, log, externalID)
	var lines []map[string]any
	for line := range strings.Lines(log) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		assert.Equal(t, "request 1/ä", fields["request_id"])
		assert.Contains(t, fields, "duration_ms")
		lines = append(lines, fields)
	}
	require.Len(t, lines, 3)
	assert.Equal(t, "assumed runtime connector", lines[0]["msg"])
	assert.Equal(t, connectorARN, lines[0]["role_arn"])
	assert.Equal(t, "function/sym-main", lines[0]["by"])
	assert.Equal(t, true, lines[0]["with_external_id"])
	assert.Equal(t, "assumed lambda connector", lines[1]["msg"])
	assert.Equal(t, lambdaARN, lines[1]["role_arn"])
	assert.Equal(t, lines[0]["principal"], lines[1]["by"])
	assert.Equal(t, false, lines[1]["with_external_id"])
	assert.Equal(t, "invoked postgres function", lines[2]["msg"])
	assert.Equal(t, functionARN, lines[2]["function_arn"])
	assert.Equal(t, "escalate", lines[2]["event_type"])
	assert.Equal(t, lines[1]["principal"], lines[2]["by"])
}

func TestSendFails(t *testing.T) {
	good := answers(`{"body":{},"errors":[]}`)
	tests := []struct {
		name  string
		cloud *cloud
		want  error
		text  string
	}{
		{"at the Runtime Connector", &cloud{function: good, refuse: connectorARN},
			&ConnectorUnavailable{}, "Runtime Connector " + connectorARN},
		{"at the Lambda Connector", &cloud{function: good, refuse: lambdaARN},
			&ConnectorUnavailable{}, "Lambda Connector " + lambdaARN},
		{"at the invocation", &cloud{function: func(w http.ResponseWriter) {
			w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"Message":"no such function"}`)
		}}, &ConnectorUnavailable{}, "invoking the Postgres function " + functionARN},
		{"in the function", &cloud{function: fails(
			`{"errorType":"DatabaseUnavailable","errorMessage":"no route"}`)},
			&PostgresFunctionError{}, "DatabaseUnavailable: no route"},
		{"in the function, without words", &cloud{function: fails(`killed`)},
			&PostgresFunctionError{}, "Unhandled: killed"},
		{"for an answer of null", &cloud{function: answers(`null`)},
			&PostgresFunctionError{}, "NotAnAnswer"},
		{"for an answer of something else", &cloud{function: answers(`"ok"`)},
			&PostgresFunctionError{}, "NotAnAnswer"},
		{"for no answer", &cloud{function: answers(``)},
			&PostgresFunctionError{}, "NotAnAnswer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, log, err := send(t, test.cloud)
			require.Error(t, err)
			assert.IsType(t, test.want, err)
			assert.ErrorContains(t, err, test.text)
			assert.Contains(t, log, `"level":"ERROR"`)
		})
	}
}

func TestSessionName(t *testing.T) {
	for id, want := range map[string]string{
		"8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01": "8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01",
		strings.Repeat("x", 80):                strings.Repeat("x", 64),
		"a b/c":                                "a-b-c",
		"":                                     "--",
	} {
		assert.Equal(t, want, sessionName(id))
	}
}
