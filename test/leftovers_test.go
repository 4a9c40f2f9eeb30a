package test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
)

// requireNothingLeft asserts that AWS has nothing of a destroyed deployment.
func requireNothingLeft(t *testing.T, ctx context.Context, box *sandbox.Sandbox) {
	t.Helper()
	config := box.Config(box.Admin)

	functions, err := lambda.NewFromConfig(config).ListFunctions(ctx, &lambda.ListFunctionsInput{})
	require.NoError(t, err)
	require.Empty(t, functions.Functions)
	machines, err := sfn.NewFromConfig(config).ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	require.NoError(t, err)
	require.Empty(t, machines.StateMachines)
	tables, err := dynamodb.NewFromConfig(config).ListTables(ctx, &dynamodb.ListTablesInput{})
	require.NoError(t, err)
	require.Empty(t, tables.TableNames)
	secrets, err := secretsmanager.NewFromConfig(config).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	require.NoError(t, err)
	require.Empty(t, secrets.SecretList)
	topics, err := sns.NewFromConfig(config).ListTopics(ctx, &sns.ListTopicsInput{})
	require.NoError(t, err)
	require.Empty(t, topics.Topics)
	path := "/sym"
	recursive := true
	parameters, err := ssm.NewFromConfig(config).GetParametersByPath(ctx, &ssm.GetParametersByPathInput{
		Path: &path, Recursive: &recursive,
	})
	require.NoError(t, err)
	require.Empty(t, parameters.Parameters)
	require.Zero(t, box.Databases(), "no database server runs on")
}
