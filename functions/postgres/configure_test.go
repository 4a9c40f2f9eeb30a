package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/leftout"
)

func TestConfiguration(t *testing.T) {
	for name, value := range map[string]string{"PG_PORT": "x", "PG_SSLMODE": "allow", "PG_HOST": ""} {
		_, err := configure(environment(map[string]string{name: value}), quiet())
		require.ErrorContains(t, err, name, "there is no way to the database")
	}
	h, err := configure(environment(nil), quiet())
	require.NoError(t, err)
	assert.Empty(t, h.problems)
	for name, value := range map[string]string{
		"PG_END_SESSIONS": "no", "PG_ON_END": "drop", "PG_UNKNOWN_USERS": "make",
		"PG_ROLES": "readonly," + strings.Repeat("x", 64), "PG_READERS": "replica:x",
		"PG_USERNAMES": `{"a@example.com": ""}`,
	} {
		h, err := configure(environment(map[string]string{name: value}), quiet())
		require.NoError(t, err, name)
		require.NoError(t, h.grants, name)
		require.Len(t, h.problems, 1, name)
		assert.Contains(t, h.problems[0], name)
	}
	for name, value := range map[string]string{
		"PG_MAX_DURATION": "-1", "PG_USERNAME_FROM": "name", "PG_USERNAMES": "[]",
	} {
		h, err := configure(environment(map[string]string{name: value}), quiet())
		require.NoError(t, err, name)
		require.Len(t, h.problems, 1, name)
		assert.Contains(t, h.problems[0], name)
		assert.ErrorContains(t, h.grants, "Nothing is granted until", name)
	}
}

// TestBadEntries checks that a bad entry stops nobody but the person whom it is about, and that no
// fault of the configuration keeps access from ending.
func TestBadEntries(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(environment(map[string]string{
		"PG_USERNAMES": `{"bob@example.com": 7, "carol@example.com": "alice", "CAROL@example.com": "dave"}`,
		"PG_ROLES":     "readonly," + strings.Repeat("x", 64),
	}), slog.New(slog.NewTextHandler(&log, nil)))
	for _, person := range []string{"bob@", "carol@"} {
		answer, err := invoke(t, h, payload(t, uuid.NewString(), "alice@", person))
		require.NoError(t, err)
		require.NotNil(t, answer.Refusal(), person)
		assert.Equal(t, event.UserRefused, answer.Refusal().Code)
		assert.Contains(t, answer.Refusal().Message, "Have it corrected in Terraform")
	}
	run := uuid.NewString()
	_, err := invoke(t, h, payload(t, run))
	require.NoError(t, err)
	require.True(t, aliceReads(t))

	log.Reset()
	_, err = invoke(t, h, []byte(`{"type":"sweep"}`))
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(log.String(), leftout.Message), "each sweep logs them for the alarm")

	for name, value := range map[string]string{
		"PG_MAX_DURATION": "-1", "PG_USERNAMES": "[]",
	} {
		h := newHandler(environment(map[string]string{name: value}), quiet())
		_, err := invoke(t, h, payload(t, uuid.NewString()))
		assert.IsType(t, ConfigurationInvalid{}, err)
		_, err = invoke(t, h, []byte(`{"type":"sweep"}`))
		require.NoError(t, err)
		_, err = invoke(t, h, payload(t, run, `"type": "escalate"`, `"type": "deescalate"`))
		require.NoError(t, err)
		require.False(t, aliceReads(t))
	}
}

// TestSettingsAreChecked checks that a plan hears what the function would leave out, and that the
// alias by which it asks does nothing else.
func TestSettingsAreChecked(t *testing.T) {
	planner := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{
		InvokedFunctionArn: "arn:aws:lambda:us-east-1:111122223333:function:sym-main-postgres:check",
	})
	h := newHandler(environment(nil), quiet())
	ask := func(settings map[string]string) []string {
		t.Helper()
		payload, err := json.Marshal(map[string]any{"type": "check_settings", "settings": settings})
		require.NoError(t, err)
		answer, err := h.Invoke(planner, payload)
		require.NoError(t, err)
		var found settingsProblems
		require.NoError(t, json.Unmarshal(answer, &found))
		return found.Problems
	}
	good := map[string]string{"PG_HOST": "db", "PG_AUTH": "iam", "PG_ROLES": "readonly"}
	assert.Equal(t, []string{}, ask(good))
	good["PG_USERNAMES"] = `{"bob@example.com": ""}`
	require.Len(t, ask(good), 1)
	delete(good, "PG_USERNAMES")
	good["PG_CERTIFICATE_AUTHORITIES"] = authority(t, time.Now().Add(time.Hour))
	assert.Equal(t, []string{}, ask(good))
	good["PG_CERTIFICATE_AUTHORITIES"] += authority(t, time.Now().Add(-time.Hour))
	require.Len(t, ask(good), 1)
	assert.Contains(t, ask(good)[0], "PG_CERTIFICATE_AUTHORITIES: the certificate of")
	good["PG_CERTIFICATE_AUTHORITIES"] = "/etc/ssl/cert.pem"
	require.Len(t, ask(good), 1)
	assert.Contains(t, ask(good)[0], "PG_CERTIFICATE_AUTHORITIES cannot be used")
	good["PG_HOST"] = "a,b"
	require.Len(t, ask(good), 1)
	assert.Contains(t, ask(good)[0], "PG_HOST")

	for _, other := range []string{`{"type":"sweep"}`, `{}`, string(payload(t, uuid.NewString())),
		string(retirement("delete"))} {
		raw, err := h.Invoke(planner, []byte(other))
		require.NoError(t, err)
		var answer event.Answer
		require.NoError(t, json.Unmarshal(raw, &answer))
		require.NotNil(t, answer.Refusal(), other)
	}
	require.False(t, aliceReads(t))
}

// authority makes a certificate authority that is valid until then.
func authority(t *testing.T, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "ours"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
