package secrets

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request/requesttest"
	"sym-postgres-quickstart/test/sandbox/moto"
)

const (
	connectorARN = "arn:aws:iam::123456789012:role/sym/SymRuntimeMain"
	externalID   = "11111111-2222-4333-8444-555555555555"
)

// world has a secret in moto, and counts how often it is read.
type world struct {
	t      *testing.T
	admin  *secretsmanager.Client
	shared *Shared
	clock  *requesttest.Clock
	log    bytes.Buffer
	reads  atomic.Int32
	down   atomic.Bool
	forms  []string // what STS was asked
}

func newWorld(t *testing.T) *world {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	w := &world{t: t, clock: requesttest.NewClock()}
	to, err := url.Parse(server.URL())
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = p.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetSecretValue"):
			w.reads.Add(1)
			if w.down.Load() {
				rw.WriteHeader(http.StatusInternalServerError)
				return
			}
		case r.Header.Get("X-Amz-Target") == "":
			var body bytes.Buffer
			_, _ = body.ReadFrom(r.Body)
			w.forms = append(w.forms, body.String())
			r.Body = http.NoBody
			r.ContentLength = 0
			r.URL.RawQuery = body.String()
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &front.URL,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
	w.admin = secretsmanager.NewFromConfig(cfg)
	secret, err := w.admin.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("sym-main/shared"),
	})
	require.NoError(t, err)
	w.shared = New(cfg, connectorARN, externalID, *secret.ARN,
		slog.New(slog.NewTextHandler(&w.log, nil)))
	w.shared.now = w.clock.Now
	return w
}

func (w *world) put(value string) {
	w.t.Helper()
	_, err := w.admin.PutSecretValue(w.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: &w.shared.arn, SecretString: &value,
	})
	require.NoError(w.t, err)
}

func (w *world) see(token, signing string) {
	w.t.Helper()
	gotToken, gotSigning, err := w.shared.Slack(w.t.Context())
	require.NoError(w.t, err)
	assert.Equal(w.t, [2]string{token, signing}, [2]string{gotToken, gotSigning})
}

// TestSlack goes through the life of a secret.
func TestSlack(t *testing.T) {
	w := newWorld(t)
	w.see("", "") // nobody has set it

	// As soon as it is set it is seen, at most every ten seconds.
	w.put(`{"slack_bot_token":"xoxb-1","slack_signing_secret":"s1","other":{"a":1}}`)
	w.see("", "")
	w.clock.Advance(atMost)
	w.see("xoxb-1", "s1")
	require.NotEmpty(t, w.forms)
	form, err := url.ParseQuery(w.forms[0])
	require.NoError(t, err)
	assert.Equal(t, connectorARN, form.Get("RoleArn"))
	assert.Equal(t, externalID, form.Get("ExternalId"))

	// Then it is kept, and a new one is seen after five minutes.
	reads := w.reads.Load()
	w.put(`{"slack_bot_token":"xoxb-2","slack_signing_secret":"s2"}`)
	w.clock.Advance(keep - time.Second)
	w.see("xoxb-1", "s1")
	assert.Equal(t, reads, w.reads.Load())
	w.clock.Advance(time.Second)
	w.see("xoxb-2", "s2")

	// Whoever doubts it has it read at once, but not all day.
	w.put(`{"slack_bot_token":"xoxb-3","slack_signing_secret":"s3"}`)
	w.clock.Advance(atMost)
	reads = w.reads.Load()
	for range 100 {
		w.shared.Refresh(t.Context())
		w.see("xoxb-3", "s3")
	}
	assert.Equal(t, reads+1, w.reads.Load())

	// What cannot be read stays as it was.
	w.down.Store(true)
	w.clock.Advance(keep)
	w.see("xoxb-3", "s3")
	w.down.Store(false)
	w.put(`xoxb-4 and s4`)
	w.clock.Advance(atMost)
	w.see("xoxb-3", "s3")
	assert.Contains(t, w.log.String(), "is no JSON object")

	for _, secret := range []string{"xoxb", "s1", "s4"} {
		assert.NotContains(t, w.log.String(), secret, "a secret in the log")
	}
}

// TestNeverRead checks what a function says that has never read the secret.
func TestNeverRead(t *testing.T) {
	w := newWorld(t)
	w.down.Store(true)
	_, _, err := w.shared.Slack(t.Context())
	require.ErrorContains(t, err, "reading the shared secret")
	_, _, err = w.shared.Slack(t.Context())
	require.Error(t, err, "it is not asked again at once")
	assert.Equal(t, int32(1), w.reads.Load())
	w.down.Store(false)
	w.put(`{"slack_bot_token":1}`)
	w.clock.Advance(atMost)
	_, _, err = w.shared.Slack(t.Context())
	require.ErrorContains(t, err, "slack_bot_token")
	w.put(`{"slack_bot_token":"xoxb-1","slack_signing_secret":"s1"}`)
	w.clock.Advance(atMost)
	w.see("xoxb-1", "s1")
}
