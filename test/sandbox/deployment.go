package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"
)

// Deployment is what `terraform output -json` says of environments/sandbox.
type Deployment struct {
	APIEndpoint      string
	RuntimeConnector string
	LambdaConnector  string
	ExternalID       string
	PostgresFunction string
	StateMachine     string
	ErrorTopic       string
	AuditLogGroup    string
	SharedSecret     string
	// Where Slack's app calls the Runtime; empty in an environment without Slack.
	SlackCommands, SlackInteractions string
	Flow                             string
	Database                         Database
}

// Database is the example database, as the deployment's output names it.
type Database struct {
	Host         string `json:"host"`
	Port         int    `json:"port"`
	Name         string `json:"name"`
	UsersSecret  string `json:"users_secret_arn"`
	MasterSecret string `json:"master_secret_arn"`
}

// ReadDeployment reads a deployment from Terraform's outputs.
func ReadDeployment(outputs []byte) (Deployment, error) {
	var d Deployment
	var values map[string]struct{ Value json.RawMessage }
	if err := json.Unmarshal(outputs, &values); err != nil {
		return d, fmt.Errorf("the outputs of Terraform cannot be read: %w", err)
	}
	for name, into := range map[string]any{
		"api_endpoint":               &d.APIEndpoint,
		"runtime_connector_role_arn": &d.RuntimeConnector,
		"lambda_connector_role_arn":  &d.LambdaConnector,
		"external_id":                &d.ExternalID,
		"postgres_function_arn":      &d.PostgresFunction,
		"state_machine_arn":          &d.StateMachine,
		"error_topic_arn":            &d.ErrorTopic,
		"audit_log_group_name":       &d.AuditLogGroup,
		"shared_secret_arn":          &d.SharedSecret,
		"slack_commands_url":         &d.SlackCommands,
		"slack_interactions_url":     &d.SlackInteractions,
		"flow":                       &d.Flow,
		"database":                   &d.Database,
	} {
		output, ok := values[name]
		if !ok && strings.HasPrefix(name, "slack_") {
			continue // the environment is without Slack, and Terraform prints no null
		}
		if !ok {
			return d, fmt.Errorf("the environment has no output %q", name)
		}
		if err := json.Unmarshal(output.Value, into); err != nil {
			return d, fmt.Errorf("the output %q cannot be read: %w", name, err)
		}
	}
	return d, nil
}

// Master connects to the example database as its master user.
func (s *Sandbox) Master(ctx context.Context, d Database) (*pgx.Conn, error) {
	var login struct{ Username, Password string }
	if err := s.secret(ctx, d.MasterSecret, &login); err != nil {
		return nil, err
	}
	return s.Connect(ctx, d, login.Username, login.Password)
}

// UserPasswords are the passwords of the example database's users.
func (s *Sandbox) UserPasswords(ctx context.Context, d Database) (map[string]string, error) {
	passwords := map[string]string{}
	return passwords, s.secret(ctx, d.UsersSecret, &passwords)
}

func (s *Sandbox) secret(ctx context.Context, arn string, into any) error {
	client := secretsmanager.NewFromConfig(s.Config(s.Admin))
	answer, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return fmt.Errorf("the secret %s cannot be read: %w", arn, err)
	}
	return json.Unmarshal([]byte(aws.ToString(answer.SecretString)), into)
}

// Connect connects to the example database, with its certificate checked.
func (s *Sandbox) Connect(ctx context.Context, d Database, user, password string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=%s sslmode=verify-full sslrootcert=%s",
		d.Host, d.Port, d.Name, s.Authority.File))
	if err != nil {
		return nil, err
	}
	config.User, config.Password = user, password
	return pgx.ConnectConfig(ctx, config)
}
