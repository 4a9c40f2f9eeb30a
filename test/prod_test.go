package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// TestProd brings a database of its own to environments/prod, as a team would:
// with a certificate by an authority of the team's own: its owner runs setup.sql
// with psql, the password goes into the secret, and a request is granted and
// taken back. The state is in S3, with its lock, and the
// audit records are in a bucket that nobody can change.
func TestProd(t *testing.T) {
	t.Parallel()
	box, options := newBox(t, "prod", map[string]any{
		"pg_targets":         []map[string]any{{"role_name": "reports", "max_duration": 3600}},
		"sym_org_slug":       "acme",
		"flow_vars":          map[string]any{"approvers": approver},
		"slack_workspace_id": slack.Workspace,
		"audit_bucket":       map[string]any{"retention_days": 1},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	options.BackendConfig, options.Lock = stateBucket(t, ctx, box), true

	// What is missing is said in one sentence, and nothing is made.
	_, err := terraform.InitAndPlanContextE(t, ctx, options)
	require.ErrorContains(t, err, "there is still to set")
	for _, missing := range []string{"pg_connection_config.host", "pg_connection_config.user", "lambda_subnet_ids"} {
		require.ErrorContains(t, err, missing)
	}

	authority, err := front.NewAuthority(t.TempDir())
	require.NoError(t, err)
	database := databaseBy(t, ctx, authority)
	text, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	options.Vars["certificate_authorities"] = string(text)
	options.Vars["pg_connection_config"] = map[string]any{
		"host": database.Host, "port": database.Port, "user": "sym_broker", "database": "postgres",
	}
	options.Vars["lambda_subnet_ids"] = ownSubnets(t, ctx, box)
	terraform.ApplyContext(t, ctx, options)
	require.Equal(t, 0, terraform.PlanExitCodeContext(t, ctx, options), "after an apply, a plan has nothing to do")

	// The password's secret is empty until somebody fills it; the state never
	// has it.
	password := "broker password"
	owner(t, ctx, database, "ALTER ROLE sym_broker PASSWORD '"+password+"'")
	arn := terraform.OutputContext(t, ctx, options, "password_secret_arn")
	_, err = secretsmanager.NewFromConfig(box.Config(box.Admin)).PutSecretValue(ctx,
		&secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &password})
	require.NoError(t, err)

	output := func(name string) string { return terraform.OutputContext(t, ctx, options, name) }
	team := prodTeam{
		world: &world{box: box, deployment: sandbox.Deployment{
			APIEndpoint: output("api_endpoint"), Flow: output("flow"),
			SharedSecret: output("shared_secret_arn"), SlackCommands: output("slack_commands_url"),
			SlackInteractions: output("slack_interactions_url"),
			StateMachine:      output("state_machine_arn"),
			PostgresFunction:  output("postgres_function_arn"),
		}},
		database: database, bucket: output("audit_bucket_name"),
	}
	team.dora = team.person(t, "dora@example.com")
	box.Slack.AddUser(slack.User{Name: "dora", Email: team.dora.Email})
	require.NoError(t, box.InstallSlackApp(ctx, team.deployment))
	team.accessEndsWithoutSlack(t)
	team.secretRotates(t)
	team.flowIsRenamed(t, options)
	team.flowIsUpgraded(t, options)
	team.destroyTakesAccessBack(t, options)
}

// TestProdWithExample deploys environments/prod with the example database and
// its bastion.
func TestProdWithExample(t *testing.T) {
	t.Parallel()
	box, options := newBox(t, "prod", map[string]any{
		"db_enabled": true, "bastion_enabled": true, "sym_org_slug": "acme",
		"pg_targets": []map[string]any{{"role_name": "readonly", "max_duration": 60}},
		"flow_vars":  map[string]any{"approvers": approver},
		// Whose database user has another name than their address.
		"usernames": map[string]string{"ann@example.com": "alice"},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	options.BackendConfig = stateBucket(t, ctx, box)
	terraform.InitAndApplyContext(t, ctx, options)
	require.Equal(t, 0, terraform.PlanExitCodeContext(t, ctx, options), "after an apply, a plan has nothing to do")

	w := &world{box: box, deployment: readDeployment(t, ctx, options)}
	tunnel, ok := terraform.OutputMapContext(t, ctx, options, "database")["tunnel_command"]
	require.True(t, ok)
	require.Contains(t, tunnel, "aws ssm start-session")
	require.Contains(t, tunnel, "AWS-StartPortForwardingSessionToRemoteHost")

	ann := w.person(t, "ann@example.com")
	r, err := ann.Ask(ctx, "postgres", "readonly", "To see it work", longEnough)
	require.NoError(t, err)
	_, err = w.approver(t).Approve(ctx, r.ID)
	require.NoError(t, err)
	await(t, ann, r.ID, "active")
	passwords, err := box.UserPasswords(ctx, w.deployment.Database)
	require.NoError(t, err)
	alice := engineer{Person: ann, world: w, user: "alice", password: passwords["alice"]}
	session := alice.session(t)
	alice.canRead(t, session)
	await(t, ann, r.ID, "done")
	alice.cannotRead(t, session)
}

// stateBucket makes a bucket for Terraform's state, and says where it is.
func stateBucket(t *testing.T, ctx context.Context, box *sandbox.Sandbox) map[string]any {
	t.Helper()
	bucket := "acme-terraform-state"
	client := s3.NewFromConfig(box.Config(box.Admin), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	require.NoError(t, err)
	return map[string]any{
		"bucket": bucket, "key": "sym/prod.tfstate", "region": "us-east-1", "use_path_style": true,
	}
}

// ownSubnets are subnets of a network that is there already.
func ownSubnets(t *testing.T, ctx context.Context, box *sandbox.Sandbox) []string {
	t.Helper()
	return subnetsOf(t, ctx, box, box.Env())
}

// subnetsOf are such subnets in the account of whoever the environment says.
func subnetsOf(t *testing.T, ctx context.Context, box *sandbox.Sandbox, env map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), []byte(`
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

data "aws_subnets" "these" {}

output "ids" {
  value = slice(sort(data.aws_subnets.these.ids), 0, 2)
}
`), 0o600))
	options := &terraform.Options{
		TerraformBinary: box.Terraform, TerraformDir: dir, EnvVars: env, NoColor: true,
		Logger: logger.Discard,
	}
	terraform.InitAndApplyContext(t, ctx, options)
	return terraform.OutputListContext(t, ctx, options, "ids")
}

// ownDatabase is a database that Terraform knows nothing of, with a role, a
// person, and what setup.sql makes.
func ownDatabase(t *testing.T, ctx context.Context, box *sandbox.Sandbox) *pgserver.Server {
	t.Helper()
	return databaseBy(t, ctx, box.Authority)
}

// databaseBy is a database whose certificate is by an authority of the caller's.
func databaseBy(t *testing.T, ctx context.Context, authority *front.Authority) *pgserver.Server {
	t.Helper()
	certificate, key, err := authority.Issue(t.TempDir())
	require.NoError(t, err)
	server, err := pgserver.Start(ctx, pgserver.Config{CertFile: certificate, KeyFile: key})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	owner(t, ctx, server, "CREATE ROLE reports NOLOGIN")
	owner(t, ctx, server, "CREATE ROLE dora LOGIN")

	psql := filepath.Join(pgserver.Installed()[0].Binaries, "psql")
	if _, err := os.Stat(psql); err != nil {
		psql = "psql"
	}
	// Twice, since it can be run again.
	for range 2 {
		out, err := exec.CommandContext(ctx, psql, "-v", "broker=sym_broker", "-v", "roles=reports",
			"-f", "../modules/postgres-lambda/setup.sql", server.URL()).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return server
}

func owner(t *testing.T, ctx context.Context, server *pgserver.Server, statement string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, server.URL())
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	require.NoError(t, err)
}

func isMember(t *testing.T, ctx context.Context, server *pgserver.Server) bool {
	t.Helper()
	return isMemberOf(t, ctx, server, "dora")
}

// isMemberOf answers whether a database user has the role reports.
func isMemberOf(t *testing.T, ctx context.Context, server *pgserver.Server, user string) (member bool) {
	t.Helper()
	conn, err := pgx.Connect(ctx, server.URL())
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, conn.QueryRow(ctx, "SELECT pg_has_role($1::name, 'reports', 'MEMBER')", user).Scan(&member))
	return member
}
