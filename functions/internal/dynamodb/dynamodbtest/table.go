// Package dynamodbtest makes the Runtime's table for tests.
package dynamodbtest

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// CreateTable makes a table as modules/sym-runtime does.
func CreateTable(ctx context.Context, client *dynamodb.Client, name string) error {
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{
			AttributeName: &name, AttributeType: types.ScalarAttributeTypeS,
		}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash},
			{AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	index := func(
		name, hash, sort string, projection types.ProjectionType,
	) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{
			IndexName: &name, KeySchema: keys(hash, sort),
			Projection: &types.Projection{ProjectionType: projection},
		}
	}
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk"), attribute("sk"), attribute("kind"), attribute("created_at"),
			attribute("open"), attribute("deadline"), attribute("outbox"), attribute("at"),
		},
		KeySchema: keys("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index("by_created", "kind", "created_at", types.ProjectionTypeAll),
			index("by_deadline", "open", "deadline", types.ProjectionTypeAll),
			index("by_outbox", "outbox", "at", types.ProjectionTypeKeysOnly),
		},
		BillingMode: types.BillingModePayPerRequest,
	})
	if err != nil {
		return fmt.Errorf("making the table %s: %w", name, err)
	}
	return nil
}
