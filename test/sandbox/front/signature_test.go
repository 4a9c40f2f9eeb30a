package front

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// as is a front that gave out keys once and does nothing else.
func as(t *testing.T) (*Front, aws.Credentials) {
	t.Helper()
	f := &Front{keys: newKeyring()}
	return f, f.keys.issue(root(Account), time.Hour)
}

// arrive is a request as it comes in after somebody has signed and sent it.
func arrive(t *testing.T, keys aws.Credentials, method, url, body string, at time.Time) *http.Request {
	t.Helper()
	out, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	require.NoError(t, err)
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), keys, out, hash([]byte(body)), "lambda", Region, at))
	in := httptest.NewRequest(method, out.URL.RequestURI(), bytes.NewBufferString(body))
	in.Host, in.Header = out.URL.Host, out.Header
	return in
}

func authenticate(t *testing.T, f *Front, r *http.Request) (Identity, error) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	_, who, err := f.authenticate(r, body)
	return who, err
}

func TestSignedCallIsItsSigners(t *testing.T) {
	t.Parallel()
	f, keys := as(t)
	for _, url := range []string{
		"http://127.0.0.1:4566/",
		"http://127.0.0.1:4566/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ax/invocations",
		"http://127.0.0.1:4566/requests?state=active&next=a%2Fb+c&state=done",
	} {
		who, err := authenticate(t, f, arrive(t, keys, http.MethodPost, url, `{"a":1}`, time.Now()))
		require.NoError(t, err, url)
		require.Equal(t, "arn:aws:iam::"+Account+":root", who.ARN)
	}
}

func TestUnsignedAndForgedCallsAreNobodys(t *testing.T) {
	t.Parallel()
	f, keys := as(t)
	const url = "http://127.0.0.1:4566/requests"
	forged, unknown, sessionless := keys, keys, keys
	forged.SecretAccessKey = "guessed"
	unknown.AccessKeyID = "AKIAUNKNOWN"
	sessionless.SessionToken = ""

	for code, r := range map[string]*http.Request{
		"MissingAuthenticationToken": httptest.NewRequest(http.MethodGet, "/requests", nil),
		"SignatureDoesNotMatch":      arrive(t, forged, http.MethodGet, url, "", time.Now()),
		"InvalidClientTokenId":       arrive(t, unknown, http.MethodGet, url, "", time.Now()),
		"RequestExpired":             arrive(t, keys, http.MethodGet, url, "", time.Now().Add(-16*time.Minute)),
	} {
		_, err := authenticate(t, f, r)
		require.ErrorContains(t, err, code)
	}
	_, err := authenticate(t, f, arrive(t, sessionless, http.MethodGet, url, "", time.Now()))
	require.ErrorContains(t, err, "InvalidClientTokenId", "a session's key without its token")

	// What was signed cannot be changed on its way.
	changed := arrive(t, keys, http.MethodPost, url, `{"duration":60}`, time.Now())
	changed.Body = io.NopCloser(bytes.NewBufferString(`{"duration":9999}`))
	_, err = authenticate(t, f, changed)
	require.ErrorContains(t, err, "SignatureDoesNotMatch")
	moved := arrive(t, keys, http.MethodPost, url, "", time.Now())
	moved.URL.Path = "/requests/1/approve"
	_, err = authenticate(t, f, moved)
	require.ErrorContains(t, err, "SignatureDoesNotMatch")
}

func TestDatabaseTokenIsForOneUserAndOneDatabase(t *testing.T) {
	t.Parallel()
	f, keys := as(t)
	f.databases = newDatabases(f)
	f.databases.running[Account+"/x"] = &pgserver.Server{Host: "127.0.0.1", Port: 54321}
	token := func(keys aws.Credentials, address, user string) string {
		text, err := auth.BuildAuthToken(t.Context(), address, Region, user, aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) { return keys, nil }))
		require.NoError(t, err)
		return text
	}
	forged := keys
	forged.SecretAccessKey = "guessed"
	require.NoError(t, f.decideLogin("sym_broker", token(keys, "127.0.0.1:54321", "sym_broker")))
	for name, c := range map[string]struct{ user, token string }{
		"another user's":     {"dbadmin", token(keys, "127.0.0.1:54321", "sym_broker")},
		"another database's": {"sym_broker", token(keys, "127.0.0.1:1", "sym_broker")},
		"forged":             {"sym_broker", token(forged, "127.0.0.1:54321", "sym_broker")},
		"no token":           {"sym_broker", "password"},
		"empty":              {"sym_broker", ""},
	} {
		require.Error(t, f.decideLogin(c.user, c.token), name)
	}
}
