package front

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCurlSignsWhatTheManualShows calls with curl's own signature, by the spelling of queries that
// README.md and docs/openapi.yaml show. AWS refuses the others where curl signs them as they are:
// https://github.com/curl/curl/issues/11794.
func TestCurlSignsWhatTheManualShows(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("this machine has no curl")
	}
	f, keys := as(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if _, _, err := f.authenticate(r, body); err != nil {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	status := func(query string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error",
			"--output", "/dev/null", "--write-out", "%{http_code}",
			"--aws-sigv4", "aws:amz:"+Region+":execute-api",
			"--user", keys.AccessKeyID+":"+keys.SecretAccessKey,
			"--header", "X-Amz-Security-Token: "+keys.SessionToken,
			server.URL+"/requests?"+query).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	for _, query := range []string{
		"flow=postgres&state=active", "requester=alice%40example.com",
		"held_at=2026-03-03T14%3A00%3A00Z", "held_at=2026-03-03T14%3A00%3A00%2B01%3A00",
	} {
		assert.Equal(t, "200", status(query), query)
	}
	assert.Equal(t, "403", status("state=active&state=%zz"), "what is wrongly signed is refused")
}
