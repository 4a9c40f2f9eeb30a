// Package database connects to the PostgreSQL database that the functions work on, and says
// by name what went wrong.
package database

import (
	"fmt"
	"strconv"
	"strings"
)

// The values of [Config.Auth].
const (
	// AuthSecret takes the password from Secrets Manager, anew for every connection, so
	// that a password that was rotated is known at once.
	AuthSecret = "secret"
	// AuthIAM makes a token of the function's own AWS credentials.
	AuthIAM = "iam"
	// AuthPassword is for a machine of one's own.
	AuthPassword = "password"
)

// The values of [Config.SSLMode], which mean what they mean to libpq. Its "allow" and
// "prefer" are left out, since they can be talked out of TLS.
const (
	SSLDisable    = "disable"
	SSLRequire    = "require"
	SSLVerifyCA   = "verify-ca"
	SSLVerifyFull = "verify-full"
)

// Config says where a database is and how to log in to it.
type Config struct {
	Host     string
	Port     uint16
	Database string
	// User is the database user. A username in the secret goes before it, since a
	// rotation may change between two users.
	User string
	Auth string
	// SecretARN names the secret of AuthSecret: {"username"?, "password"} or a bare password.
	SecretARN string
	// Password is that of AuthPassword.
	Password string
	SSLMode  string
	// RootCert is a file of further root certificates, in PEM, beside the system's and
	// Amazon RDS's.
	RootCert string
	// Authorities are further root certificates in PEM, and AuthoritiesARN names a secret that has
	// them. The environment is too small for some; a plan has them checked in Authorities.
	Authorities    string
	AuthoritiesARN string
	// Application is the name that the server shows in its list of sessions.
	Application string
}

// FromEnvironment reads the variables PG_HOST, PG_PORT, PG_DATABASE, PG_USER, PG_SSLMODE,
// PG_SSLROOTCERT, PG_CERTIFICATE_AUTHORITIES, PG_CERTIFICATE_AUTHORITIES_ARN, PG_AUTH,
// PG_SECRET_ARN and PG_PASSWORD.
func FromEnvironment(getenv func(string) string) (Config, error) {
	c := Config{
		Host:        getenv("PG_HOST"),
		Database:    or(getenv("PG_DATABASE"), "postgres"),
		User:        or(getenv("PG_USER"), "sym_broker"),
		Auth:        getenv("PG_AUTH"),
		SecretARN:   getenv("PG_SECRET_ARN"),
		Password:    getenv("PG_PASSWORD"),
		SSLMode:     getenv("PG_SSLMODE"),
		RootCert:    getenv("PG_SSLROOTCERT"),
		Application: "sym-postgres",

		Authorities:    getenv("PG_CERTIFICATE_AUTHORITIES"),
		AuthoritiesARN: getenv("PG_CERTIFICATE_AUTHORITIES_ARN"),
	}
	port, err := strconv.ParseUint(or(getenv("PG_PORT"), "5432"), 10, 16)
	if err != nil || port == 0 {
		return Config{}, fmt.Errorf("PG_PORT is %q, but a port is a number from 1 to 65535",
			getenv("PG_PORT"))
	}
	c.Port = uint16(port)
	if c.Auth == "" {
		switch {
		case c.SecretARN != "":
			c.Auth = AuthSecret
		case c.Password != "":
			c.Auth = AuthPassword
		default:
			c.Auth = AuthIAM
		}
	}
	return c, c.validate()
}

func (c *Config) validate() error {
	if c.SSLMode == "" {
		c.SSLMode = SSLVerifyFull
	}
	switch {
	case c.Host == "":
		return fmt.Errorf("PG_HOST is empty: it has to name the database's host")
	case strings.ContainsAny(c.Host, "/,"):
		return fmt.Errorf("PG_HOST is %q, but it has to be one host name or address", c.Host)
	}
	switch c.Auth {
	case AuthSecret:
		if c.SecretARN == "" {
			return fmt.Errorf("PG_AUTH is secret, but PG_SECRET_ARN names none")
		}
	case AuthPassword:
		if c.Password == "" {
			return fmt.Errorf("PG_AUTH is password, but PG_PASSWORD is empty")
		}
	case AuthIAM:
		// The server sees the token, which is worth a login for a quarter of an hour.
		if c.SSLMode == SSLDisable {
			return fmt.Errorf("PG_AUTH is iam, which needs TLS, but PG_SSLMODE is disable")
		}
	default:
		return fmt.Errorf("PG_AUTH is %q, but it has to be secret, iam or password", c.Auth)
	}
	switch c.SSLMode {
	case SSLDisable, SSLRequire, SSLVerifyCA, SSLVerifyFull:
	default:
		return fmt.Errorf("PG_SSLMODE is %q, but it has to be verify-full, verify-ca, require "+
			"or disable", c.SSLMode)
	}
	if c.Authorities != "" {
		if _, err := ParseAuthorities(c.Authorities); err != nil {
			return fmt.Errorf("PG_CERTIFICATE_AUTHORITIES cannot be used: %w", err)
		}
	}
	return nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
