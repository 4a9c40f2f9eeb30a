package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// shelf is a Secrets Manager with one secret, which is empty at first.
type shelf struct {
	secret *string
	writes int
}

func (s *shelf) GetSecretValue(_ context.Context, _ *secretsmanager.GetSecretValueInput,
	_ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if s.secret == nil {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: s.secret}, nil
}

func (s *shelf) PutSecretValue(_ context.Context, in *secretsmanager.PutSecretValueInput,
	_ ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	s.secret = in.SecretString
	s.writes++
	return &secretsmanager.PutSecretValueOutput{}, nil
}

func (s *shelf) passwords(t *testing.T) (passwords map[string]string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(aws.ToString(s.secret)), &passwords))
	return passwords
}

func TestSeed(t *testing.T) {
	var logged bytes.Buffer
	server, err := pgserver.Start(t.Context(), pgserver.Config{
		Settings: []string{"log_statement = 'all'"}, Log: &logged})
	require.NoError(t, err)
	defer server.Stop()

	// As on RDS: the master is no superuser, and a member of what stands in for
	// rds_superuser.
	root, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer root.Close(context.Background())
	for _, statement := range []string{
		"CREATE ROLE rds_superuser", "GRANT pg_signal_backend TO rds_superuser",
		"CREATE ROLE rds_iam", "CREATE ROLE master LOGIN CREATEROLE PASSWORD 'master'",
		"GRANT rds_superuser TO master", "GRANT rds_iam TO master WITH ADMIN OPTION",
		"CREATE DATABASE example OWNER master",
	} {
		_, err = root.Exec(t.Context(), statement)
		require.NoError(t, err)
	}

	secrets := &shelf{}
	attempts := 0
	s := newSeeder(func(name string) string {
		return map[string]string{"SEED_BROKER": "sym_broker"}[name]
	}, slog.New(slog.DiscardHandler))
	s.secrets = secrets
	s.connect = func(ctx context.Context) (*pgx.Conn, error) {
		if attempts++; attempts == 1 {
			return nil, errors.New("the database is still being made")
		}
		config, err := pgx.ParseConfig(server.URLFor("master", "master", "example"))
		if err != nil {
			return nil, err
		}
		// As the connector of the real one pins it.
		config.RuntimeParams["search_path"] = "pg_catalog, pg_temp"
		return pgx.ConnectConfig(ctx, config)
	}
	seed := func() {
		t.Helper()
		answer, err := s.handle(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, answer.Errors)
		assert.JSONEq(t, `{"broker":"sym_broker","roles":"readonly,readwrite",
			"users":["alice","bob"]}`, string(answer.Body))
	}
	login := func(user string) *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(),
			server.URLFor(user, secrets.passwords(t)[user], "example"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}

	// One run makes everything.
	seed()
	first := secrets.passwords(t)
	require.NotEqual(t, first["alice"], first["bob"])
	alice := login("alice")
	_, err = alice.Exec(t.Context(), "SELECT * FROM orders")
	require.ErrorContains(t, err, "permission denied for table orders")
	var broker bool
	require.NoError(t, root.QueryRow(t.Context(), `SELECT pg_has_role('sym_broker', 'rds_iam',
		'MEMBER') AND pg_has_role('sym_broker', 'readwrite', 'MEMBER WITH ADMIN OPTION')`).
		Scan(&broker))
	assert.True(t, broker)

	// What the roles are for.
	for _, role := range []string{"readonly", "readwrite"} {
		_, err = root.Exec(t.Context(), "GRANT "+role+" TO bob")
		require.NoError(t, err)
		bob := login("bob")
		var rows int
		require.NoError(t, bob.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&rows))
		assert.Equal(t, 6, rows)
		_, err = bob.Exec(t.Context(), "INSERT INTO customers (name, city) VALUES ('B', 'C')")
		assert.Equal(t, role == "readwrite", err == nil, "%v", err)
	}

	// A second run changes no password, and leaves what was added.
	seed()
	assert.Equal(t, first, secrets.passwords(t))
	assert.Equal(t, 1, secrets.writes)
	login("alice")
	var rows int
	require.NoError(t, login("bob").QueryRow(t.Context(),
		"SELECT count(*) FROM customers").Scan(&rows))
	assert.Equal(t, 5, rows)

	// A secret that somebody has spoilt is made anew, and works.
	secrets.secret = aws.String("null")
	seed()
	login("alice")

	// Not even a server that logs every statement has seen a password.
	require.NoError(t, server.Stop())
	assert.Contains(t, logged.String(), "ALTER ROLE")
	for _, password := range first {
		assert.NotContains(t, logged.String(), password)
	}
}

// TestSaysWhyInTime checks that a database which never lets the function in is named before the
// function's time is over: Lambda says no more of one that it ended than that it was too slow.
func TestSaysWhyInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	killed, _ := ctx.Deadline()
	refused := errors.New("no pg_hba.conf entry for the master")
	tries := 0
	s := &seeder{
		getenv: func(string) string { return "" }, log: slog.New(slog.DiscardHandler),
		connect: func(ctx context.Context) (*pgx.Conn, error) {
			until, ok := ctx.Deadline()
			assert.True(t, ok && until.Before(killed), "there is time left to say why")
			if tries++; tries == 1 {
				return nil, refused
			}
			<-ctx.Done() // a network that swallows packets
			return nil, ctx.Err()
		},
	}
	_, err := s.handle(ctx, nil)
	var failed SeedFailed
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, refused.Error())
	require.Equal(t, 2, tries)
}

func TestMissingConfigurationIsSaid(t *testing.T) {
	s := newSeeder(func(string) string { return "" }, slog.New(slog.DiscardHandler))
	_, err := s.handle(t.Context(), nil)
	require.Equal(t, SeedFailed{"SEED_HOST is not set"}, err)
}
