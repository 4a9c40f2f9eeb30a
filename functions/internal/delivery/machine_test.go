package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/audit"
	"sym-postgres-quickstart/functions/internal/delivery"
	"sym-postgres-quickstart/functions/internal/dynamodb"
	"sym-postgres-quickstart/functions/internal/dynamodb/dynamodbtest"
	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/test/sandbox/moto"
)

const (
	table  = "requests"
	group  = "/sym/main/audit"
	bucket = "audit-bucket"
)

// cloud is an AWS with a table, a log group and a bucket.
type cloud struct {
	t   *testing.T
	url string
	now *requesttest.Clock
}

func newCloud(t *testing.T) *cloud {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c := &cloud{t: t, url: server.URL(), now: requesttest.NewClock()}
	m := c.machine()
	_, err = m.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{
		LogGroupName: aws.String(group),
	})
	require.NoError(t, err)
	// With a lock as modules/sym-runtime makes it.
	_, err = m.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true),
	})
	require.NoError(t, err)
	_, err = m.s3.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket: aws.String(bucket),
		ObjectLockConfiguration: &s3types.ObjectLockConfiguration{
			ObjectLockEnabled: s3types.ObjectLockEnabledEnabled,
			Rule: &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{
				Days: aws.Int32(1), Mode: s3types.ObjectLockRetentionModeGovernance,
			}},
		},
	})
	require.NoError(t, err)
	require.NoError(t, dynamodbtest.CreateTable(t.Context(), m.dynamodb, table))
	return c
}

// machine is one invocation of the function, with clients of its own, that may come to its end
// at any of its calls.
type machine struct {
	dynamodb *awsdynamodb.Client
	logs     *cloudwatchlogs.Client
	s3       *s3.Client

	mu    sync.Mutex
	calls int
	// dieAt is the call at which the machine comes to its end, from 1 on; zero for never. That
	// call still arrives if answerLost says so.
	dieAt      int
	answerLost bool
}

var errDead = errors.New("the machine has come to its end")

// RoundTrip implements [http.RoundTripper].
func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.calls++
	call := m.calls
	m.mu.Unlock()
	if m.dieAt > 0 && (call > m.dieAt || call == m.dieAt && !m.answerLost) {
		return nil, errDead
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && call == m.dieAt {
		_ = answer.Body.Close()
		return nil, errDead
	}
	return answer, err
}

// died tells whether the machine came to its end.
func (m *machine) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dieAt > 0 && m.calls >= m.dieAt
}

// machine is one that lives as long as it likes.
func (c *cloud) machine() *machine { return c.mortal(0, false) }

func (c *cloud) mortal(dieAt int, answerLost bool) *machine {
	m := &machine{dieAt: dieAt, answerLost: answerLost}
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: &c.url, HTTPClient: &http.Client{Transport: m},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	if dieAt > 0 {
		// The dead try nothing again.
		config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	}
	m.dynamodb = awsdynamodb.NewFromConfig(config)
	m.logs = cloudwatchlogs.NewFromConfig(config)
	m.s3 = s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	return m
}

// store is the table as the machine sees it. Its records go to the log, the bucket and others.
func (m *machine) store(others ...string) *dynamodb.Store {
	return dynamodb.New(m.dynamodb, table,
		append([]string{audit.LogName, audit.BucketName}, others...)...)
}

// courier is a machine's courier, with the log, the bucket and others as its sinks.
func (c *cloud) courier(m *machine, others ...delivery.Sink) *delivery.Courier {
	return &delivery.Courier{
		Outbox: m.store(),
		Sinks: append([]delivery.Sink{
			audit.NewLog(m.logs, group), audit.NewBucket(m.s3, bucket),
		}, others...),
		Report: func(context.Context, request.Trouble) {},
		Now:    c.now.Now,
		Log:    slog.New(slog.DiscardHandler),
	}
}

// write writes a request that was asked for, approved and granted, and returns its id.
func (c *cloud) write(store *dynamodb.Store) request.Change {
	at := c.now.Now()
	act := func(action string) request.Act {
		return request.Act{Action: action, By: "bob@example.com", At: at, Rule: "approver"}
	}
	first := requesttest.New(at)
	second := first.Request.Change(request.Approved, act(request.ActionApprove))
	require.NoError(c.t, store.Create(c.t.Context(), first, second))
	third := second.Request.Change(request.Active, act(request.ActionGrant))
	require.NoError(c.t, store.Apply(c.t.Context(), third))
	return third
}

// logged are the sequences in a request's stream, in their order.
func (c *cloud) logged(id string) []int {
	answer, err := c.machine().logs.GetLogEvents(context.Background(),
		&cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(group), LogStreamName: &id, StartFromHead: aws.Bool(true),
		})
	if err != nil {
		require.ErrorContains(c.t, err, "ResourceNotFoundException")
		return nil
	}
	var sequences []int
	for _, event := range answer.Events {
		var d struct {
			RequestID string `json:"request_id"`
			Sequence  int    `json:"sequence"`
		}
		require.NoError(c.t, json.Unmarshal([]byte(*event.Message), &d))
		require.Equal(c.t, id, d.RequestID)
		sequences = append(sequences, d.Sequence)
	}
	return sequences
}

// kept are the names of a request's objects in the bucket, each as often as it was written.
func (c *cloud) kept(id string) []string {
	answer, err := c.machine().s3.ListObjectVersions(context.Background(),
		&s3.ListObjectVersionsInput{Bucket: aws.String(bucket)})
	require.NoError(c.t, err)
	var names []string
	for _, version := range answer.Versions {
		if strings.Contains(*version.Key, id) {
			names = append(names, *version.Key)
		}
	}
	slices.Sort(names)
	return names
}

// left are the names of the sinks that have yet to get records of a request.
func (c *cloud) left(id string) []string {
	todo, err := c.machine().store().Undelivered(context.Background(), id)
	require.NoError(c.t, err)
	var names []string
	for _, u := range todo {
		for _, name := range u.Sinks {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// spy is a sink that writes down what it takes, and does what the test says.
type spy struct {
	name string
	do   func(delivery.Item) error

	mu    sync.Mutex
	taken []int
	again []bool
}

func (s *spy) Name() string { return s.name }

func (s *spy) Deliver(_ context.Context, item delivery.Item) error {
	if s.do != nil {
		if err := s.do(item); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, item.Record.Sequence)
	s.again = append(s.again, item.Again)
	return nil
}

func (s *spy) got() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// later is longer than any rest or lease.
const later = 2 * time.Minute
