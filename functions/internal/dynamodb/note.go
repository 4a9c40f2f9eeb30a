package dynamodb

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	prefixNote  = "note#"
	sortSlack   = "slack"
	sortCopies  = "slack-copies"
	sortFailure = "failure"
)

// Note remembers something about a request, and tells whether it is new. Of several at once one
// is the first.
func (s *Store) Note(ctx context.Context, id, name string) (first bool, err error) {
	// Where the SDK tries again, after an answer that was lost, the note there is our own.
	by := &types.AttributeValueMemberS{Value: uuid.NewString()}
	item := key(id, prefixNote+name)
	item["noted_by"] = by
	err = retryContention(ctx, "noting "+name+" of the request "+id, func() error {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName:                 &s.table,
			Item:                      item,
			ConditionExpression:       aws.String("attribute_not_exists(pk) OR noted_by = :by"),
			ExpressionAttributeValues: values{":by": by},
		})
		return err
	})
	if errors.Is(err, request.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Noted tells whether something was noted about a request.
func (s *Store) Noted(ctx context.Context, id, name string) (bool, error) {
	item, err := s.read(ctx, id, prefixNote+name)
	return len(item) > 0, err
}

// KeepFailure keeps why a step of a request's workflow failed, in place of what was kept before.
func (s *Store) KeepFailure(ctx context.Context, id string, f request.Failure) error {
	item := key(id, sortFailure)
	item["step"] = &types.AttributeValueMemberS{Value: f.Step}
	item["reason"] = &types.AttributeValueMemberS{Value: f.Reason}
	item["at"] = &types.AttributeValueMemberS{Value: text(f.At)}
	return retryContention(ctx, "keeping why a step of the request "+id+" failed", func() error {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: item})
		return err
	})
}

// LastFailure is what was kept by [Store.KeepFailure] at last; zero where nothing was.
func (s *Store) LastFailure(ctx context.Context, id string) (request.Failure, error) {
	item, err := s.read(ctx, id, sortFailure)
	if err != nil || len(item) == 0 {
		return request.Failure{}, err
	}
	var p parser
	f := request.Failure{
		Step: stringOf(item["step"]), Reason: stringOf(item["reason"]),
		At: p.time(stringOf(item["at"])),
	}
	return f, p.err
}

// SlackMessage is where a request's message in Slack is; empty where there is none yet.
func (s *Store) SlackMessage(ctx context.Context, id string) (channel, ts string, err error) {
	item, err := s.read(ctx, id, sortSlack)
	return stringOf(item["channel"]), stringOf(item["ts"]), err
}

// SaveSlackMessage keeps where a request's message in Slack is, in place of where it was.
func (s *Store) SaveSlackMessage(ctx context.Context, id, channel, ts string) error {
	item := key(id, sortSlack)
	item["channel"] = &types.AttributeValueMemberS{Value: channel}
	item["ts"] = &types.AttributeValueMemberS{Value: ts}
	return retryContention(ctx, "keeping the Slack message of the request "+id, func() error {
		_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: item})
		return err
	})
}

// AddSlackCopy keeps where a direct message about a request is, and of which kind.
func (s *Store) AddSlackCopy(ctx context.Context, id, kind, channel, ts string) error {
	return retryContention(ctx, "keeping a Slack message of the request "+id, func() error {
		_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:        &s.table,
			Key:              key(id, sortCopies),
			UpdateExpression: aws.String("ADD copies :one"),
			ExpressionAttributeValues: values{":one": &types.AttributeValueMemberSS{
				Value: []string{strings.Join([]string{kind, channel, ts}, " ")},
			}},
		})
		return err
	})
}

// SlackCopies lists what was kept by [Store.AddSlackCopy]: kind, channel and time stamp of each.
func (s *Store) SlackCopies(ctx context.Context, id string) ([][3]string, error) {
	item, err := s.read(ctx, id, sortCopies)
	if err != nil {
		return nil, err
	}
	var all [][3]string
	if set, ok := item["copies"].(*types.AttributeValueMemberSS); ok {
		for _, text := range set.Value {
			if parts := strings.Fields(text); len(parts) == 3 {
				all = append(all, [3]string(parts))
			}
		}
	}
	return all, nil
}

// read reads one item of a request as it is now; nil where there is none.
func (s *Store) read(ctx context.Context, id, sort string) (values, error) {
	answer, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		Key:            key(id, sort),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, &StoreUnavailable{"reading the item " + sort + " of the request " + id, err}
	}
	return answer.Item, nil
}

func stringOf(value types.AttributeValue) string {
	if s, ok := value.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
