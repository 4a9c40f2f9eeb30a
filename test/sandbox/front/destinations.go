package front

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sym-postgres-quickstart/test/sandbox/lambdaruntime"
)

// invokeLater runs a function for a caller that does not wait. If the call fails
// it is published to the function's on-failure destination, if that is a topic.
// The call is not retried: Lambda would do so after a minute.
func (f *Front) invokeLater(ctx context.Context, caller Identity, arn string, payload []byte) error {
	result, err := f.invoke(ctx, caller, arn, payload)
	if err != nil || result.Error == "" || ctx.Err() != nil {
		return err
	}
	if err := f.sendFailure(ctx, arn, payload, result); err != nil {
		f.Log.Warn("a failed call could not be sent to its destination", "function", arn, "error", err)
	}
	return nil
}

// sendFailure publishes a failed call to the function's on-failure destination.
func (f *Front) sendFailure(
	ctx context.Context, arn string, payload []byte, result lambdaruntime.Result,
) error {
	parts := strings.Split(arn, ":")
	account := parts[4]
	topic, err := f.failureTopic(ctx, account, parts[6])
	if err != nil || topic == "" {
		return err
	}
	record, err := failureRecord(strings.Join(parts[:7], ":"), payload, result, time.Now())
	if err != nil {
		return err
	}
	return f.publishFailure(ctx, arn, topic, record)
}

// failureTopic is the topic for a function's failed calls; empty if there is none.
func (f *Front) failureTopic(ctx context.Context, account, name string) (string, error) {
	var answer struct {
		FunctionEventInvokeConfigs []struct {
			DestinationConfig struct{ OnFailure struct{ Destination string } }
		}
	}
	err := f.askJSON(ctx, account, "lambda", http.MethodGet,
		"/2019-09-25/functions/"+name+"/event-invoke-config/list", "", nil, &answer)
	if err != nil {
		return "", err
	}
	for _, config := range answer.FunctionEventInvokeConfigs {
		topic := config.DestinationConfig.OnFailure.Destination
		if strings.HasPrefix(topic, "arn:aws:sns:") {
			return topic, nil
		}
	}
	return "", nil
}

// failureRecord is the record that Lambda sends to a destination.
// See https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html.
func failureRecord(arn string, payload []byte, result lambdaruntime.Result, at time.Time) ([]byte, error) {
	answer := json.RawMessage(result.Payload)
	if !json.Valid(answer) {
		return nil, fmt.Errorf("the answer of %s is not JSON: %.200q", arn, result.Payload)
	}
	return json.Marshal(map[string]any{
		"version":   "1.0",
		"timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		"requestContext": map[string]any{
			"requestId": randomHex(16), "functionArn": arn + ":$LATEST",
			"condition": "RetriesExhausted", "approximateInvokeCount": 1,
		},
		"requestPayload": json.RawMessage(payload),
		"responseContext": map[string]any{
			"statusCode": 200, "executedVersion": "$LATEST", "functionError": result.Error,
		},
		"responsePayload": answer,
	})
}
