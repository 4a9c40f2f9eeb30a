package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// rdsRoots are the root certificates of Amazon RDS in all regions of the partition aws, as published
// at https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem. They are no part of a
// system's own roots. GovCloud and China have bundles of their own; see [Config.Authorities].
//
//go:embed rds-ca.pem
var rdsRoots []byte

// systemRoots are the roots of this machine; tests have their own.
var systemRoots = x509.SystemCertPool

// ParseAuthorities reads certificates in PEM. Its errors are for the person who maintains the list.
func ParseAuthorities(text string) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a %s between the certificates: it has to be taken out",
				block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(found)+1, err)
		}
		found = append(found, certificate)
	}
	// What no decoder takes for a block was cut off or changed on its way.
	if strings.Contains(string(rest), "-----BEGIN") || len(found) == 0 ||
		strings.Count(text, "-----BEGIN") != len(found) {
		return nil, fmt.Errorf("only %d of %d certificates can be read: each has to be whole, from "+
			"-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----", len(found),
			max(1, strings.Count(text, "-----BEGIN")))
	}
	return found, nil
}

// Expired names the certificates that are no longer, or not yet, valid.
func Expired(authorities []*x509.Certificate, now time.Time) error {
	var errs []error
	for _, certificate := range authorities {
		if now.After(certificate.NotAfter) || now.Before(certificate.NotBefore) {
			errs = append(errs, fmt.Errorf("the certificate of %q is valid from %s to %s: replace it",
				certificate.Subject, certificate.NotBefore.Format(time.DateOnly),
				certificate.NotAfter.Format(time.DateOnly)))
		}
	}
	return errors.Join(errs...)
}

// trust returns the connection's TLS settings with the authorities of AuthoritiesARN. They are read
// once: whoever changes them changes the function's settings, too, and so starts it anew.
func (c *Connector) trust(ctx context.Context) (*tls.Config, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.trusted != nil {
		return c.trusted.Clone(), nil
	}
	if c.config.SSLMode == SSLRequire {
		return tlsConfig(c.config, "")
	}
	cloud, err := c.aws()
	if err != nil {
		return nil, CredentialsUnavailable{Message: "AWS cannot be set up: " + lastLine(err)}
	}
	arn := c.config.AuthoritiesARN
	secret, err := secretsmanager.NewFromConfig(cloud).GetSecretValue(ctx,
		&secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return nil, CredentialsUnavailable{Message: fmt.Sprintf(
			"the certificate authorities in the secret %s cannot be read: %s", arn, lastLine(err))}
	}
	trusted, err := tlsConfig(c.config, aws.ToString(secret.SecretString))
	if err != nil {
		return nil, CredentialsUnavailable{Message: fmt.Sprintf(
			"the certificate authorities in the secret %s cannot be used: %s", arn, lastLine(err))}
	}
	c.trusted = trusted
	return trusted.Clone(), nil
}

// tlsConfig is nil where TLS is switched off.
func tlsConfig(c Config, authorities string) (*tls.Config, error) {
	if c.SSLMode == SSLDisable {
		return nil, nil
	}
	settings := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.SSLMode == SSLRequire {
		settings.InsecureSkipVerify = true // #nosec G402 -- the mode's meaning: encrypted, to whomever
		return settings, nil
	}
	ours, err := roots(c, authorities)
	if err != nil {
		return nil, err
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

// roots are RDS's and those that were named. The system's are asked only about what these do not
// know, since reading all of them is a good part of a cold start.
func roots(c Config, authorities string) (*x509.CertPool, error) {
	ours := x509.NewCertPool()
	if !ours.AppendCertsFromPEM(rdsRoots) {
		return nil, fmt.Errorf("the root certificates of RDS are damaged")
	}
	if authorities != "" {
		found, err := ParseAuthorities(authorities)
		if err != nil {
			return nil, fmt.Errorf("the certificate authorities cannot be used: %w", err)
		}
		for _, certificate := range found {
			ours.AddCert(certificate)
		}
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
	return ours, nil
}
