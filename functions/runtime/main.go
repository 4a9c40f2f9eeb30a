// Runtime is the function that people and workflows talk to: it answers the HTTP API, does the
// steps of a request's state machine, and ends what the workflows have left open.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/config"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/api"
	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/flows"
	"sym-postgres-quickstart/functions/internal/identity"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/stepfunctions"
	"sym-postgres-quickstart/functions/internal/workflow"
)

func main() {
	r, err := build(context.Background(), os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "The Runtime cannot start:", err)
		os.Exit(1)
	}
	lambda.Start(r.invoke)
}

// runtime is the function, ready to be invoked.
type runtime struct {
	api   *api.API
	steps *workflow.Steps
}

// build wires the function from its environment.
func build(ctx context.Context, getenv func(string) string) (*runtime, error) {
	s, err := readSettings(getenv)
	if err != nil {
		return nil, err
	}
	log := lambdacontext.NewLogger()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	callers, err := identity.New(s.account, s.callers, iam.NewFromConfig(cfg))
	if err != nil {
		return nil, fmt.Errorf("SYM_CALLERS: %w", err)
	}
	store := dynamodb.New(awsdynamodb.NewFromConfig(cfg), s.table)
	workflows := stepfunctions.New(sfn.NewFromConfig(cfg))
	return &runtime{
		api: &api.API{
			Service: &request.Service{
				Store:     store,
				Flows:     flows.New(ssm.NewFromConfig(cfg), s.flowsPath, log),
				Workflows: workflows,
				Now:       time.Now,
				NewID:     uuid.NewString,
				Log:       log,
			},
			Callers: callers,
			Log:     log,
		},
		steps: &workflow.Steps{
			OrgSlug:   s.orgSlug,
			Store:     store,
			Workflows: workflows,
			Chain: connector.New(cfg, s.connectorARN, s.externalID,
				"function/"+lambdacontext.FunctionName, log),
			Now: time.Now,
			Log: log,
		},
	}, nil
}

// margin is what is left of an invocation's time for an answer once a call that hangs has been
// given up.
const margin = time.Second

// invoke tells the invocations apart: API Gateway's by their HTTP context, the state machine's
// and the schedule's by their step.
func (r *runtime) invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) > 2*margin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	var kind struct {
		Step           *string `json:"step"`
		RequestContext struct {
			HTTP json.RawMessage `json:"http"`
		} `json:"requestContext"`
	}
	if err := json.Unmarshal(payload, &kind); err != nil {
		return nil, unknownInvocation()
	}
	switch {
	case kind.RequestContext.HTTP != nil:
		var event events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, unknownInvocation()
		}
		return r.api.Handle(ctx, event), nil
	case kind.Step != nil:
		var input workflow.Input
		if err := json.Unmarshal(payload, &input); err != nil {
			return nil, unknownInvocation()
		}
		output, err := r.steps.Run(ctx, input)
		if err != nil {
			return nil, err
		}
		return output, nil
	}
	return nil, unknownInvocation()
}

func unknownInvocation() error {
	return &workflow.UnknownInvocation{Message: "The payload is neither an HTTP API's request " +
		"(requestContext.http) nor a workflow's step (step)."}
}
