package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is the certificate authority of the sandbox's databases.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// File holds the authority's certificate alone, for psql's sslrootcert.
	File string
	// TrustFile holds it beside every certificate that this machine trusts.
	TrustFile string
}

// systemTrust is where Linux distributions and BSDs keep what they trust.
var systemTrust = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// NewAuthority makes a certificate authority for a day, and writes its
// certificate into dir. Its key stays in memory.
func NewAuthority(dir string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "Sandbox RDS Root CA"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key, File: filepath.Join(dir, "database-ca.pem"),
		TrustFile: filepath.Join(dir, "trusted.pem")}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	trusted := own
	for _, path := range systemTrust {
		// #nosec G304 -- one of the paths above
		if system, err := os.ReadFile(path); err == nil {
			trusted = append(append(system, '\n'), own...)
			break
		}
	}
	return a, errors.Join(os.WriteFile(a.File, own, 0o644), os.WriteFile(a.TrustFile, trusted, 0o644)) // #nosec G703 G306 -- certificates are public
}

// Issue makes a certificate for a server on this machine, and its key. It
// writes both in PEM into dir and answers their files.
func (a *Authority) Issue(dir string) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    a.certificate.NotBefore, NotAfter: a.certificate.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		return "", "", fmt.Errorf("the certificate cannot be made: %w", err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	write := func(path, kind string, der []byte) error {
		return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return certificate, key, errors.Join(os.MkdirAll(dir, 0o700),
		write(certificate, "CERTIFICATE", der), write(key, "EC PRIVATE KEY", encoded))
}
