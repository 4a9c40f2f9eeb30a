package database

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

func TestFromEnvironment(t *testing.T) {
	tests := map[string]struct {
		environment string
		auth        string
		sentence    string
	}{
		"secret by default":     {"PG_HOST=h PG_SECRET_ARN=arn", AuthSecret, ""},
		"password by default":   {"PG_HOST=h PG_PASSWORD=p", AuthPassword, ""},
		"iam by default":        {"PG_HOST=h", AuthIAM, ""},
		"iam, though a secret":  {"PG_HOST=h PG_SECRET_ARN=arn PG_AUTH=iam", AuthIAM, ""},
		"no host":               {"", "", "PG_HOST is empty"},
		"a socket":              {"PG_HOST=/tmp", "", "one host name"},
		"no port":               {"PG_HOST=h PG_PORT=x", "", `PG_PORT is "x"`},
		"port too high":         {"PG_HOST=h PG_PORT=65536", "", "PG_PORT"},
		"port zero":             {"PG_HOST=h PG_PORT=0", "", "PG_PORT"},
		"unknown auth":          {"PG_HOST=h PG_AUTH=kerberos", "", `PG_AUTH is "kerberos"`},
		"no secret":             {"PG_HOST=h PG_AUTH=secret", "", "PG_SECRET_ARN names none"},
		"no password":           {"PG_HOST=h PG_AUTH=password", "", "PG_PASSWORD is empty"},
		"mode that can give in": {"PG_HOST=h PG_SSLMODE=prefer", "", `PG_SSLMODE is "prefer"`},
		"token in the clear":    {"PG_HOST=h PG_SSLMODE=disable", "", "needs TLS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := FromEnvironment(environment(test.environment))
			if test.sentence != "" {
				require.ErrorContains(t, err, test.sentence)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.auth, config.Auth)
			assert.Equal(t, SSLVerifyFull, config.SSLMode)
			assert.EqualValues(t, 5432, config.Port)
		})
	}
}

func environment(pairs string) func(string) string {
	return func(name string) string {
		for pair := range strings.FieldsSeq(pairs) {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value
			}
		}
		return ""
	}
}

func TestScript(t *testing.T) {
	text := "\\set ON_ERROR_STOP on\nSELECT :'a', :'b';\n\\echo :'a'\n-- a \\ stays\n"
	script, err := Script(text, map[string]string{"a": "it's :'b'", "b": `c:\x`})
	require.NoError(t, err)
	assert.Equal(t, "SELECT 'it''s :''b''',  E'c:\\\\x';\n-- a \\ stays\n", script)

	_, err = Script(text, map[string]string{"a": "\x00"})
	require.ErrorContains(t, err, "NUL")
}

func TestNamed(t *testing.T) {
	server := func(code, message string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Message: message})
	}
	tests := map[string]struct {
		err  error
		want error
	}{
		"lock timeout":         {server("55P03", ""), DatabaseBusy{}},
		"statement timeout":    {server("57014", ""), DatabaseBusy{}},
		"too many connections": {server("53300", ""), DatabaseBusy{}},
		"deadlock":             {server("40P01", ""), DatabaseBusy{}},
		"catalogue":            {server("XX000", "tuple concurrently updated"), DatabaseBusy{}},
		"inside":               {server("XX000", "oh"), DatabaseUnavailable{}},
		"shutting down":        {server("57P01", ""), DatabaseUnavailable{}},
		"starting":             {server("57P03", ""), DatabaseUnavailable{}},
		"read-only":            {server("25006", ""), DatabaseUnavailable{}},
		"password":             {server("28P01", ""), CredentialsUnavailable{}},
		"no rights":            {server("42501", ""), DatabaseRefused{}},
		"strange code":         {server("", ""), DatabaseRefused{}},
		"end of file":          {io.ErrUnexpectedEOF, DatabaseUnavailable{}},
		"deadline":             {context.DeadlineExceeded, DatabaseUnavailable{}},
		"named already":        {CredentialsUnavailable{}, CredentialsUnavailable{}},
		"ours":                 {errors.New("a bug"), errors.New("")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { assert.IsType(t, test.want, Named(test.err)) })
	}
	assert.NoError(t, Named(nil))
}

// authority makes certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true,
		BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "the tests' root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, file, "CERTIFICATE", der)
	return &authority{certificate, key, file}
}

func (a *authority) issue(t *testing.T, host string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(
		rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", secret)
	return certFile, keyFile
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

const password = "s3cret'word\\"

// start starts a server that takes only TLS connections.
func start(t *testing.T, config pgserver.Config) *pgserver.Server {
	t.Helper()
	config.Password = password
	config.HBA = []string{"hostnossl all all all reject"}
	server, err := pgserver.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	return server
}

func TestTLS(t *testing.T) {
	root := newAuthority(t)
	for host, modes := range map[string]map[string]string{
		// What each mode says to a certificate for the name we connect to, with and
		// without knowing its root, and to one for another name.
		"localhost": {
			SSLVerifyFull: "", SSLVerifyCA: "", SSLRequire: "", SSLDisable: "pg_hba.conf rejects",
			SSLVerifyFull + " unknown": "unknown authority",
			SSLVerifyCA + " unknown":   "unknown authority",
			SSLRequire + " unknown":    "",
		},
		"elsewhere": {
			SSLVerifyFull: "not localhost", SSLVerifyCA: "", SSLRequire: "",
		},
	} {
		cert, key := root.issue(t, host)
		server := start(t, pgserver.Config{CertFile: cert, KeyFile: key})
		for mode, sentence := range modes {
			t.Run(host+" "+mode, func(t *testing.T) {
				config := Config{Host: "localhost", Port: uint16(server.Port), User: "postgres",
					Database: "postgres", Auth: AuthPassword, Password: password}
				mode, unknown := strings.CutSuffix(mode, " unknown")
				if config.SSLMode = mode; !unknown {
					config.RootCert = root.file
				}
				connector, err := NewConnector(config)
				require.NoError(t, err)
				conn, err := connector.Connect(t.Context())
				if sentence == "" {
					require.NoError(t, err)
					require.NoError(t, conn.Close(t.Context()))
					return
				}
				require.ErrorContains(t, Named(err), sentence)
				assert.NotContains(t, fmt.Sprintf("%+v %#v", err, Named(err)), "s3cret")
			})
		}
	}
}

func TestSystemsRootsAreAskedWhereOursDoNotKnow(t *testing.T) {
	root := newAuthority(t)
	asked := 0
	systemRoots = func() (*x509.CertPool, error) {
		asked++
		pool := x509.NewCertPool()
		pool.AddCert(root.certificate)
		return pool, nil
	}
	t.Cleanup(func() { systemRoots = x509.SystemCertPool })
	for _, host := range []string{"localhost", "elsewhere"} {
		cert, key := root.issue(t, host)
		server := start(t, pgserver.Config{CertFile: cert, KeyFile: key})
		connector, err := NewConnector(Config{Host: "localhost", Port: uint16(server.Port),
			User: "postgres", Database: "postgres", Auth: AuthPassword, Password: password})
		require.NoError(t, err)
		require.Zero(t, asked, "not before they are needed")
		conn, err := connector.Connect(t.Context())
		if host == "localhost" {
			require.NoError(t, err)
			require.Equal(t, 1, asked)
			asked = 0
			require.NoError(t, conn.Close(t.Context()))
		} else {
			require.ErrorContains(t, Named(err), "not localhost", "the name counts there, too")
		}
	}
}

func TestTokenNamesTheDatabaseAndTheUser(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
	t.Setenv("AWS_REGION", "eu-central-1")
	connector, err := NewConnector(Config{Host: "db.example.com", Port: 5433,
		User: "sym_broker", Auth: AuthIAM})
	require.NoError(t, err)
	_, token, err := connector.credentials(t.Context())
	require.NoError(t, err)
	assert.Regexp(t, `^db\.example\.com:5433\?Action=connect&DBUser=sym_broker&`, token)
	assert.Contains(t, token, "eu-central-1%2Frds-db")
}

// secretsManager stands in for AWS's, with one secret.
func secretsManager(t *testing.T, secret func() string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := secret()
		if text == "" {
			w.WriteHeader(http.StatusBadRequest)
			text = `{"__type":"AccessDeniedException","message":"Not yours."}`
		} else {
			body, _ := json.Marshal(map[string]string{"SecretString": text})
			text = string(body)
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
	t.Setenv("AWS_REGION", "eu-central-1")
}

func TestSessionLivesThroughTrouble(t *testing.T) {
	secret := `{"username":"postgres","password":"s3cret'word\\"}`
	secretsManager(t, func() string { return secret })
	dir, err := os.MkdirTemp("", "database-test")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Password: password})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	connector, err := NewConnector(Config{Host: "127.0.0.1", Port: uint16(server.Port),
		Database: "postgres", Auth: AuthSecret, SecretARN: "arn", SSLMode: SSLDisable})
	require.NoError(t, err)
	session := NewSession(connector.Connect)
	t.Cleanup(session.Close)

	pid := func() (pid int, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = session.Do(ctx, func(error) bool { return false },
			func(ctx context.Context, conn *pgx.Conn) error {
				return conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
			})
		if err != nil {
			assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "s3cret")
		}
		return pid, err
	}
	admin, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	first, err := pid()
	require.NoError(t, err)
	again, err := pid()
	require.NoError(t, err)
	require.Equal(t, first, again, "the connection is kept")

	// Ended by the server: replaced without a word.
	_, err = admin.Exec(t.Context(), "SELECT pg_terminate_backend($1)", first)
	require.NoError(t, err)
	second, err := pid()
	require.NoError(t, err)
	require.NotEqual(t, first, second)

	// Rotated: the connection goes on, and a new one has the new password.
	_, err = admin.Exec(t.Context(), "ALTER ROLE postgres PASSWORD 's3cret 2'")
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "SELECT pg_terminate_backend($1)", second)
	require.NoError(t, err)
	_, err = pid()
	require.IsType(t, CredentialsUnavailable{}, err)
	secret = "s3cret 2"
	connector.settings.User = "postgres" // A bare password comes without a user.
	_, err = pid()
	require.NoError(t, err)

	// Down, and up again.
	require.NoError(t, server.Stop())
	_, err = pid()
	require.IsType(t, DatabaseUnavailable{}, err)
	server, err = pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Port: server.Port})
	require.NoError(t, err)
	_, err = pid()
	require.NoError(t, err)

	// No secret.
	session.Close()
	for _, secret = range []string{"", "{}", `{"password":7}`} {
		_, err = pid()
		require.IsType(t, CredentialsUnavailable{}, err)
	}

	// An error of the work closes the connection, unless it is one to keep.
	secret = "s3cret 2"
	third, err := pid()
	require.NoError(t, err)
	for _, keep := range []bool{true, false} {
		mistake := errors.New("a mistake")
		err = session.Do(t.Context(), func(error) bool { return keep },
			func(context.Context, *pgx.Conn) error { return mistake })
		require.Equal(t, mistake, err)
		now, err := pid()
		require.NoError(t, err)
		assert.Equal(t, keep, now == third)
	}
}

func TestServerThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	silent := httptest.NewUnstartedServer(nil) // It listens, and never accepts.
	t.Cleanup(func() { silent.Listener.Close() })
	var port uint16
	_, err := fmt.Sscanf(silent.Listener.Addr().String(), "127.0.0.1:%d", &port)
	require.NoError(t, err)
	connector, err := NewConnector(Config{Host: "127.0.0.1", Port: port, User: "u",
		Database: "d", Auth: AuthPassword, Password: password, SSLMode: SSLDisable})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = NewSession(connector.Connect).Do(ctx, func(error) bool { return false }, nil)
	require.IsType(t, DatabaseUnavailable{}, err)
}

func TestNameIsLookedUpForEveryConnection(t *testing.T) {
	// A failover gives the name to another address.
	connector, err := NewConnector(Config{Host: "db.example.com", Port: 5432, User: "u",
		Database: "d", Auth: AuthPassword, Password: password, SSLMode: SSLDisable})
	require.NoError(t, err)
	var dialled []string
	address := "192.0.2.1"
	connector.settings.LookupFunc = func(context.Context, string) ([]string, error) {
		return []string{address}, nil
	}
	connector.settings.DialFunc = func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("there is nobody")
	}
	for _, address = range []string{"192.0.2.1", "192.0.2.2"} {
		_, err := connector.Connect(t.Context())
		require.IsType(t, DatabaseUnavailable{}, Named(err))
	}
	assert.Equal(t, []string{"192.0.2.1:5432", "192.0.2.2:5432"}, dialled)
}

func TestNothingOfLibpqHasASay(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGUSER", "PGPASSWORD", "PGOPTIONS"} {
		t.Setenv(name, "elsewhere")
	}
	connector, err := NewConnector(Config{Host: "db.example.com", Port: 5432, User: "u",
		Database: "d", Auth: AuthPassword, Password: password})
	require.NoError(t, err)
	settings := connector.settings
	assert.Equal(t, "db.example.com", settings.Host)
	assert.Equal(t, "u", settings.User)
	assert.Equal(t, pinned, settings.RuntimeParams)
	assert.False(t, bytes.Contains([]byte(settings.ConnString()), []byte("s3cret")))
}
