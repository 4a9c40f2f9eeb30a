package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"sym-postgres-quickstart/functions/internal/request"
)

const sortLease = "lease"

// ErrLeased says that somebody else holds a request's lease.
var ErrLeased = errors.New("somebody else holds the lease")

// Lease is the right of one to deliver a request's records, for some time.
type Lease struct {
	RequestID string

	// Abandoned says that who had it before never gave it back: they may have delivered
	// anything that is undelivered.
	Abandoned bool

	// Failed says which sinks failed to take a record at last, and when. Whoever gives the
	// lease back leaves here what the next one has to know.
	Failed map[string]time.Time

	holder string
}

// leaseItem is a lease as the table has it. It is never deleted: given back, it ends at once.
type leaseItem struct {
	Holder string            `dynamodbav:"holder"`
	Until  string            `dynamodbav:"until"` // empty where it was given back
	Failed map[string]string `dynamodbav:"failed,omitempty"`
}

// Lease takes a request's lease until a time; [ErrLeased] if somebody else has it.
func (s *Store) Lease(ctx context.Context, id string, now, until time.Time) (*Lease, error) {
	lease := &Lease{RequestID: id, Failed: map[string]time.Time{}, holder: uuid.NewString()}
	update := newUpdate()
	update.set("holder", &types.AttributeValueMemberS{Value: lease.holder})
	update.set("until", &types.AttributeValueMemberS{Value: text(until)})
	update.require("holder", &types.AttributeValueMemberS{Value: lease.holder})
	update.names["#until"] = "until"
	update.values[":now"] = &types.AttributeValueMemberS{Value: text(now)}
	var answer *dynamodb.UpdateItemOutput
	err := retryContention(ctx, "taking the lease of the request "+id, func() (err error) {
		answer, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:        &s.table,
			Key:              key(id, sortLease),
			UpdateExpression: aws.String(update.expression()),
			// Nothing is before every time. It may be ours already, where the SDK tries again.
			ConditionExpression: aws.String("attribute_not_exists(pk) OR #until <= :now OR " +
				update.condition()),
			ExpressionAttributeNames:  update.names,
			ExpressionAttributeValues: update.values,
			ReturnValues:              types.ReturnValueAllOld,
		})
		return err
	})
	if errors.Is(err, request.ErrConflict) {
		return nil, ErrLeased
	}
	if err != nil {
		return nil, err
	}
	var before leaseItem
	if err := attributevalue.UnmarshalMap(answer.Attributes, &before); err != nil {
		return nil, fmt.Errorf("decoding the lease of the request %s: %w", id, err)
	}
	lease.Abandoned = before.Until != ""
	var p parser
	for sink, at := range before.Failed {
		lease.Failed[sink] = p.time(at)
	}
	return lease, p.err
}

// Release gives a lease back; nothing happens if somebody else has taken it meanwhile, since it
// was over.
func (s *Store) Release(ctx context.Context, lease *Lease) error {
	item := leaseItem{Holder: lease.holder, Failed: map[string]string{}}
	for sink, at := range lease.Failed {
		item.Failed[sink] = text(at)
	}
	attributes, err := attributevalue.MarshalMap(item)
	if err != nil {
		return fmt.Errorf("encoding the lease of the request %s: %w", lease.RequestID, err)
	}
	for name, value := range key(lease.RequestID, sortLease) {
		attributes[name] = value
	}
	err = retryContention(ctx, "giving back the lease of the request "+lease.RequestID,
		func() error {
			_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
				TableName:           &s.table,
				Item:                attributes,
				ConditionExpression: aws.String("holder = :holder"),
				ExpressionAttributeValues: values{
					":holder": &types.AttributeValueMemberS{Value: lease.holder},
				},
			})
			return err
		})
	if errors.Is(err, request.ErrConflict) {
		return nil
	}
	return err
}
