package dynamodb

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	indexByCreated  = "by_created"
	indexByDeadline = "by_deadline"
	indexByOutbox   = "by_outbox"
)

// filteredPage is how many requests a query looks at before it picks those in a state.
const filteredPage = 200

// List reads a page of requests, newest first. The index follows the table by some
// milliseconds, so a request may be missing from it for a moment.
func (s *Store) List(ctx context.Context, q request.Query) (request.Page, error) {
	start, err := startOf(q)
	if err != nil {
		return request.Page{}, err
	}
	if !q.State.Ended() && q.HeldAt.IsZero() {
		return s.listOpen(ctx, q, start)
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
		Limit: aws.Int32(int32(q.Limit) + 1), // #nosec G115 -- a page is at most a hundred
	}
	if q.Filters() {
		// The filter works after the limit, so that a small one would make many queries.
		input.Limit = aws.Int32(filteredPage)
		filter(input, q)
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

// mostOpen is far more than there are open requests.
const mostOpen = 10_000

// listOpen lists requests in a state that is no end. There are few of them, and they have an
// index of their own: the history, which only grows, need not be looked through.
func (s *Store) listOpen(ctx context.Context, q request.Query, start values) (
	request.Page, error,
) {
	// DynamoDB leaves out what does not fit, so that it need not be sent and read.
	open, _, err := s.byDeadline(ctx, "listing open requests", time.Time{}, mostOpen,
		func(input *dynamodb.QueryInput) { filter(input, q) })
	if err != nil {
		return request.Page{}, err
	}
	newestFirst := func(a, b request.Request) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	}
	var page request.Page
	slices.SortFunc(open, newestFirst)
	for _, r := range open {
		switch {
		case !q.Fits(r), start != nil && newestFirst(r, startRequest(start)) <= 0:
		case len(page.Requests) == q.Limit:
			page.Next = nextAfter(page.Requests[q.Limit-1])
			return page, nil
		default:
			page.Requests = append(page.Requests, r)
		}
	}
	return page, nil
}

// startRequest is the last request of the page before, as far as its place in the order goes.
func startRequest(start values) request.Request {
	var p parser // startOf has read it before
	return request.Request{
		ID:        strings.TrimPrefix(stringOf(start["pk"]), prefixRequest),
		CreatedAt: p.time(stringOf(start["created_at"])),
	}
}

// filter lets DynamoDB leave out what the query does not ask for. The range of the index is
// narrowed by a moment, too: who held a role then had asked for it before.
func filter(input *dynamodb.QueryInput, q request.Query) {
	var conditions []string
	put := func(name, text string) (placeholder, variable string) {
		placeholder, variable = "#"+name, ":"+name
		input.ExpressionAttributeNames[placeholder] = name
		input.ExpressionAttributeValues[variable] = &types.AttributeValueMemberS{Value: text}
		return placeholder, variable
	}
	equal := func(name, text string) {
		if text != "" {
			placeholder, variable := put(name, text)
			conditions = append(conditions, placeholder+" = "+variable)
		}
	}
	equal("state", string(q.State))
	equal("flow", q.Flow)
	equal("requester", q.Requester)
	if q.Target != "" {
		input.ExpressionAttributeNames["#target"] = "target"
		input.ExpressionAttributeNames["#name"] = "name"
		input.ExpressionAttributeValues[":target"] =
			&types.AttributeValueMemberS{Value: q.Target}
		conditions = append(conditions, "#target.#name = :target")
	}
	if !q.HeldAt.IsZero() {
		created, at := put("created_at", text(q.HeldAt))
		*input.KeyConditionExpression += " AND " + created + " <= " + at
		input.ExpressionAttributeNames["#granted_at"] = "granted_at"
		input.ExpressionAttributeNames["#done_at"] = "done_at"
		// Their text sorts as time does.
		conditions = append(conditions, "#granted_at <= "+at,
			"(attribute_not_exists(#done_at) OR #done_at > "+at+")")
	}
	if q.Review {
		input.ExpressionAttributeNames["#review_due"] = "review_due"
		conditions = append(conditions, "attribute_exists(#review_due)")
	}
	if len(conditions) > 0 {
		input.FilterExpression = aws.String(strings.Join(conditions, " AND "))
	}
}

// Overdue reads open requests whose deadline has come, the oldest first. The index follows the
// table by some milliseconds: what stands in the answer may have changed since. Where some cannot
// be decoded the answer has the others, beside the error.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) (
	[]request.Request, error,
) {
	found, spoilt, err := s.byDeadline(ctx, "listing overdue requests", now, limit, nil)
	return found, errors.Join(err, spoilt)
}

// Open reads open requests, and those whose review is due, the one whose deadline comes first
// before the others. They may have changed since, as with [Store.Overdue]. What cannot be decoded
// is left out: one spoilt item must not keep everybody from asking. Overdue says so.
func (s *Store) Open(ctx context.Context, limit int) ([]request.Request, error) {
	found, _, err := s.byDeadline(ctx, "listing open requests", time.Time{}, limit, nil)
	return found, err
}

// Holds tells whether a person has a target, or is about to. It asks DynamoDB about this person
// alone: everybody who asks for something needs the answer, and all open requests are much to read
// where many ask at once.
func (s *Store) Holds(ctx context.Context, person, flow, target string) (bool, error) {
	found, _, err := s.byDeadline(ctx, "looking for access that somebody has", time.Time{}, mostOpen,
		func(input *dynamodb.QueryInput) {
			filter(input, request.Query{Requester: person, Flow: flow, Target: target})
		})
	return slices.ContainsFunc(found, func(r request.Request) bool {
		return r.State == request.Approved || r.State == request.Active
	}), err
}

// byDeadline reads requests from the index by_deadline up to a time; zero is no limit. Narrow, if
// given, narrows the query. Spoilt says what cannot be decoded.
func (s *Store) byDeadline(
	ctx context.Context, doing string, until time.Time, limit int, narrow func(*dynamodb.QueryInput),
) (found []request.Request, spoilt, err error) {
	input := &dynamodb.QueryInput{
		TableName:                &s.table,
		IndexName:                aws.String(indexByDeadline),
		KeyConditionExpression:   aws.String("#open = :open"),
		ExpressionAttributeNames: map[string]string{"#open": "open"},
		ExpressionAttributeValues: values{
			":open": &types.AttributeValueMemberS{Value: stillOpen},
		},
		Limit: aws.Int32(int32(limit)), // #nosec G115 -- limits are constants of this package and of its callers
	}
	if !until.IsZero() {
		*input.KeyConditionExpression += " AND #deadline <= :until"
		input.ExpressionAttributeNames["#deadline"] = "deadline"
		input.ExpressionAttributeValues[":until"] =
			&types.AttributeValueMemberS{Value: text(until)}
	}
	if narrow != nil {
		narrow(input)
	}
	for read := 0; ; {
		answer, err := s.client.Query(ctx, input)
		if err != nil {
			return nil, nil, &StoreUnavailable{doing, err}
		}
		for _, attributes := range answer.Items {
			r, err := fromItem(attributes)
			if err != nil {
				spoilt = errors.Join(spoilt, err)
				continue
			}
			found = append(found, r)
		}
		// A page ends at 1 MB even where the limit is not reached.
		read += int(answer.ScannedCount)
		left := limit - read
		if len(answer.LastEvaluatedKey) == 0 || left <= 0 {
			return found, spoilt, nil
		}
		input.ExclusiveStartKey, input.Limit = answer.LastEvaluatedKey, aws.Int32(int32(left)) // #nosec G115 -- less than the limit
	}
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

func startOf(q request.Query) (values, error) {
	if q.Next == "" {
		return nil, nil
	}
	var at position
	var p parser
	decoded, err := base64.RawURLEncoding.DecodeString(q.Next)
	if err != nil || json.Unmarshal(decoded, &at) != nil || at.ID == "" || at.CreatedAt == "" ||
		p.time(at.CreatedAt).IsZero() ||
		// DynamoDB refuses a start outside of the range that it is to read.
		!q.HeldAt.IsZero() && at.CreatedAt > text(q.HeldAt) {
		return nil, request.ErrInvalidNext
	}
	start := key(at.ID, sortRequest)
	start["kind"] = &types.AttributeValueMemberS{Value: kindRequest}
	start["created_at"] = &types.AttributeValueMemberS{Value: at.CreatedAt}
	return start, nil
}
