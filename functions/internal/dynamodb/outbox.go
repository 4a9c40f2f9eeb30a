package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sym-postgres-quickstart/functions/internal/request"
)

// inOutbox is the attribute that puts a record into the index by_outbox.
const inOutbox = "todo"

// Undelivered is a record that some sinks do not have yet.
type Undelivered struct {
	Record request.Record
	Sinks  []string // who has yet to get it, by their names
}

// Undelivered reads what a request has left to deliver, oldest first. What was written before
// is seen.
func (s *Store) Undelivered(ctx context.Context, id string) ([]Undelivered, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:              &s.table,
		KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :audit)"),
		FilterExpression:       aws.String("attribute_exists(todo)"),
		ExpressionAttributeValues: values{
			":pk":    key(id, "")["pk"],
			":audit": &types.AttributeValueMemberS{Value: prefixRecord},
		},
		ConsistentRead: aws.Bool(true),
	})
	var found []Undelivered
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, &StoreUnavailable{"reading what the request " + id + " has to deliver", err}
		}
		for _, item := range page.Items {
			record, err := fromRecordItem(item)
			if err != nil {
				return nil, err
			}
			found = append(found, Undelivered{Record: record, Sinks: todo(item)})
		}
	}
	return found, nil
}

// Delivered takes a sink from those that a record has yet to be delivered to. With the last one
// the record leaves the outbox. That the sink is gone already is no fault.
func (s *Store) Delivered(ctx context.Context, id string, sequence int, sink string) error {
	doing := fmt.Sprintf("marking the record %d of the request %s as delivered", sequence, id)
	one := &types.AttributeValueMemberSS{Value: []string{sink}}
	remove := func(expression, condition string, more values) error {
		more[":sink"] = one
		return retryContention(ctx, doing, func() error {
			_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName:                 &s.table,
				Key:                       key(id, sortRecord(sequence)),
				UpdateExpression:          &expression,
				ConditionExpression:       &condition,
				ExpressionAttributeValues: more,
			})
			return err
		})
	}
	// Either it is the last one or it is not, unless another was taken away in between.
	for range attempts {
		err := remove("REMOVE todo, outbox", "todo = :sink", values{})
		if !errors.Is(err, request.ErrConflict) {
			return err
		}
		err = remove("DELETE todo :sink", "contains(todo, :name) AND size(todo) > :one", values{
			":name": &types.AttributeValueMemberS{Value: sink},
			":one":  &types.AttributeValueMemberN{Value: "1"},
		})
		if !errors.Is(err, request.ErrConflict) {
			return err
		}
		item, err := s.read(ctx, id, sortRecord(sequence))
		if err != nil || !slices.Contains(todo(item), sink) {
			return err
		}
	}
	return &StoreUnavailable{doing, errors.New("it kept changing")}
}

// Leftovers lists requests with records that were written before a time and have yet to be
// delivered, those with the oldest first. It looks at so many records at most. The index follows
// the table by some milliseconds.
func (s *Store) Leftovers(ctx context.Context, before time.Time, limit int) ([]string, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:                &s.table,
		IndexName:                aws.String(indexByOutbox),
		KeyConditionExpression:   aws.String("#outbox = :outbox AND #at <= :before"),
		ExpressionAttributeNames: map[string]string{"#outbox": "outbox", "#at": "at"},
		ExpressionAttributeValues: values{
			":outbox": &types.AttributeValueMemberS{Value: inOutbox},
			":before": &types.AttributeValueMemberS{Value: text(before)},
		},
		Limit: aws.Int32(int32(limit)), // #nosec G115 -- a constant of the caller
	})
	var ids []string
	seen := map[string]bool{}
	for records := 0; records < limit && pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, &StoreUnavailable{"listing what has yet to be delivered", err}
		}
		records += len(page.Items)
		for _, item := range page.Items {
			id := strings.TrimPrefix(stringOf(item["pk"]), prefixRequest)
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

func todo(item values) []string {
	var names struct {
		Todo []string `dynamodbav:"todo"`
	}
	_ = attributevalue.UnmarshalMap(item, &names) // what is no set has no names
	return names.Todo
}
