package audit

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/test/sandbox/moto"
)

const (
	group  = "/sym/main/audit"
	bucket = "audit-bucket"
)

var at = time.Date(2026, 3, 3, 14, 0, 0, 123_000_000, time.UTC)

func configFor(url string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// story is a request that was asked for, approved by a rule, granted, and ended by a person.
func story(at time.Time) []delivery.Item {
	change := requesttest.New(at)
	change.Request.ID = "8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01"
	change.Request.Terms = "Bob approves."
	change.Request.Reason, change.Record.Reason = "Order 4711 — \"quoted\"\nand more", "Order 4711"
	changes := []request.Change{change}
	next := func(to request.State, act request.Act) *request.Change {
		changes = append(changes, changes[len(changes)-1].Request.Change(to, act))
		return &changes[len(changes)-1]
	}
	next(request.Approved, request.Act{
		Action: request.ActionApprove, By: request.ByRules, At: at.Add(time.Second),
		Rule: "on_call", Because: "requester.email is on call",
	})
	granted := next(request.Active, request.Act{
		Action: request.ActionGrant, By: request.ByWorkflow, At: at.Add(2 * time.Second),
		Rule: request.RuleGranted,
	})
	granted.Request.ExpiresAt = at.Add(time.Hour)
	granted.Request.DatabaseUser = "alice"
	last := next(request.Revoking, request.Act{
		Action: request.ActionRevoke, By: "alice@example.com", At: at.Add(3 * time.Second),
		Rule: request.RuleRequester, Reason: "Done with it.",
	}).Request
	var items []delivery.Item
	for _, change := range changes {
		items = append(items, delivery.Item{Request: last, Record: change.Record})
	}
	return items
}

// TestDocument holds the form of what auditors read.
func TestDocument(t *testing.T) {
	items := story(at)
	facts := `"requester":"alice@example.com","flow":"postgres","target":"postgres-readonly",
		"target_type":"postgres","role":"readonly",
		"function_arn":"arn:aws:lambda:us-east-1:123456789012:function:sym-postgres",
		"reason":"Order 4711 — \"quoted\"\nand more","duration_seconds":1800,
		"terms":"Bob approves.","created_at":"2026-03-03T14:00:00.123Z"`
	encoded, err := encode(items[1])
	require.NoError(t, err)
	assert.JSONEq(t, `{"request_id":"8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01","sequence":2,
		"at":"2026-03-03T14:00:01.123Z","by":"rules","action":"approve","from":"requested",
		"to":"approved","rule":"on_call","because":"requester.email is on call",
		"request":{`+facts+`}}`, string(encoded))
	encoded, err = encode(items[3])
	require.NoError(t, err)
	assert.JSONEq(t, `{"request_id":"8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01","sequence":4,
		"at":"2026-03-03T14:00:03.123Z","by":"alice@example.com","action":"revoke",
		"from":"active","to":"revoking","reason":"Done with it.","rule":"requester",
		"request":{`+facts+`,"database_user":"alice","granted_at":"2026-03-03T14:00:02.123Z",
		"expires_at":"2026-03-03T15:00:00.123Z"}}`, string(encoded))

	// A record has the same document whenever it is delivered.
	early := items[1]
	early.Request = requesttest.New(at).Request
	early.Request.ID, early.Request.Reason = items[1].Request.ID, items[1].Request.Reason
	early.Request.Terms = items[1].Request.Terms
	before, err := encode(early)
	require.NoError(t, err)
	after, err := encode(items[1])
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

// TestPlaces delivers to a log group and a bucket as moto keeps them.
func TestPlaces(t *testing.T) {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	cfg := configFor(server.URL())
	t.Run("log", func(t *testing.T) { testLog(t, cloudwatchlogs.NewFromConfig(cfg)) })
	t.Run("bucket", func(t *testing.T) { testBucket(t, s3.NewFromConfig(cfg)) })
}

func testLog(t *testing.T, client *cloudwatchlogs.Client) {
	ctx := t.Context()
	_, err := client.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{
		LogGroupName: aws.String(group),
	})
	require.NoError(t, err)
	log := NewLog(client, group)
	items := story(time.Now().Truncate(time.Millisecond))
	stream := items[0].Request.ID

	// The first one's stream is not there yet, whether or not somebody has tried before.
	items[0].Again = true
	for range 2 {
		require.NoError(t, log.Deliver(ctx, items[0]))
	}
	for i, item := range items[1:] {
		require.NoError(t, log.Deliver(ctx, item))
		// Whoever does not know looks, and finds it or not.
		for _, item := range items[:i+2] {
			item.Again = true
			require.NoError(t, log.Deliver(ctx, item))
		}
	}
	answer, err := client.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: aws.String(group), LogStreamName: &stream, StartFromHead: aws.Bool(true),
	})
	require.NoError(t, err)
	require.Len(t, answer.Events, len(items))
	for i, event := range answer.Events {
		want, err := encode(items[i])
		require.NoError(t, err)
		assert.Equal(t, string(want), *event.Message)
		assert.Equal(t, items[i].Record.At.UnixMilli(), *event.Timestamp)
	}

	missing := NewLog(client, "/no/such/group")
	assert.ErrorContains(t, missing.Deliver(ctx, items[0]), "/no/such/group")
}

func testBucket(t *testing.T, client *s3.Client) {
	ctx := t.Context()
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true),
	})
	require.NoError(t, err)
	sink := NewBucket(client, bucket)
	for _, item := range story(at) {
		require.NoError(t, sink.Deliver(ctx, item))
		changed := item
		changed.Record.Reason = "It was not me."
		require.NoError(t, sink.Deliver(ctx, changed), "it is there")

		key := "audit/2026/03/03/8c1f6c5e-64a6-4a3d-a9dc-6b5b7e3c3f01/000" +
			string('0'+rune(item.Record.Sequence)) + ".json"
		object, err := client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled,
		})
		require.NoError(t, err)
		got, err := io.ReadAll(object.Body)
		require.NoError(t, err)
		want, err := encode(item)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
		assert.NotEmpty(t, aws.ToString(object.ChecksumSHA256))
	}
	missing := NewBucket(client, "no-such-bucket")
	assert.ErrorContains(t, missing.Deliver(ctx, story(at)[0]), "no-such-bucket")
}

// TestAnswers has CloudWatch Logs give answers that moto does not.
func TestAnswers(t *testing.T) {
	failure := func(name string) string { return `{"__type":"` + name + `","message":"no"}` }
	tests := []struct {
		name    string
		answers []string // the last one is repeated
		calls   []string
		fails   string
	}{
		{"too old for its own time", []string{
			`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`, `{}`,
		}, []string{"PutLogEvents", "PutLogEvents"}, ""},
		{"too old for any", []string{
			`{"rejectedLogEventsInfo":{"expiredLogEventEndIndex":1}}`,
		}, []string{"PutLogEvents", "PutLogEvents"}, "refused for its time"},
		{"there already", []string{failure("DataAlreadyAcceptedException")},
			[]string{"PutLogEvents"}, ""},
		{"stream made by another", []string{
			failure("ResourceNotFoundException"), failure("ResourceAlreadyExistsException"), `{}`,
		}, []string{"PutLogEvents", "CreateLogStream", "PutLogEvents"}, ""},
		// Not a second time, since the first may have got through.
		{"out of order", []string{failure("ServiceUnavailableException")},
			[]string{"PutLogEvents"}, "ServiceUnavailable"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var calls []string
			server := httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					target := r.Header.Get("X-Amz-Target")
					calls = append(calls, target[strings.LastIndex(target, ".")+1:])
					answer := test.answers[min(len(calls), len(test.answers))-1]
					w.Header().Set("Content-Type", "application/x-amz-json-1.1")
					switch {
					case strings.Contains(answer, "ServiceUnavailable"):
						w.WriteHeader(http.StatusServiceUnavailable)
					case strings.Contains(answer, "__type"):
						w.WriteHeader(http.StatusBadRequest)
					}
					_, _ = io.WriteString(w, answer)
				}))
			defer server.Close()
			log := NewLog(cloudwatchlogs.NewFromConfig(configFor(server.URL)), group)
			err := log.Deliver(t.Context(), story(at)[0])
			assert.Equal(t, test.calls, calls)
			if test.fails == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.fails)
		})
	}
}
