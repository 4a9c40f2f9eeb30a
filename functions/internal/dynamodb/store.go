// Package dynamodb keeps requests and their audit records in the Runtime's table.
//
// A request is the item with the partition key "request#<id>" and the sort key "request"; its
// audit records stand beside it under "audit#<sequence>". The index by_created lists requests
// by their time of creation, the index by_deadline those that are open by their deadline.
//
// What else belongs to a request are items of its partition, too, so that writing them never
// meets its transitions: notes ("note#<name>"), where its message in Slack is ("slack") and where
// direct messages about it are ("slack-copies"), why a step failed at last ("failure"), and the
// lease of who delivers its records ("lease"). The index by_outbox lists the records that have yet
// to be delivered.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sym-postgres-quickstart/functions/internal/request"
)

// StoreUnavailable says that the table could not be read or written. It may work later.
type StoreUnavailable struct {
	Doing string // what could not be done
	Err   error
}

// Error says what could not be done, and why.
func (e *StoreUnavailable) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap is the failure behind.
func (e *StoreUnavailable) Unwrap() error { return e.Err }

// Store is a table of requests. It implements [request.Store].
type Store struct {
	client *dynamodb.Client
	table  string
	sinks  []string
}

// New makes a store of a table that exists. Each record is written with the names of the sinks
// that it has to be delivered to from then on, see [Store.Undelivered].
func New(client *dynamodb.Client, table string, sinks ...string) *Store {
	return &Store{client: client, table: table, sinks: sinks}
}

type values = map[string]types.AttributeValue

func key(id, sort string) values {
	return values{
		"pk": &types.AttributeValueMemberS{Value: prefixRequest + id},
		"sk": &types.AttributeValueMemberS{Value: sort},
	}
}

// Create writes a new request with its records, all or nothing.
func (s *Store) Create(ctx context.Context, changes ...request.Change) error {
	last := changes[len(changes)-1].Request
	item, err := attributevalue.MarshalMap(toItem(last))
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", last.ID, err)
	}
	for name, value := range key(last.ID, sortRequest) {
		item[name] = value
	}
	return s.write(ctx, changes, types.TransactWriteItem{Put: &types.Put{
		TableName:           &s.table,
		Item:                item,
		ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}})
}

// Apply writes a transition and its record, both or neither. The condition on the state is
// what lets one decision win; the one on the version keeps the records in their sequence.
//
// It sets the attributes one by one instead of putting the item: the workflow may be storing
// a token at this moment, and a put would lose it.
func (s *Store) Apply(ctx context.Context, change request.Change) error {
	item, err := attributevalue.MarshalMap(toItem(change.Request))
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", change.Request.ID, err)
	}
	update := newUpdate()
	for name, value := range item {
		update.set(name, value)
	}
	for _, name := range vanishing {
		if _, given := item[name]; !given {
			update.remove(name)
		}
	}
	update.require("state", &types.AttributeValueMemberS{Value: string(change.Record.From)})
	update.require("version",
		&types.AttributeValueMemberN{Value: strconv.Itoa(change.Request.Version - 1)})
	return s.write(ctx, []request.Change{change}, types.TransactWriteItem{Update: &types.Update{
		TableName:                 &s.table,
		Key:                       key(change.Request.ID, sortRequest),
		UpdateExpression:          aws.String(update.expression()),
		ConditionExpression:       aws.String(update.condition()),
		ExpressionAttributeNames:  update.names,
		ExpressionAttributeValues: update.values,
	}})
}

// write runs the transaction of a request's item and its audit records.
func (s *Store) write(
	ctx context.Context, changes []request.Change, item types.TransactWriteItem,
) error {
	id := changes[0].Request.ID
	items := []types.TransactWriteItem{item}
	for _, change := range changes {
		record, err := attributevalue.MarshalMap(s.toRecordItem(change))
		if err != nil {
			return fmt.Errorf("encoding a record of the request %s: %w", id, err)
		}
		for name, value := range key(id, sortRecord(change.Record.Sequence)) {
			record[name] = value
		}
		items = append(items, types.TransactWriteItem{Put: &types.Put{
			TableName:           &s.table,
			Item:                record,
			ConditionExpression: aws.String("attribute_not_exists(pk)"),
		}})
	}
	return retryContention(ctx, "writing the request "+id, func() error {
		_, err := s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
			TransactItems: items,
		})
		return err
	})
}

// StoreAskToken keeps the token of the wait for a decision, and returns the request as it is
// from that moment on.
func (s *Store) StoreAskToken(ctx context.Context, id, token string) (request.Request, error) {
	return s.storeToken(ctx, id, "ask_token", token)
}

// StoreHoldToken keeps the token of the wait for the end of the access, and returns the
// request as it is from that moment on.
func (s *Store) StoreHoldToken(ctx context.Context, id, token string) (request.Request, error) {
	return s.storeToken(ctx, id, "hold_token", token)
}

// storeToken sets one attribute and leaves the state and its version alone: a token is no
// transition. The answer is the item after this very write, as nobody else can change it in
// between.
func (s *Store) storeToken(ctx context.Context, id, name, token string) (
	request.Request, error,
) {
	update := newUpdate()
	update.set(name, &types.AttributeValueMemberS{Value: token})
	var answer *dynamodb.UpdateItemOutput
	err := retryContention(ctx, "storing a token of the request "+id, func() (err error) {
		answer, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &s.table,
			Key:                       key(id, sortRequest),
			UpdateExpression:          aws.String(update.expression()),
			ConditionExpression:       aws.String("attribute_exists(pk)"),
			ExpressionAttributeNames:  update.names,
			ExpressionAttributeValues: update.values,
			ReturnValues:              types.ReturnValueAllNew,
		})
		return err
	})
	if errors.Is(err, request.ErrConflict) {
		return request.Request{}, request.ErrNotFound
	}
	if err != nil {
		return request.Request{}, err
	}
	return fromItem(answer.Attributes)
}

// Get reads a request with a consistent read: what was written before is seen.
func (s *Store) Get(ctx context.Context, id string) (request.Request, error) {
	answer, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		Key:            key(id, sortRequest),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return request.Request{}, &StoreUnavailable{"reading the request " + id, err}
	}
	if len(answer.Item) == 0 {
		return request.Request{}, request.ErrNotFound
	}
	return fromItem(answer.Item)
}

// Records reads the audit records of a request, oldest first.
func (s *Store) Records(ctx context.Context, id string) ([]request.Record, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:              &s.table,
		KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :audit)"),
		ExpressionAttributeValues: values{
			":pk":    key(id, "")["pk"],
			":audit": &types.AttributeValueMemberS{Value: prefixRecord},
		},
		ConsistentRead: aws.Bool(true),
	})
	var records []request.Record
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, &StoreUnavailable{"reading the records of the request " + id, err}
		}
		for _, item := range page.Items {
			record, err := fromRecordItem(item)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
		}
	}
	return records, nil
}

// attempts is how often a write is tried that met another one. DynamoDB cancels such writes
// instead of letting them wait, and the SDK hands that to us. Each try takes some milliseconds.
const attempts = 8

// retryContention runs a write until it met no other write, and turns its error into one of
// the domain's: [request.ErrConflict] where a condition did not hold, else [StoreUnavailable].
func retryContention(ctx context.Context, doing string, write func() error) error {
	for attempt := 1; ; attempt++ {
		err := write()
		if err == nil {
			return nil
		}
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) || cancelledFor(err, "ConditionalCheckFailed") {
			return request.ErrConflict
		}
		var contended *types.TransactionConflictException
		if attempt == attempts ||
			!errors.As(err, &contended) && !cancelledFor(err, "TransactionConflict") {
			return &StoreUnavailable{doing, err}
		}
		select {
		case <-ctx.Done():
			return &StoreUnavailable{doing, ctx.Err()}
		case <-time.After(time.Duration(attempt*attempt) * 5 * time.Millisecond):
		}
	}
}

// cancelledFor tells whether a transaction was cancelled for that reason. Codes:
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func cancelledFor(err error, code string) bool {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return false
	}
	for _, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) == code {
			return true
		}
	}
	return false
}
