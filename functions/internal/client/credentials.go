package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// LoadAWS finds the caller's credentials and region where every program of AWS's finds them. A
// profile that is empty is the one of the environment.
func LoadAWS(ctx context.Context, profile string) (aws.Config, error) {
	// What the library warns of is said in our own words, once.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return loaded, fmt.Errorf("there is no AWS profile %q: `aws configure list-profiles` shows "+
			"those that there are", missing.Profile)
	}
	if err != nil {
		return loaded, fmt.Errorf("your AWS configuration cannot be read: %w", err)
	}
	return loaded, nil
}

// CredentialsError says that the caller cannot sign.
type CredentialsError struct{ cause error }

// Error is the sentence for people. The chain's own words are long, and their end says most.
func (e *CredentialsError) Error() string {
	text := e.cause.Error()
	if i := strings.LastIndex(text, "failed to refresh cached credentials, "); i >= 0 {
		text = text[i+len("failed to refresh cached credentials, "):]
	}
	return "You have no AWS credentials that work, and the API has to know who asks. Sign in with " +
		"`aws sso login` (with AWS_PROFILE or --profile, where you use profiles), then try again. " +
		"AWS's library says: " + text
}

// Unwrap is what went wrong.
func (e *CredentialsError) Unwrap() error { return e.cause }
