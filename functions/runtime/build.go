package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/api"
	"sym-postgres-quickstart/functions/internal/audit"
	"sym-postgres-quickstart/functions/internal/connector"
	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/flows"
	"sym-postgres-quickstart/functions/internal/later"
	"sym-postgres-quickstart/functions/internal/leftout"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/secrets"
	"sym-postgres-quickstart/functions/internal/slack"
	"sym-postgres-quickstart/functions/internal/stepfunctions"
	"sym-postgres-quickstart/functions/internal/trouble"
	"sym-postgres-quickstart/functions/internal/workflow"
)

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
	people := readTables(s.account, iam.NewFromConfig(cfg), getenv)
	leftout.Log(ctx, log, people.problems)
	s.slack.Users = people.slackUsers
	again := later.New(lambda.NewFromConfig(cfg), lambdacontext.FunctionName)
	reporter := trouble.New(sns.NewFromConfig(cfg), s.errorTopicARN, log)
	table := dynamodb.New(awsdynamodb.NewFromConfig(cfg), s.table, s.sinks()...)
	store := delivery.NewStore(table, again, log)
	workflows := stepfunctions.New(sfn.NewFromConfig(cfg))
	configured := flows.New(ssm.NewFromConfig(cfg), s.flowsPath, log)
	service := &request.Service{
		Store:     store,
		Flows:     configured,
		Workflows: workflows,
		Now:       time.Now,
		NewID:     uuid.NewString,
		Log:       log,
		Report:    reporter.Report,
	}
	courier := &delivery.Courier{
		Outbox: table,
		Sinks: []delivery.Sink{
			audit.NewLog(cloudwatchlogs.NewFromConfig(cfg), s.auditLogGroup),
			&trouble.Alerts{Teller: reporter, Notes: table},
		},
		Report: reporter.Report,
		Now:    time.Now,
		Log:    log,
	}
	if s.auditBucket != "" {
		courier.Sinks = append(courier.Sinks,
			audit.NewBucket(s3.NewFromConfig(cfg), s.auditBucket))
	}
	r := &runtime{
		api: &api.API{Service: service, Callers: people.callers, Log: log},
		steps: &workflow.Steps{
			OrgSlug:   s.orgSlug,
			Flows:     configured,
			Store:     store,
			Workflows: workflows,
			Chain: connector.New(cfg, s.connectorARN, s.externalID,
				"function/"+lambdacontext.FunctionName, log),
			Courier: courier,
			Problems: func(ctx context.Context) []string {
				left, err := configured.Problems(ctx)
				if err != nil { // whoever asks for access meets it as well
					log.ErrorContext(ctx, "the flows could not be looked through", "error", err.Error())
				}
				return slices.Concat(people.problems, left)
			},
			Tell: reporter.Tell,
			Now:  time.Now,
			Log:  log,
		},
	}
	service.Previewer = r.steps
	r.relay = &trouble.Relay{Notes: table, Topic: s.errorTopicARN, Now: time.Now, Log: log}
	if !s.slackIsOn() {
		return r, nil
	}
	chat, err := slack.New(s.slack, slack.Parts{
		Service: service,
		Store:   store,
		Secrets: secrets.New(cfg, s.connectorARN, s.externalID, s.secretARN, log),
		Later:   again,
		Report:  reporter.Report,
		Now:     time.Now,
		Log:     log,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up Slack: %w", err)
	}
	if s.slack.ErrorChannel != "" {
		reporter.Poster, r.relay.Poster = chat.Poster, chat.Poster
	}
	courier.Sinks = append(courier.Sinks, chat.Sink)
	r.slack, r.steps.Chat = chat.Handler, chat
	return r, nil
}
