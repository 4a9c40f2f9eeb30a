// Package connector walks the chain of roles from the Runtime to the function of a target:
// the Runtime Connector, with the external id, then the flow's Lambda Connector, then the
// function itself. Each hop is logged with who took it.
package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"sym-postgres-quickstart/functions/internal/event"
)

// ConnectorUnavailable says that the function was not reached, or did not answer: a role of
// the chain could not be assumed, or the call failed. It may work later.
type ConnectorUnavailable struct {
	Doing string
	Err   error
	// Closed says that the Lambda Connector did not let the Runtime Connector in: it is gone, or
	// does not trust it.
	Closed bool
}

// Error says which hop failed, and why.
func (e *ConnectorUnavailable) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap is the failure behind.
func (e *ConnectorUnavailable) Unwrap() error { return e.Err }

// PostgresFunctionError says that the function was reached and failed. It may work later: what
// never will is in an answer's errors.
type PostgresFunctionError struct {
	Type    string // the function's own errorType, such as DatabaseUnavailable
	Message string
}

// Error is the function's own error.
func (e *PostgresFunctionError) Error() string {
	return fmt.Sprintf("the Postgres function failed with %s: %s", e.Type, e.Message)
}

// Chain is the way to a function.
type Chain struct {
	config     aws.Config
	connector  string // the Runtime Connector's ARN
	externalID string
	self       string // who takes the first hop, for the log
	log        *slog.Logger
}

// New makes a chain that begins with the credentials of a configuration.
func New(
	config aws.Config, connectorARN, externalID, self string, log *slog.Logger,
) *Chain {
	return &Chain{
		config: config, connector: connectorARN, externalID: externalID, self: self, log: log,
	}
}

// Call is one event on its way to a function.
type Call struct {
	RequestID       string
	LambdaConnector string // the ARN of the role that may invoke the function
	FunctionARN     string
	Event           event.Event
}

// Send walks the chain and returns the function's answer. The errors are
// [ConnectorUnavailable] and [PostgresFunctionError].
//
// Credentials are not kept: every session is named after the request that it serves, so that
// CloudTrail tells the whole story, and two calls of STS are little beside a GRANT.
func (c *Chain) Send(ctx context.Context, call Call) (event.Answer, error) {
	function, err := arn.Parse(call.FunctionARN)
	if err != nil {
		return event.Answer{}, &ConnectorUnavailable{
			Doing: "reading the target's function " + call.FunctionARN, Err: err,
		}
	}
	log := c.log.With("request_id", call.RequestID)
	session := sessionName(call.RequestID)

	first := &hop{
		client: sts.NewFromConfig(c.config), log: log, message: "assumed runtime connector",
		by: c.self,
	}
	runtime, err := c.assume(ctx, first, c.connector, session, &c.externalID)
	if err != nil {
		return event.Answer{}, &ConnectorUnavailable{
			Doing: "assuming the Runtime Connector " + c.connector, Err: err,
		}
	}
	second := &hop{
		client: sts.NewFromConfig(runtime), log: log, message: "assumed lambda connector",
		by: first.principal,
	}
	invoker, err := c.assume(ctx, second, call.LambdaConnector, session, nil)
	if err != nil {
		return event.Answer{}, &ConnectorUnavailable{
			Doing: "assuming the Lambda Connector " + call.LambdaConnector, Err: err,
			Closed: refused(err),
		}
	}
	client := lambda.NewFromConfig(invoker, func(o *lambda.Options) {
		o.Region = function.Region // the function may be in another one than the Runtime
	})
	return c.invoke(ctx, client, call, log, second.principal)
}

// refused tells STS's refusal from a failure of the call.
func refused(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "AccessDenied"
}

// assume takes a hop and returns a configuration with the credentials it led to.
func (c *Chain) assume(
	ctx context.Context, hop *hop, role, session string, externalID *string,
) (aws.Config, error) {
	provider := stscreds.NewAssumeRoleProvider(hop, role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = session
		o.ExternalID = externalID
		o.Duration = 15 * time.Minute // the shortest that STS gives
	})
	config := c.config.Copy()
	config.Credentials = aws.NewCredentialsCache(provider)
	_, err := config.Credentials.Retrieve(ctx)
	return config, err
}

// hop is an STS client that logs what it did.
type hop struct {
	client    *sts.Client
	log       *slog.Logger
	message   string
	by        string
	principal string // who the caller has become
}

// AssumeRole implements [stscreds.AssumeRoleAPIClient]. The external id is a shared secret of
// sorts and is not logged, only that there was one.
func (h *hop) AssumeRole(
	ctx context.Context, in *sts.AssumeRoleInput, options ...func(*sts.Options),
) (*sts.AssumeRoleOutput, error) {
	start := time.Now()
	attributes := []any{
		"role_arn", aws.ToString(in.RoleArn),
		"by", h.by,
		"with_external_id", in.ExternalId != nil,
		"session_name", aws.ToString(in.RoleSessionName),
	}
	out, err := h.client.AssumeRole(ctx, in, options...)
	attributes = append(attributes, "duration_ms", time.Since(start).Milliseconds())
	if err != nil {
		h.log.ErrorContext(ctx, "not "+h.message, append(attributes, "error", err.Error())...)
		return nil, err
	}
	if out.AssumedRoleUser != nil {
		h.principal = aws.ToString(out.AssumedRoleUser.Arn)
	}
	h.log.InfoContext(ctx, h.message, append(attributes, "principal", h.principal)...)
	return out, nil
}

// invoke calls the function with the event and reads its answer.
func (c *Chain) invoke(
	ctx context.Context, client *lambda.Client, call Call, log *slog.Logger, by string,
) (event.Answer, error) {
	payload, err := json.Marshal(call.Event)
	if err != nil {
		return event.Answer{}, fmt.Errorf("encoding an event: %w", err)
	}
	start := time.Now()
	out, err := client.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &call.FunctionARN, Payload: payload,
	})
	log = log.With("function_arn", call.FunctionARN, "by", by,
		"event_type", call.Event.Event.Type, "event_id", call.Event.ID,
		"role_name", call.Event.Fields.Target.Settings.RoleName,
		"duration_ms", time.Since(start).Milliseconds())
	if err != nil {
		log.ErrorContext(ctx, "not invoked postgres function", "error", err.Error())
		return event.Answer{}, &ConnectorUnavailable{
			Doing: "invoking the Postgres function " + call.FunctionARN, Err: err,
		}
	}
	if out.FunctionError != nil {
		failure := readFailure(out.Payload, *out.FunctionError)
		log.ErrorContext(ctx, "postgres function failed", "error_type", failure.Type,
			"error", failure.Message)
		return event.Answer{}, failure
	}
	answer, failure := readAnswer(out.Payload)
	if failure != nil {
		log.ErrorContext(ctx, "postgres function failed", "error_type", failure.Type,
			"error", failure.Message)
		return event.Answer{}, failure
	}
	log.InfoContext(ctx, "invoked postgres function", "body", string(answer.Body),
		"errors", []string(answer.Errors))
	return answer, nil
}

// readFailure reads what Lambda returns for a function that failed.
func readFailure(payload []byte, kind string) *PostgresFunctionError {
	var failure struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(payload, &failure) != nil || failure.Message == "" {
		failure.Message = string(payload)
	}
	if failure.Type == "" {
		failure.Type = kind
	}
	return &PostgresFunctionError{Type: failure.Type, Message: failure.Message}
}

// readAnswer refuses what is not an answer, such as null: it must never count as a success.
func readAnswer(payload []byte) (event.Answer, *PostgresFunctionError) {
	var answer *event.Answer
	if err := json.Unmarshal(payload, &answer); err != nil || answer == nil {
		return event.Answer{}, &PostgresFunctionError{
			Type: "NotAnAnswer", Message: fmt.Sprintf("it returned %.200q", payload),
		}
	}
	return *answer, nil
}

// sessionName makes a request's id into a session name as STS takes it: 2 to 64 of these
// characters. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func sessionName(id string) string {
	name := notInSessionName.ReplaceAllString(id, "-")
	if len(name) > 64 {
		name = name[:64]
	}
	for len(name) < 2 {
		name += "-"
	}
	return name
}

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)
