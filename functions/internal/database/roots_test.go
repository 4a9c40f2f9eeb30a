package database

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// regions are those of RDS in the partition aws, with two that AWS tries new things in.
var regions = []string{
	"Beta us-east-1", "Preview us-east-2", "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1",
	"ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1",
	"ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
	"ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
	"eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1",
	"me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// TestRootsOfRDS checks that there is a root of each kind for each region, that it is one, and that
// it is valid for as long as a deployment may live.
func TestRootsOfRDS(t *testing.T) {
	certificates, err := ParseAuthorities(string(rdsRoots))
	require.NoError(t, err)
	var found []string
	for _, certificate := range certificates {
		name := certificate.Subject.CommonName
		require.NoError(t, certificate.CheckSignatureFrom(certificate), name)
		require.Equal(t, []string{"Amazon Web Services, Inc."}, certificate.Subject.Organization, name)
		require.True(t, certificate.NotAfter.After(time.Now().AddDate(10, 0, 0)), name)
		kind := ""
		switch key := certificate.PublicKey.(type) {
		case *rsa.PublicKey:
			kind = map[int]string{2048: "RSA2048", 4096: "RSA4096"}[key.N.BitLen()]
		case *ecdsa.PublicKey:
			if key.Curve == elliptic.P384() {
				kind = "ECC384"
			}
		}
		require.True(t, strings.HasSuffix(name, " Root CA "+kind+" G1"), name)
		found = append(found, name)
	}
	var wanted []string
	for _, region := range regions {
		for _, kind := range []string{"RSA2048", "RSA4096", "ECC384"} {
			wanted = append(wanted, "Amazon RDS "+region+" Root CA "+kind+" G1")
		}
	}
	slices.Sort(wanted)
	slices.Sort(found)
	assert.Equal(t, wanted, found)
}

func TestParseAuthorities(t *testing.T) {
	whole, err := os.ReadFile(newAuthority(t).file)
	require.NoError(t, err)
	one := string(whole)
	block, _ := pem.Decode(whole)
	damaged := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes[:50]}))
	for name, c := range map[string]struct {
		text, wrong string
		count       int
	}{
		"one":                    {text: one, count: 1},
		"two, with comments":     {text: "# ours\n" + one + "\n# theirs\n" + one, count: 2},
		"lines of another":       {text: strings.ReplaceAll(one, "\n", "\r\n"), count: 1},
		"none":                   {text: "", wrong: "only 0 of 1"},
		"a path":                 {text: "/etc/ssl/cert.pem", wrong: "only 0 of 1"},
		"cut off":                {text: one + one[:len(one)-30], wrong: "only 1 of 2"},
		"damaged":                {text: one + damaged, wrong: "certificate 2 cannot be read"},
		"with a line missing":    {text: strings.Replace(one, "\n", " ", 1), wrong: "only 0 of 1"},
		"damaged in the middle":  {text: strings.Replace(one, "MII", "M!I", 1) + one, wrong: "only 1 of 2"},
		"a private key":          {text: one + keyOf(t), wrong: "there is a PRIVATE KEY"},
		"a certificate's bundle": {text: string(rdsRoots), count: 3 * len(regions)},
	} {
		certificates, err := ParseAuthorities(c.text)
		if c.wrong != "" {
			require.ErrorContains(t, err, c.wrong, name)
			assert.NotContains(t, err.Error(), "MII", name)
			continue
		}
		require.NoError(t, err, name)
		assert.Len(t, certificates, c.count, name)
	}
}

func keyOf(t *testing.T) string {
	t.Helper()
	_, file := newAuthority(t).issue(t, "localhost")
	key, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(key)
}

func TestExpired(t *testing.T) {
	root := newAuthority(t).certificate
	both := []*x509.Certificate{root, root}
	require.NoError(t, Expired(both, time.Now()))
	require.ErrorContains(t, Expired(both[:1], time.Now().Add(2*time.Hour)), "the tests' root")
	require.ErrorContains(t, Expired(both[:1], time.Now().Add(-2*time.Hour)), "replace it")
}

// TestPrivateAuthority connects to servers whose certificates are by an authority that nobody knows
// but the secret.
func TestPrivateAuthority(t *testing.T) {
	root := newAuthority(t)
	text, err := os.ReadFile(root.file)
	require.NoError(t, err)
	stored, reads := "", 0
	secretsManager(t, func() string { reads++; return stored })
	cert, key := root.issue(t, "localhost")
	server := start(t, pgserver.Config{CertFile: cert, KeyFile: key})
	config := Config{Host: "localhost", Port: uint16(server.Port), User: "postgres", Database: "postgres",
		Auth: AuthPassword, Password: password, AuthoritiesARN: "arn:aws:secretsmanager:eu:1:secret:ca"}
	connector, err := NewConnector(config)
	require.NoError(t, err)

	for value, sentence := range map[string]string{
		"":                                 "cannot be read",
		"/etc/ssl/cert.pem":                "cannot be used",
		string(bytes.ToLower(text)):        "cannot be used",
		string(rdsRoots[:len(rdsRoots)-9]): "cannot be used",
	} {
		stored = value
		_, err = connector.Connect(t.Context())
		require.ErrorAs(t, err, &CredentialsUnavailable{})
		require.ErrorContains(t, err, sentence)
		require.ErrorContains(t, err, config.AuthoritiesARN)
	}

	// A text that could not be used is read again; one that could is kept.
	stored, reads = string(text), 0
	for range 2 {
		conn, err := connector.Connect(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
	require.Equal(t, 1, reads)

	// Another authority than the server's is as good as none, and the name counts as ever.
	other, err := os.ReadFile(newAuthority(t).file)
	require.NoError(t, err)
	stored = string(other)
	connector, err = NewConnector(config)
	require.NoError(t, err)
	_, err = connector.Connect(t.Context())
	require.ErrorContains(t, Named(err), "unknown authority")

	stored = string(text)
	cert, key = root.issue(t, "elsewhere")
	server = start(t, pgserver.Config{CertFile: cert, KeyFile: key})
	config.Port = uint16(server.Port)
	connector, err = NewConnector(config)
	require.NoError(t, err)
	_, err = connector.Connect(t.Context())
	require.ErrorContains(t, Named(err), "not localhost")

	// Where nothing is verified, nothing is read.
	config.SSLMode, reads = SSLRequire, 0
	connector, err = NewConnector(config)
	require.NoError(t, err)
	conn, err := connector.Connect(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.Zero(t, reads)
}
