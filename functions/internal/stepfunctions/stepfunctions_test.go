package stepfunctions_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/functions/internal/stepfunctions"
	"sym-postgres-quickstart/test/sandbox/moto"
)

func clientFor(url string) *sfn.Client {
	return sfn.New(sfn.Options{
		Region:       "us-east-1",
		BaseEndpoint: &url,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// TestStart checks that a workflow is started once, however often it is asked for.
func TestStart(t *testing.T) {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	response, err := http.Post(server.URL()+"/moto-api/config", "application/json",
		strings.NewReader(`{"stepfunctions":{"execute_state_machine":true}}`))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	client := clientFor(server.URL())
	machine, err := client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name:    aws.String("sym-main-postgres"),
		RoleArn: aws.String("arn:aws:iam::123456789012:role/sym/machine"),
		Definition: aws.String(
			`{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":3600,"End":true}}}`),
	})
	require.NoError(t, err)

	workflows := stepfunctions.New(client)
	r := requesttest.New(time.Now()).Request
	r.Workflow = *machine.StateMachineArn
	course := func() request.Execution {
		t.Helper()
		execution, err := workflows.Execution(t.Context(), r)
		require.NoError(t, err)
		return execution
	}
	assert.Equal(t, request.Missing, course())
	require.NoError(t, workflows.Start(t.Context(), r))
	assert.Equal(t, request.Running, course())
	r.State = request.Approved // what has happened meanwhile must not matter
	require.NoError(t, workflows.Start(t.Context(), r))

	list, err := client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{
		StateMachineArn: machine.StateMachineArn,
	})
	require.NoError(t, err)
	require.Len(t, list.Executions, 1)
	execution := list.Executions[0]
	assert.Equal(t, r.ID, *execution.Name)
	described, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{
		ExecutionArn: execution.ExecutionArn,
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"request_id":"`+r.ID+`","approval_timeout_seconds":3600}`,
		*described.Input)

	_, err = client.StopExecution(t.Context(), &sfn.StopExecutionInput{
		ExecutionArn: execution.ExecutionArn,
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		described, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{
			ExecutionArn: execution.ExecutionArn,
		})
		return err == nil && described.Status != types.ExecutionStatusRunning
	}, time.Minute, 50*time.Millisecond)
	assert.ErrorIs(t, workflows.Start(t.Context(), r), request.ErrWorkflowEnded)
	assert.Equal(t, request.Ended, course())

	r.Workflow += "-gone"
	assert.Equal(t, request.Missing, course())
	err = workflows.Start(t.Context(), r)
	require.Error(t, err)
	assert.NotErrorIs(t, err, request.ErrWorkflowEnded)
}

// TestExecutionRefuses checks that a failure to look is never taken for an end.
func TestExecutionRefuses(t *testing.T) {
	r := requesttest.New(time.Now()).Request
	for _, machine := range []string{"", "sym-main-postgres", "arn:aws:lambda:a:1:function:f"} {
		r.Workflow = machine
		_, err := stepfunctions.New(clientFor("http://127.0.0.1:1")).Execution(t.Context(), r)
		assert.Error(t, err, machine)
	}
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException"}`)
		}))
	defer server.Close()
	r = requesttest.New(time.Now()).Request
	_, err := stepfunctions.New(clientFor(server.URL)).Execution(t.Context(), r)
	assert.Error(t, err)
}

// TestSignal checks what is sent, and which answers mean that nobody waits.
func TestSignal(t *testing.T) {
	tests := []struct {
		answer string // the error's type, empty for a success
		want   error  // nil with an answer: any other error
	}{
		{"", nil},
		{"TaskTimedOut", request.ErrNotWaiting},
		{"TaskDoesNotExist", request.ErrNotWaiting},
		{"InvalidToken", request.ErrNotWaiting},
		{"AccessDeniedException", nil},
	}
	for _, test := range tests {
		t.Run(test.answer, func(t *testing.T) {
			var sent struct{ TaskToken, Output string }
			server := httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					_ = json.NewDecoder(r.Body).Decode(&sent)
					if test.answer != "" {
						w.WriteHeader(http.StatusBadRequest)
						_, _ = io.WriteString(w, `{"__type":"`+test.answer+`"}`)
						return
					}
					_, _ = io.WriteString(w, `{}`)
				}))
			defer server.Close()
			err := stepfunctions.New(clientFor(server.URL)).
				Signal(t.Context(), "token", request.Approved)
			assert.Equal(t, "token", sent.TaskToken)
			assert.JSONEq(t, `{"state":"approved"}`, sent.Output)
			switch {
			case test.answer == "":
				assert.NoError(t, err)
			case test.want != nil:
				assert.ErrorIs(t, err, test.want)
			default:
				require.Error(t, err)
				assert.NotErrorIs(t, err, request.ErrNotWaiting)
			}
		})
	}
}
