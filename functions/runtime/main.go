// Runtime is the function that people and workflows talk to: it answers the HTTP API and Slack,
// does the steps of a request's state machine, delivers the audit records, and ends what the
// workflows have left open.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"sym-postgres-quickstart/functions/internal/api"
	"sym-postgres-quickstart/functions/internal/slack"
	"sym-postgres-quickstart/functions/internal/trouble"
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
	slack *slack.Handler // answers that there is none, where it is nil
	steps *workflow.Steps
	relay *trouble.Relay
}

// margin is what is left of an invocation's time for an answer once a call that hangs has been
// given up.
const margin = time.Second

// invoke tells the invocations apart: API Gateway's by their HTTP context, the state machine's
// and the schedule's by their step, and the error topic's by their event source.
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
		Records []struct {
			EventSource string
		}
	}
	if err := json.Unmarshal(payload, &kind); err != nil {
		return nil, unknownInvocation()
	}
	isCheck := kind.RequestContext.HTTP == nil && kind.Step != nil &&
		(*kind.Step == workflow.CheckRules || *kind.Step == checkSettings)
	if onlyChecks(ctx) && !isCheck {
		return nil, &workflow.UnknownInvocation{Message: "By the alias " + checkAlias +
			" the function takes the steps " + workflow.CheckRules + " and " + checkSettings +
			" and nothing else."}
	}
	switch {
	case kind.RequestContext.HTTP != nil:
		var event events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, unknownInvocation()
		}
		if strings.Contains(event.RouteKey, " /slack/") {
			return r.slack.Handle(ctx, event), nil
		}
		return r.api.Handle(ctx, event), nil
	case kind.Step != nil && *kind.Step == checkSettings:
		return checkTables(payload)
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
	case len(kind.Records) > 0 && kind.Records[0].EventSource == "aws:sns":
		var event events.SNSEvent
		if err := json.Unmarshal(payload, &event); err != nil {
			return nil, unknownInvocation()
		}
		r.relay.Handle(ctx, event)
		return nil, nil
	}
	return nil, unknownInvocation()
}

// checkAlias is the alias by which Terraform asks whether rules compile and what the function would
// leave out of its settings. Whoever plans may invoke
// the function by it, and must not become somebody who calls the API or runs a workflow.
const checkAlias = "check"

func onlyChecks(ctx context.Context) bool {
	invocation, ok := lambdacontext.FromContext(ctx)
	return ok && strings.HasSuffix(invocation.InvokedFunctionArn, ":"+checkAlias)
}

func unknownInvocation() error {
	return &workflow.UnknownInvocation{Message: "The payload is neither an HTTP API's request " +
		"(requestContext.http) nor a workflow's step (step) nor a topic's messages (Records)."}
}
