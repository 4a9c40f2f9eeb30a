package database

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/jackc/pgx/v5"
)

// connectTimeout is the most that one attempt may take, in a deadline that is longer.
const connectTimeout = 10 * time.Second

// Connector opens connections.
type Connector struct {
	config   Config
	settings *pgx.ConnConfig
	aws      func() (aws.Config, error)

	mutex sync.Mutex
	// trusted has the authorities of AuthoritiesARN, once they have been read.
	trusted *tls.Config
}

// NewConnector prepares connecting; it reaches neither AWS nor the database yet.
func NewConnector(c Config) (*Connector, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	// The settings are put in place one by one, so that no connection string with a
	// password in it is ever made, and none of libpq's variables has a say.
	settings, err := pgx.ParseConfig("host=localhost sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("the settings of the connection cannot be made: %w", err)
	}
	settings.Host, settings.Port = c.Host, c.Port
	settings.Database, settings.User = c.Database, c.User
	settings.Fallbacks = nil
	settings.ValidateConnect = nil
	Pin(settings)
	if c.Application != "" {
		settings.RuntimeParams["application_name"] = c.Application
	}
	settings.ConnectTimeout = connectTimeout
	if settings.TLSConfig, err = tlsConfig(c, c.Authorities); err != nil {
		return nil, err
	}
	return &Connector{config: c, settings: settings, aws: sync.OnceValues(loadAWS)}, nil
}

func loadAWS() (aws.Config, error) {
	// Loaded once for the life of the process, so not by one invocation's deadline; its
	// credentials renew themselves.
	return config.LoadDefaultConfig(context.Background())
}

// Connect opens a connection with credentials fetched for it.
func (c *Connector) Connect(ctx context.Context) (*pgx.Conn, error) {
	settings := c.settings.Copy()
	user, password, err := c.credentials(ctx)
	if err != nil {
		return nil, err
	}
	if user != "" {
		settings.User = user
	}
	settings.Password = password
	if c.config.AuthoritiesARN != "" && settings.TLSConfig != nil {
		if settings.TLSConfig, err = c.trust(ctx); err != nil {
			return nil, err
		}
	}
	return Open(ctx, settings)
}

func (c *Connector) credentials(ctx context.Context) (user, password string, err error) {
	if c.config.Auth == AuthPassword {
		return "", c.config.Password, nil
	}
	cloud, err := c.aws()
	if err != nil {
		return "", "", CredentialsUnavailable{Message: "AWS cannot be set up: " + lastLine(err)}
	}
	if c.config.Auth == AuthIAM {
		endpoint := net.JoinHostPort(c.config.Host, strconv.Itoa(int(c.config.Port)))
		token, err := auth.BuildAuthToken(
			ctx, endpoint, cloud.Region, c.config.User, cloud.Credentials)
		if err != nil {
			return "", "", CredentialsUnavailable{
				Message: "a token to log in with cannot be made: " + lastLine(err)}
		}
		return "", token, nil
	}
	return Secret(ctx, secretsmanager.NewFromConfig(cloud), c.config.SecretARN)
}

// Secret reads the login of a database user from Secrets Manager. The user is empty where
// the secret has none.
func Secret(
	ctx context.Context, client *secretsmanager.Client, arn string,
) (user, password string, err error) {
	secret, err := client.GetSecretValue(ctx,
		&secretsmanager.GetSecretValueInput{SecretId: aws.String(arn)})
	if err != nil {
		return "", "", CredentialsUnavailable{
			Message: fmt.Sprintf("the secret %s cannot be read: %s", arn, lastLine(err)),
			Unset:   unset(err),
		}
	}
	user, password, ok := parseSecret(aws.ToString(secret.SecretString))
	if !ok {
		return "", "", CredentialsUnavailable{Message: fmt.Sprintf("the secret %s has no password: it "+
			`has to be {"username": …, "password": …} or a bare password`, arn)}
	}
	return user, password, nil
}

// unset tells a secret without a value from one that is not there: both are not found, and only the
// first is found without its value.
func unset(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing) && strings.Contains(missing.ErrorMessage(), "AWSCURRENT")
}

// parseSecret takes RDS's form of a secret, or a bare password.
func parseSecret(text string) (user, password string, ok bool) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return "", text, text != ""
	}
	var login struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	err := json.Unmarshal([]byte(text), &login)
	return login.Username, login.Password, err == nil && login.Password != ""
}
