// Package secrets reads the shared secret of the Runtime, which people fill outside of Terraform.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const (
	// keep is how long a value is good: so a new one is seen by every instance of the function
	// without a deploy.
	keep = 5 * time.Minute

	// atMost is how often the secret is read if somebody doubts the value, if there is none yet,
	// or if it could not be read: who knocks with bad signatures must not make us read all day.
	atMost = 10 * time.Second

	sessionName = "shared-secret"
)

// Shared is the shared secret.
type Shared struct {
	client *secretsmanager.Client
	arn    string
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	value   content
	known   bool      // whether value was ever read
	read    time.Time // when it was last read, or tried to
	until   time.Time // when it is read again
	failure error     // of the last try
}

// content is the part of the secret's JSON document that the Runtime knows.
type content struct {
	SlackBotToken      string `json:"slack_bot_token"`
	SlackSigningSecret string `json:"slack_signing_secret"`
}

// New makes a reader that assumes the Runtime Connector with the external id, since that is
// who may read the secrets of the Runtime.
func New(cfg aws.Config, connectorARN, externalID, secretARN string, log *slog.Logger) *Shared {
	assumed := cfg.Copy()
	assumed.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(
		sts.NewFromConfig(cfg), connectorARN, func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID = &externalID
			o.RoleSessionName = sessionName
			o.Duration = 15 * time.Minute // the shortest that STS gives
		}))
	return &Shared{
		client: secretsmanager.NewFromConfig(assumed), arn: secretARN, log: log, now: time.Now,
	}
}

// Slack returns Slack's bot token and signing secret, both empty where nobody has set them yet.
// Where they cannot be read the last ones that could are returned.
func (s *Shared) Slack(ctx context.Context) (token, signingSecret string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.now().Before(s.until) {
		s.load(ctx)
	}
	if !s.known {
		return "", "", s.failure
	}
	return s.value.SlackBotToken, s.value.SlackSigningSecret, nil
}

// Refresh has the secret read again before its time: somebody does not accept what it says.
func (s *Shared) Refresh(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if soon := s.read.Add(atMost); soon.Before(s.until) {
		s.until = soon
	}
}

func (s *Shared) load(ctx context.Context) {
	value, err := s.get(ctx)
	s.read, s.failure = s.now(), err
	s.until = s.read.Add(atMost)
	if err != nil {
		s.log.ErrorContext(ctx, "the shared secret could not be read", "known", s.known,
			"error", err.Error())
		return
	}
	s.value, s.known = value, true
	if value.SlackBotToken != "" && value.SlackSigningSecret != "" {
		s.until = s.read.Add(keep)
	}
}

// get reads the secret. Its errors never say what is in it.
func (s *Shared) get(ctx context.Context) (content, error) {
	answer, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId: &s.arn,
	})
	if _, unset := errors.AsType[*types.ResourceNotFoundException](err); unset {
		// Terraform makes the secret without a value.
		s.log.WarnContext(ctx, "the shared secret has no value yet", "secret_arn", s.arn)
		return content{}, nil
	}
	if err != nil {
		return content{}, fmt.Errorf("reading the shared secret %s: %w", s.arn, err)
	}
	var value content
	if json.Unmarshal([]byte(aws.ToString(answer.SecretString)), &value) != nil {
		return content{}, fmt.Errorf("the shared secret %s is no JSON object with texts in the "+
			"members slack_bot_token and slack_signing_secret: put one into it", s.arn)
	}
	return value, nil
}
