package sandbox

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// InstallSlackApp does what a person does in Slack and afterwards: it tells the stand-in where
// the deployment's app is, and puts the app's token and signing secret into the shared secret.
func (s *Sandbox) InstallSlackApp(ctx context.Context, d Deployment) error {
	s.Slack.Connect(d.SlackCommands, d.SlackInteractions)
	return s.FillSlackSecret(ctx, d)
}

// FillSlackSecret puts the token and the signing secret that hold now into the shared secret.
func (s *Sandbox) FillSlackSecret(ctx context.Context, d Deployment) error {
	value, err := json.Marshal(map[string]string{
		"slack_bot_token": s.Slack.Token(), "slack_signing_secret": s.Slack.SigningSecret(),
	})
	if err != nil {
		return err
	}
	text := string(value)
	_, err = secretsmanager.NewFromConfig(s.Config(s.Admin)).PutSecretValue(ctx,
		&secretsmanager.PutSecretValueInput{SecretId: &d.SharedSecret, SecretString: &text})
	if err != nil {
		return fmt.Errorf("the shared secret %s cannot be filled: %w", d.SharedSecret, err)
	}
	return nil
}
