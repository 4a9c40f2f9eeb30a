package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/ledger"
)

func retirement(action string) []byte {
	return []byte(`{"type":"retire","tf":{"action":"` + action + `","prev_input":null}}`)
}

// TestRetirement checks that nobody holds a role any more when Terraform deletes the function, and
// that Terraform is told who does where that fails.
func TestRetirement(t *testing.T) {
	h := newHandler(environment(nil), quiet())
	_, err := invoke(t, h, payload(t, uuid.NewString()))
	require.NoError(t, err)
	require.True(t, aliceReads(t))

	for _, action := range []string{"create", "update", ""} {
		_, err = invoke(t, h, retirement(action))
		require.NoError(t, err)
		require.True(t, aliceReads(t), action)
	}

	// Somebody is in the way.
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "BEGIN; LOCK TABLE pg_auth_members IN SHARE MODE")
	require.NoError(t, err)
	_, err = invoke(t, h, retirement("delete"))
	require.IsType(t, ledger.GrantsRemain{}, err)
	for _, part := range []string{
		"The Postgres function cannot be removed yet: ", `The role "readonly" of "alice" ` +
			`(alice@example.com), granted until `, "could not be taken back", "run Terraform again",
	} {
		assert.ErrorContains(t, err, part)
	}
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)

	answer, err := invoke(t, h, retirement("delete"))
	require.NoError(t, err)
	assert.Len(t, body[event.Swept](t, answer).Revoked, 1)
	require.False(t, aliceReads(t))
	answer, err = invoke(t, h, retirement("delete"))
	require.NoError(t, err)
	assert.Empty(t, body[event.Swept](t, answer).Revoked)
}

// TestRetirementWithoutDatabase checks that a function is not deleted while nobody can tell what
// it has granted, unless it has never had a password.
func TestRetirementWithoutDatabase(t *testing.T) {
	for name, changes := range map[string]map[string]string{
		"unreachable":    {"PG_PORT": "1"},
		"wrong password": {"PG_PASSWORD": "s3cret but wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(environment(changes), quiet())
			_, err := invoke(t, h, retirement("create"))
			require.NoError(t, err, "at the first apply there is no way to the database yet")
			_, err = invoke(t, h, retirement("delete"))
			require.IsType(t, ledger.GrantsRemain{}, err)
			assert.ErrorContains(t, err, "it is not known who holds a role by it")
		})
	}

	missing := "staging label: AWSCURRENT"
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException","Message":` +
			`"Secrets Manager can't find the specified secret value for ` + missing + `."}`))
	}))
	defer manager.Close()
	for variable, value := range map[string]string{
		"AWS_ENDPOINT_URL": manager.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x",
		"AWS_SECRET_ACCESS_KEY": "x",
	} {
		t.Setenv(variable, value)
	}
	h := newHandler(environment(map[string]string{
		"PG_AUTH": "secret", "PG_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:x",
	}), quiet())
	_, err := invoke(t, h, retirement("delete"))
	require.NoError(t, err)

	missing = "VersionId: x"
	_, err = invoke(t, h, retirement("delete"))
	require.IsType(t, ledger.GrantsRemain{}, err)
}
