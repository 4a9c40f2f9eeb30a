package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
	exampledb "sym-postgres-quickstart/modules/example-db"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

// What seed.sql makes.
const roles = "readonly,readwrite"

var users = []string{"alice", "bob"}

// SeedFailed is the error where the database could not be filled. It may be repeated.
type SeedFailed struct{ Message string }

func (e SeedFailed) Error() string { return e.Message }

// seeded is the body of the answer.
type seeded struct {
	Broker string   `json:"broker"`
	Roles  string   `json:"roles"`
	Users  []string `json:"users"`
}

// seeder fills the database that its environment names.
type seeder struct {
	getenv func(string) string
	log    *slog.Logger
	// connect is how the database is reached; tests have their own.
	connect func(context.Context) (*pgx.Conn, error)
	secrets secrets
}

// secrets is what of Secrets Manager is needed.
type secrets interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput,
		...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput,
		...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
}

func newSeeder(getenv func(string) string, log *slog.Logger) *seeder {
	return &seeder{getenv: getenv, log: log}
}

// margin is what is left of the function's time to say why it failed.
const margin = 5 * time.Second

// handle fills the database, or brings it up to date. It can be repeated. It gives up before
// Lambda would end it: whoever reads the error of the apply learns what was wrong.
func (s *seeder) handle(ctx context.Context, _ json.RawMessage) (event.Answer, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/4)))
		defer cancel()
	}
	if err := s.prepare(ctx); err != nil {
		return event.Answer{}, SeedFailed{err.Error()}
	}
	conn, err := s.connectPatiently(ctx)
	if err != nil {
		return event.Answer{}, SeedFailed{database.Named(err).Error()}
	}
	defer conn.Close(ctx)

	broker := s.getenv("SEED_BROKER")
	steps := []struct {
		name string
		do   func() error
	}{
		{"the example data", func() error { return script(ctx, conn, exampledb.Seed, nil) }},
		{"setup.sql", func() error {
			return script(ctx, conn, postgreslambda.Setup,
				map[string]string{"broker": broker, "roles": roles})
		}},
		{"the broker's login", func() error { return allowIAM(ctx, conn, broker) }},
		{"the users' passwords", func() error { return s.setPasswords(ctx, conn) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return event.Answer{}, SeedFailed{
				fmt.Sprintf("%s failed: %s", step.name, database.Named(err))}
		}
	}
	s.log.InfoContext(ctx, "seeded", "broker", broker, "roles", roles, "users", users)
	return event.Succeed(seeded{Broker: broker, Roles: roles, Users: users})
}

// prepare sets up AWS and the connection, once.
func (s *seeder) prepare(ctx context.Context) error {
	if s.connect != nil {
		return nil
	}
	for _, name := range []string{"SEED_HOST", "SEED_PORT", "SEED_DATABASE",
		"SEED_MASTER_SECRET_ARN", "SEED_USERS_SECRET_ARN", "SEED_BROKER"} {
		if s.getenv(name) == "" {
			return fmt.Errorf("%s is not set", name)
		}
	}
	port, err := strconv.ParseUint(s.getenv("SEED_PORT"), 10, 16)
	if err != nil {
		return fmt.Errorf("SEED_PORT is %q, but it has to be a port", s.getenv("SEED_PORT"))
	}
	connector, err := database.NewConnector(database.Config{
		Host: s.getenv("SEED_HOST"), Port: uint16(port),
		Database: s.getenv("SEED_DATABASE"), SSLMode: s.getenv("SEED_SSLMODE"),
		RootCert: s.getenv("SEED_SSLROOTCERT"), Auth: database.AuthSecret,
		AuthoritiesARN: s.getenv("SEED_CERTIFICATE_AUTHORITIES_ARN"),
		SecretARN:      s.getenv("SEED_MASTER_SECRET_ARN"), Application: "sym-seed",
	})
	if err != nil {
		return err
	}
	cloud, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("AWS cannot be set up: %w", err)
	}
	s.secrets, s.connect = secretsmanager.NewFromConfig(cloud), connector.Connect
	return nil
}

// connectPatiently waits for a database that has only just been made, since nobody calls
// this function again if it fails.
func (s *seeder) connectPatiently(ctx context.Context) (*pgx.Conn, error) {
	var last error
	for {
		conn, err := s.connect(ctx)
		if err == nil {
			return conn, nil
		}
		// What the end of the time cut off says less than what failed before.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		s.log.WarnContext(ctx, "the database is not ready", "error", database.Named(err).Error())
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return nil, last
		}
	}
}

// script runs a file written for psql.
func script(
	ctx context.Context, conn *pgx.Conn, text string, variables map[string]string,
) error {
	sql, err := database.Script(text, variables)
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// allowIAM lets the broker log in with IAM where the server is one that knows of it.
func allowIAM(ctx context.Context, conn *pgx.Conn, broker string) error {
	var known bool
	err := conn.QueryRow(ctx,
		"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam')").Scan(&known)
	if err != nil || !known {
		return err
	}
	_, err = conn.Exec(ctx, "GRANT rds_iam TO "+pgx.Identifier{broker}.Sanitize())
	return err
}

// setPasswords gives the users the passwords of the secret, and makes those it lacks. They
// are kept first: what is set in the database and written down nowhere would be lost.
func (s *seeder) setPasswords(ctx context.Context, conn *pgx.Conn) error {
	arn := aws.String(s.getenv("SEED_USERS_SECRET_ARN"))
	passwords := map[string]string{}
	secret, err := s.secrets.GetSecretValue(ctx,
		&secretsmanager.GetSecretValueInput{SecretId: arn})
	// A secret that was made and never filled is not found, either.
	var empty *types.ResourceNotFoundException
	switch {
	case errors.As(err, &empty):
	case err != nil:
		return fmt.Errorf("the users' secret cannot be read: %w", err)
	default:
		err := json.Unmarshal([]byte(aws.ToString(secret.SecretString)), &passwords)
		if err != nil || passwords == nil {
			passwords = map[string]string{} // No object of passwords; it becomes one.
		}
	}

	changed := false
	for _, user := range users {
		if passwords[user] == "" {
			passwords[user], changed = rand.Text(), true
		}
	}
	if changed {
		text, err := json.Marshal(passwords)
		if err != nil {
			return err
		}
		_, err = s.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId: arn, SecretString: aws.String(string(text))})
		if err != nil {
			return fmt.Errorf("the users' secret cannot be written: %w", err)
		}
	}
	for _, user := range users {
		hash, err := verifier(passwords[user])
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER ROLE "+pgx.Identifier{user}.Sanitize()+
			" PASSWORD "+database.Literal(hash))
		if err != nil {
			return err
		}
	}
	return nil
}
