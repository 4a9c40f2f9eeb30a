package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
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

// rdsRoots are the root certificates of Amazon RDS in all regions, as published at
// https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem. They are no part of a
// system's own roots.
//
//go:embed rds-ca.pem
var rdsRoots []byte

// connectTimeout is the most that one attempt may take, in a deadline that is longer.
const connectTimeout = 10 * time.Second

// Connector opens connections.
type Connector struct {
	config   Config
	settings *pgx.ConnConfig
	aws      func() (aws.Config, error)
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
	if settings.TLSConfig, err = tlsConfig(c); err != nil {
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

// tlsConfig is nil where TLS is switched off.
func tlsConfig(c Config) (*tls.Config, error) {
	if c.SSLMode == SSLDisable {
		return nil, nil
	}
	settings := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.SSLMode == SSLRequire {
		settings.InsecureSkipVerify = true // #nosec G402 -- the mode's meaning: encrypted, to whomever
		return settings, nil
	}
	// Ours are RDS's and those that were named. The system's are asked only about what these
	// do not know, since reading all of them is a good part of a cold start.
	ours := x509.NewCertPool()
	if !ours.AppendCertsFromPEM(rdsRoots) {
		return nil, fmt.Errorf("the root certificates of RDS are damaged")
	}
	if c.RootCert != "" {
		pem, err := os.ReadFile(c.RootCert)
		if err != nil {
			return nil, fmt.Errorf("PG_SSLROOTCERT cannot be read: %w", err)
		}
		if !ours.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("PG_SSLROOTCERT is %s, which has no certificate", c.RootCert)
		}
	}
	name := c.Host
	if c.SSLMode == SSLVerifyCA {
		name = "" // The mode's meaning: any name will do.
	}
	// In place of the check that this switches off; see the example of tls.Config's
	// VerifyConnection, which does what the standard library does by itself.
	settings.InsecureSkipVerify = true // #nosec G402 -- VerifyConnection checks instead
	settings.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{
			DNSName: name, Roots: ours, Intermediates: x509.NewCertPool(),
		}
		for _, certificate := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
			// A system without roots of its own leaves it at that.
			if roots, systemErr := systemRoots(); systemErr == nil {
				options.Roots = roots
				_, err = state.PeerCertificates[0].Verify(options)
			}
		}
		return err
	}
	return settings, nil
}

// systemRoots are the roots of this machine; tests have their own.
var systemRoots = x509.SystemCertPool
