package test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/gruntwork-io/terratest/modules/logger"
	"github.com/gruntwork-io/terratest/modules/terraform"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// databaseAccount is the account of the database in docs/accounts.md.
const databaseAccount = "222222222222"

// twoAccounts is a deployment of what docs/accounts.md shows: the Runtime in one account, and the
// function of a database in another.
type twoAccounts struct {
	*world
	options  *terraform.Options
	database *pgserver.Server
	page     string // the page's configuration, as it is deployed
	planned  int    // how many resources the page says that it has
	dora     sandbox.Person
}

// TestAccounts applies what docs/accounts.md shows, over two accounts in one apply, and grants and
// takes back a role through both.
func TestAccounts(t *testing.T) {
	t.Parallel()
	box, environment := newBox(t, "sandbox", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	a := &twoAccounts{world: &world{box: box}, database: ownDatabase(t, ctx, box)}
	a.prepare(t, ctx, environment)

	a.refusedByThePlan(t, ctx)
	terraform.ApplyContext(t, ctx, a.options)
	require.Equal(t, 0, terraform.PlanExitCodeContext(t, ctx, a.options), "after an apply, a plan has nothing to do")
	output := func(name string) string { return terraform.OutputContext(t, ctx, a.options, name) }
	a.deployment = sandbox.Deployment{
		APIEndpoint: output("api_endpoint"), Flow: "orders", ErrorTopic: output("error_topic_arn"),
		RuntimeConnector: output("runtime_connector"), ExternalID: output("external_id"),
		LambdaConnector: output("lambda_connector"), PostgresFunction: output("function_arn"),
	}
	a.dora = a.person(t, "dora@example.com")

	t.Run("failures reach the topic", a.failuresReachTheTopic)
	a.fillPassword(t, output("secret_arn"))
	t.Run("granted and taken back", a.grantedAndTakenBack)
	t.Run("strangers are refused", a.strangersAreRefused)
	a.destroyed(t, ctx)
}

// prepare writes the page's configuration into a folder, with this database and these networks.
func (a *twoAccounts) prepare(t *testing.T, ctx context.Context, environment *terraform.Options) {
	t.Helper()
	box, admin := a.box, a.box.Config(a.box.Administrator(databaseAccount))
	_, err := iam.NewFromConfig(admin).CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("Deployer"), AssumeRolePolicyDocument: aws.String(`{"Version": "2012-10-17",
			"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
			"Principal": {"AWS": "arn:aws:iam::` + front.Account + `:root"}}]}`),
	})
	require.NoError(t, err)

	dir := filepath.Join(environment.TerraformDir, "..", "..")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "functions"), 0o755))
	require.NoError(t, os.Symlink(environment.Vars["package_dir"].(string), filepath.Join(dir, "functions", "dist")))
	text, err := os.ReadFile("../docs/accounts.md")
	require.NoError(t, err)
	match := example.FindSubmatch(text)
	require.NotNil(t, match)
	a.planned, err = strconv.Atoi(string(match[1]))
	require.NoError(t, err)
	keys := box.Administrator(databaseAccount)
	env := box.Env()
	env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = keys.AccessKeyID, keys.SecretAccessKey
	subnets := subnetsOf(t, ctx, box, env)
	architecture := "architecture = " + strconv.Quote(environment.Vars["architecture"].(string)) + "\n"
	a.page = strings.NewReplacer(
		"subnet-0123456789abcdef0", subnets[0], "subnet-0fedcba9876543210", subnets[1],
		`"orders.cluster-abc.us-east-1.rds.amazonaws.com"`, `"127.0.0.1"`+"\n"+
			"port = "+strconv.Itoa(a.database.Port),
		`sym_org_slug         = "acme"`, `sym_org_slug = "acme"`+"\n"+architecture+
			"deletion_protection = false\n"+`sym_account_ids = ["`+outsideAccount+`"]`,
		`roles           = ["reports"]`, `roles = ["reports"]`+"\n"+architecture,
	).Replace(string(match[2]))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outputs.tf"), []byte(`
output "api_endpoint" { value = module.sym_runtime.api_endpoint }
output "error_topic_arn" { value = module.sym_runtime.error_topic_arn }
output "external_id" { value = module.sym_runtime.external_id }
output "function_arn" { value = module.orders_lambda.function_arn }
output "lambda_connector" { value = module.orders_flow.lambda_connector_role_arn }
output "runtime_connector" { value = module.sym_runtime.connector_role_arn }
output "secret_arn" { value = module.orders_lambda.secret_arn }
`), 0o600))
	a.options = &terraform.Options{
		TerraformBinary: box.Terraform, TerraformDir: dir, EnvVars: box.Env(), NoColor: true,
		Logger: logger.Discard, PlanFilePath: filepath.Join(dir, "plan"),
	}
	a.write(t, a.page)
}

func (a *twoAccounts) write(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(a.options.TerraformDir, "main.tf"), []byte(text), 0o600))
}

// refusedByThePlan leaves out each side's part, and asserts that the plan says what is missing. Then
// it plans the page, and asserts how many resources there are.
func (a *twoAccounts) refusedByThePlan(t *testing.T, ctx context.Context) {
	t.Helper()
	a.write(t, regexp.MustCompile(`(?m)^  safelist_account_ids = .*$`).ReplaceAllString(a.page, ""))
	_, err := terraform.InitAndPlanContextE(t, ctx, a.options)
	require.ErrorContains(t, err, "Add the account to safelist_account_ids of sym-runtime")
	a.write(t, strings.Replace(a.page, "  connector = module.orders_connector\n", "", 1))
	_, err = terraform.PlanContextE(t, ctx, a.options)
	require.ErrorContains(t, err, "A connector calls functions of its own account")
	a.write(t, a.page)
	plan := terraform.PlanContext(t, ctx, a.options)
	counted := regexp.MustCompile(`Plan: (\d+) to add`).FindStringSubmatch(plan)
	require.NotNil(t, counted)
	require.Equal(t, strconv.Itoa(a.planned), counted[1], "resources that docs/accounts.md plans")
}

// failuresReachTheTopic has the function fail for want of a password, and asserts that the topic in
// the other account gets to know.
func (a *twoAccounts) failuresReachTheTopic(t *testing.T) {
	t.Helper()
	messages := a.alarms(t)
	_, err := lambda.NewFromConfig(a.inDatabaseAccount()).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: &a.deployment.PostgresFunction, InvocationType: types.InvocationTypeEvent,
		Payload: []byte(`{"type":"sweep"}`),
	})
	require.NoError(t, err)
	select {
	case message := <-messages:
		require.Contains(t, message, "CredentialsUnavailable")
		require.Contains(t, message, a.deployment.PostgresFunction)
	case <-time.After(patience):
		require.Fail(t, "nobody is told that the sweep failed")
	}
}

func (a *twoAccounts) inDatabaseAccount() aws.Config {
	return a.box.Config(a.box.Administrator(databaseAccount))
}

func (a *twoAccounts) fillPassword(t *testing.T, arn string) {
	t.Helper()
	password := "broker password"
	owner(t, t.Context(), a.database, "ALTER ROLE sym_broker PASSWORD '"+password+"'")
	_, err := secretsmanager.NewFromConfig(a.inDatabaseAccount()).PutSecretValue(t.Context(),
		&secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &password})
	require.NoError(t, err)
}

// grantedAndTakenBack has a request granted and revoked, by a chain of roles that crosses accounts.
func (a *twoAccounts) grantedAndTakenBack(t *testing.T) {
	t.Helper()
	hops := make(chan front.Assumption, 100)
	t.Cleanup(a.box.Subscribe(func(event any) {
		if hop, ok := event.(front.Assumption); ok && hop.RoleARN == a.deployment.LambdaConnector {
			select {
			case hops <- hop:
			default:
			}
		}
	}))
	r := a.holds(t)
	hop := <-hops
	require.Empty(t, hop.Refused)
	require.Equal(t, front.Account, hop.Caller.Account)
	require.Contains(t, hop.RoleARN, databaseAccount)
	require.Equal(t, r.ID, hop.SessionName)
	_, err := a.dora.Revoke(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, a.dora, r.ID, "done")
	require.False(t, isMember(t, t.Context(), a.database))
}

// holds has Dora hold the role for long.
func (a *twoAccounts) holds(t *testing.T) sandbox.Request {
	t.Helper()
	r, err := a.dora.Ask(t.Context(), "orders", "reports", "The monthly report", 10*time.Minute)
	require.NoError(t, err)
	_, err = a.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, a.dora, r.ID, "active")
	require.True(t, isMember(t, t.Context(), a.database))
	return r
}

// strangersAreRefused asserts that each account has to agree: neither the Runtime's account nor the
// database's reaches the other but by the connector and the topic.
func (a *twoAccounts) strangersAreRefused(t *testing.T) {
	t.Helper()
	d := a.deployment
	// The Runtime's own administrator can neither become the connector nor call the function.
	_, err := assume(t, a.box.Config(a.box.Admin), d.LambdaConnector, "")
	require.ErrorContains(t, err, "AccessDenied")
	status := []byte(`{"type":"status"}`)
	_, err = lambda.NewFromConfig(a.box.Config(a.box.Admin)).Invoke(t.Context(),
		&lambda.InvokeInput{FunctionName: &d.PostgresFunction, Payload: status})
	require.ErrorContains(t, err, "AccessDeniedException")

	// The chain works from its beginning, and not once the database's account withdraws its trust.
	runtime, err := assume(t, a.outside(outsideAccount), d.RuntimeConnector, d.ExternalID)
	require.NoError(t, err)
	connector, err := assume(t, runtime, d.LambdaConnector, "")
	require.NoError(t, err)
	roles := iam.NewFromConfig(a.inDatabaseAccount())
	trust := func(principal string) {
		_, err := roles.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
			RoleName: aws.String("SymLambdaOrders"), PolicyDocument: aws.String(`{"Version": "2012-10-17",
				"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "` + principal + `"}}]}`),
		})
		require.NoError(t, err)
	}
	trust("arn:aws:iam::" + databaseAccount + ":root")
	_, err = assume(t, runtime, d.LambdaConnector, "")
	require.ErrorContains(t, err, "AccessDenied")
	trust(d.RuntimeConnector)

	// Roles of ours publish to the topic, and nobody else of the database's account.
	publish := func(as aws.Config) error {
		_, err := sns.NewFromConfig(as).Publish(t.Context(), &sns.PublishInput{
			TopicArn: &d.ErrorTopic, Message: aws.String("Something happened"),
		})
		return err
	}
	require.NoError(t, publish(connector))
	require.ErrorContains(t, publish(a.inDatabaseAccount()), "AuthorizationError")

	// Nobody of another account gets into the API.
	stranger := a.dora
	stranger.Keys = a.box.Administrator(databaseAccount)
	_, err = stranger.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "")
}

// destroyed takes everything down while somebody holds the role, and asserts that neither account
// nor the database keeps anything.
func (a *twoAccounts) destroyed(t *testing.T, ctx context.Context) {
	t.Helper()
	a.holds(t)
	terraform.DestroyContext(t, ctx, a.options)
	require.False(t, isMember(t, ctx, a.database))
	requireNothingLeft(t, ctx, a.box)
	functions, err := lambda.NewFromConfig(a.inDatabaseAccount()).ListFunctions(ctx, &lambda.ListFunctionsInput{})
	require.NoError(t, err)
	require.Empty(t, functions.Functions)
	roles, err := iam.NewFromConfig(a.inDatabaseAccount()).ListRoles(ctx, &iam.ListRolesInput{})
	require.NoError(t, err)
	require.Len(t, roles.Roles, 1, "the Deployer alone is left")
}
