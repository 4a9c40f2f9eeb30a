package moto

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCancelledTransactionsLeaveNothing checks that a transaction is all or nothing: what it put,
// changed and deleted before the operation that fails is as it was, and so is all else.
func TestCancelledTransactionsLeaveNothing(t *testing.T) {
	server, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	for _, sorted := range []bool{true, false} {
		t.Run(fmt.Sprintf("sort key: %t", sorted), func(t *testing.T) {
			testCancelled(t, client, sorted)
		})
	}
}

func testCancelled(t *testing.T, client *dynamodb.Client, sorted bool) {
	ctx, table := t.Context(), aws.String(fmt.Sprintf("table-%t", sorted))
	create := &dynamodb.CreateTableInput{
		TableName: table, BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash},
		},
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
		},
	}
	if sorted {
		create.KeySchema = append(create.KeySchema, types.KeySchemaElement{
			AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange,
		})
		create.AttributeDefinitions = append(create.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS,
		})
	}
	_, err := client.CreateTable(ctx, create)
	require.NoError(t, err)
	type item = map[string]types.AttributeValue
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := func(id string) item {
		if !sorted {
			return item{"pk": text(id)}
		}
		return item{"pk": text("one"), "sk": text(id)}
	}
	with := func(id, value string) item {
		i := key(id)
		i["list"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{text(value)}}
		return i
	}
	contents := func() map[string]string {
		t.Helper()
		answer, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: table})
		require.NoError(t, err)
		all := map[string]string{}
		for _, i := range answer.Items {
			id := i["pk"]
			if sorted {
				id = i["sk"]
			}
			all[id.(*types.AttributeValueMemberS).Value] = fmt.Sprint(
				i["list"].(*types.AttributeValueMemberL).Value[0].(*types.AttributeValueMemberS).Value)
		}
		return all
	}
	for _, id := range []string{"changed", "deleted", "replaced", "other"} {
		_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: with(id, "before")})
		require.NoError(t, err)
	}
	before := contents()
	do := func(last types.TransactWriteItem) error {
		_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
			TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: table, Item: with("new", "after")}},
				{Put: &types.Put{TableName: table, Item: with("replaced", "after")}},
				{Delete: &types.Delete{TableName: table, Key: key("deleted")}},
				{Update: &types.Update{
					TableName: table, Key: key("changed"), UpdateExpression: aws.String("SET #l[0] = :v"),
					ExpressionAttributeNames:  map[string]string{"#l": "list"},
					ExpressionAttributeValues: item{":v": text("after")},
				}},
				last,
			},
		})
		return err
	}
	err = do(types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: table, Key: key("other"), ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}})
	var cancelled *types.TransactionCanceledException
	require.True(t, errors.As(err, &cancelled), "%v", err)
	assert.Equal(t, "ConditionalCheckFailed", aws.ToString(cancelled.CancellationReasons[4].Code))
	assert.Equal(t, before, contents())

	require.NoError(t, do(types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: table, Key: key("other"), ConditionExpression: aws.String("attribute_exists(pk)"),
	}}))
	assert.Equal(t, map[string]string{
		"new": "after", "changed": "after", "replaced": "after", "other": "before",
	}, contents())
}
