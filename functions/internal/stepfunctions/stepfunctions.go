// Package stepfunctions starts the workflows of requests and answers what they wait for.
package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"sym-postgres-quickstart/functions/internal/request"
)

// Workflows implements [request.Workflows] with Step Functions.
type Workflows struct{ client *sfn.Client }

// New makes the adapter.
func New(client *sfn.Client) *Workflows { return &Workflows{client} }

// input is what an execution starts with. It is made from the request alone, since Step
// Functions takes a second start for the same only if its input is.
type input struct {
	RequestID              string `json:"request_id"`
	ApprovalTimeoutSeconds int64  `json:"approval_timeout_seconds"`
}

// Start starts the execution that is named after the request. With the same name and input
// that does nothing while the execution runs, and is refused once it has ended:
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
func (w *Workflows) Start(ctx context.Context, r request.Request) error {
	document, err := json.Marshal(input{r.ID, int64(r.ApprovalTimeout / time.Second)})
	if err != nil {
		return fmt.Errorf("encoding the input of the workflow of %s: %w", r.ID, err)
	}
	_, err = w.client.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &r.Workflow,
		Name:            &r.ID,
		Input:           aws.String(string(document)),
	})
	var ended *types.ExecutionAlreadyExists
	if errors.As(err, &ended) {
		return request.ErrWorkflowEnded
	}
	if err != nil {
		return fmt.Errorf("starting the workflow of the request %s: %w", r.ID, err)
	}
	return nil
}

// Execution looks at the execution that is named after the request.
func (w *Workflows) Execution(ctx context.Context, r request.Request) (request.Execution, error) {
	execution, err := executionARN(r.Workflow, r.ID)
	if err != nil {
		return "", err
	}
	answer, err := w.client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{
		ExecutionArn: &execution,
	})
	var missing *types.ExecutionDoesNotExist
	var machineMissing *types.StateMachineDoesNotExist // its executions are gone with it
	switch {
	case errors.As(err, &missing) || errors.As(err, &machineMissing):
		return request.Missing, nil
	case err != nil:
		return "", fmt.Errorf("looking at the workflow of the request %s: %w", r.ID, err)
	case answer.Status == types.ExecutionStatusRunning ||
		answer.Status == types.ExecutionStatusPendingRedrive:
		return request.Running, nil
	default:
		return request.Ended, nil
	}
}

// executionARN makes …:stateMachine:<machine> into …:execution:<machine>:<name>.
func executionARN(machine, name string) (string, error) {
	parsed, err := arn.Parse(machine)
	if err != nil {
		return "", fmt.Errorf("reading the ARN of the state machine %q: %w", machine, err)
	}
	resource, found := strings.CutPrefix(parsed.Resource, "stateMachine:")
	if !found {
		return "", fmt.Errorf("%q is not the ARN of a state machine", machine)
	}
	parsed.Resource = "execution:" + resource + ":" + name
	return parsed.String(), nil
}

// Signal answers the wait behind a token with {"state": …}.
func (w *Workflows) Signal(ctx context.Context, token string, state request.State) error {
	output, err := json.Marshal(map[string]request.State{"state": state})
	if err != nil {
		return fmt.Errorf("encoding a signal: %w", err)
	}
	_, err = w.client.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{
		TaskToken: &token,
		Output:    aws.String(string(output)),
	})
	var timedOut *types.TaskTimedOut
	var gone *types.TaskDoesNotExist
	var invalid *types.InvalidToken
	// A token that we stored came from Step Functions, so an invalid one is one it has
	// forgotten.
	if errors.As(err, &timedOut) || errors.As(err, &gone) || errors.As(err, &invalid) {
		return request.ErrNotWaiting
	}
	if err != nil {
		return fmt.Errorf("sending a signal to the workflow: %w", err)
	}
	return nil
}
