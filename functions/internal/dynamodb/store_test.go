package dynamodb

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/dynamodb/dynamodbtest"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/test/sandbox/moto"
)

// TestStore runs the suite of every store against DynamoDB as moto keeps it, and then what only
// this one can.
func TestStore(t *testing.T) {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := clientFor(server.URL())
	for _, table := range []string{"requests", "outbox"} {
		require.NoError(t, dynamodbtest.CreateTable(t.Context(), client, table))
	}
	t.Run("suite", func(t *testing.T) {
		requesttest.TestStore(t, New(client, "requests", "log", "slack"))
	})
	t.Run("notes", func(t *testing.T) { testNotes(t, New(client, "requests")) })
	t.Run("open", func(t *testing.T) { testOpen(t, New(client, "requests")) })
	t.Run("outbox", func(t *testing.T) { testOutbox(t, client) })
	t.Run("lease", func(t *testing.T) { testLease(t, New(client, "requests")) })
}

// TestContention has a DynamoDB that cancels transactions since they met others, as the real
// one does and moto does not.
func TestContention(t *testing.T) {
	const conflict = `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
		"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}`
	const refused = `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
		"CancellationReasons":[{"Code":"ConditionalCheckFailed"},{"Code":"None"}]}`
	tests := []struct {
		name    string
		answers []string // the last is repeated; an empty one is a success
		calls   int32
		check   func(t *testing.T, err error)
	}{
		{"wins after some tries", []string{conflict, conflict, ""}, 3,
			func(t *testing.T, err error) { assert.NoError(t, err) }},
		{"loses after a try", []string{conflict, refused}, 2,
			func(t *testing.T, err error) { assert.ErrorIs(t, err, request.ErrConflict) }},
		{"gives up", []string{conflict}, attempts,
			func(t *testing.T, err error) {
				unavailable, ok := errors.AsType[*StoreUnavailable](err)
				require.True(t, ok, "%v", err)
				assert.NotErrorIs(t, unavailable, request.ErrConflict)
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					n := int(calls.Add(1))
					answer := test.answers[min(n, len(test.answers))-1]
					w.Header().Set("Content-Type", "application/x-amz-json-1.0")
					if answer == "" {
						_, _ = w.Write([]byte(`{}`))
						return
					}
					w.WriteHeader(http.StatusBadRequest)
					_, _ = w.Write([]byte(answer))
				}))
			defer server.Close()
			store := New(clientFor(server.URL), "requests")
			first := requesttest.New(time.Now())
			test.check(t, store.Apply(t.Context(), first.Request.Change(request.Denied,
				request.Act{At: time.Now()})))
			assert.Equal(t, test.calls, calls.Load())
		})
	}
}

// TestUnreachable checks that an outage has the name that the state machine knows.
func TestUnreachable(t *testing.T) {
	store := New(clientFor("http://127.0.0.1:1"), "requests")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := store.Get(ctx, "x")
	_, ok := errors.AsType[*StoreUnavailable](err)
	assert.True(t, ok, "%T: %v", err, err)
}

func clientFor(url string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: &url,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// TestSpoiltItem checks that an item which nobody can read keeps no other one from being seen.
func TestSpoiltItem(t *testing.T) {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := clientFor(server.URL())
	require.NoError(t, dynamodbtest.CreateTable(t.Context(), client, "requests"))
	store := New(client, "requests")
	good, bad := requesttest.New(time.Now()), requesttest.New(time.Now().Add(-time.Minute))
	require.NoError(t, store.Create(t.Context(), bad))
	require.NoError(t, store.Create(t.Context(), good))
	_, err = client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("requests"), Key: key(bad.Request.ID, sortRequest),
		UpdateExpression: aws.String("SET created_at = :odd"),
		ExpressionAttributeValues: values{
			":odd": &types.AttributeValueMemberS{Value: "yesterday"},
		},
	})
	require.NoError(t, err)

	overdue, err := store.Overdue(t.Context(), time.Now().Add(48*time.Hour), 10)
	assert.ErrorContains(t, err, bad.Request.ID)
	require.Len(t, overdue, 1)
	assert.Equal(t, good.Request.ID, overdue[0].ID)
	open, err := store.Open(t.Context(), 10)
	require.NoError(t, err)
	assert.Len(t, open, 1)
}
