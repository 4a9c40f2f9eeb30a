package dynamodb

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	indexByCreated  = "by_created"
	indexByDeadline = "by_deadline"
)

// filteredPage is how many requests a query looks at before it picks those in a state.
const filteredPage = 200

// List reads a page of requests, newest first. The index follows the table by some
// milliseconds, so a request may be missing from it for a moment.
func (s *Store) List(ctx context.Context, q request.Query) (request.Page, error) {
	start, err := startOf(q.Next)
	if err != nil {
		return request.Page{}, err
	}
	input := &dynamodb.QueryInput{
		TableName:              &s.table,
		IndexName:              aws.String(indexByCreated),
		KeyConditionExpression: aws.String("#kind = :kind"),
		ExpressionAttributeNames: map[string]string{
			"#kind": "kind",
		},
		ExpressionAttributeValues: values{
			":kind": &types.AttributeValueMemberS{Value: kindRequest},
		},
		ScanIndexForward:  aws.Bool(false),
		ExclusiveStartKey: start,
		// One more than asked for tells whether there is another page.
		Limit: aws.Int32(int32(q.Limit) + 1),
	}
	if q.State != "" {
		// The filter works after the limit, so that a small one would make many queries.
		input.Limit = aws.Int32(filteredPage)
		input.FilterExpression = aws.String("#state = :state")
		input.ExpressionAttributeNames["#state"] = "state"
		input.ExpressionAttributeValues[":state"] =
			&types.AttributeValueMemberS{Value: string(q.State)}
	}
	var page request.Page
	for {
		answer, err := s.client.Query(ctx, input)
		if err != nil {
			return request.Page{}, &StoreUnavailable{"listing requests", err}
		}
		for _, attributes := range answer.Items {
			if len(page.Requests) == q.Limit {
				page.Next = nextAfter(page.Requests[q.Limit-1])
				return page, nil
			}
			r, err := fromItem(attributes)
			if err != nil {
				return request.Page{}, err
			}
			page.Requests = append(page.Requests, r)
		}
		// With a filter a page may be short, or empty, before the end.
		if len(answer.LastEvaluatedKey) == 0 {
			return page, nil
		}
		input.ExclusiveStartKey = answer.LastEvaluatedKey
	}
}

// Overdue reads open requests whose deadline has come, the oldest first. The index follows the
// table by some milliseconds: what stands in the answer may have changed since.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) (
	[]request.Request, error,
) {
	answer, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:              &s.table,
		IndexName:              aws.String(indexByDeadline),
		KeyConditionExpression: aws.String("#open = :open AND #deadline <= :now"),
		ExpressionAttributeNames: map[string]string{
			"#open": "open", "#deadline": "deadline",
		},
		ExpressionAttributeValues: values{
			":open": &types.AttributeValueMemberS{Value: stillOpen},
			":now":  &types.AttributeValueMemberS{Value: text(now)},
		},
		Limit: aws.Int32(int32(limit)),
	})
	if err != nil {
		return nil, &StoreUnavailable{"listing overdue requests", err}
	}
	var overdue []request.Request
	for _, attributes := range answer.Items {
		r, err := fromItem(attributes)
		if err != nil {
			return nil, err
		}
		overdue = append(overdue, r)
	}
	return overdue, nil
}

// position is where a page ended.
type position struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
}

func nextAfter(r request.Request) string {
	encoded, _ := json.Marshal(position{r.ID, text(r.CreatedAt)}) // two strings always marshal
	return base64.RawURLEncoding.EncodeToString(encoded)
}

func startOf(next string) (values, error) {
	if next == "" {
		return nil, nil
	}
	var at position
	var p parser
	decoded, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil || json.Unmarshal(decoded, &at) != nil || at.ID == "" || at.CreatedAt == "" ||
		p.time(at.CreatedAt).IsZero() {
		return nil, request.ErrInvalidNext
	}
	start := key(at.ID, sortRequest)
	start["kind"] = &types.AttributeValueMemberS{Value: kindRequest}
	start["created_at"] = &types.AttributeValueMemberS{Value: at.CreatedAt}
	return start, nil
}
