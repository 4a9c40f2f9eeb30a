package front

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/moto"
)

// TestStagesNeedTheirRoutes checks that a stage cannot be made, or changed, with
// settings for a route that is not there yet.
func TestStagesNeedTheirRoutes(t *testing.T) {
	t.Parallel()
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := New(Options{
		Listener: listener, Moto: server.URL(), Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	send := func(method, path, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		// moto tells the service by the scope.
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20000101/us-east-1/apigateway/aws4_request")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		f.apis.serveControl(w, r, call{
			caller: Identity{Account: Account}, service: "apigateway", body: []byte(body), fail: failure(r),
		})
		return w.Code, w.Body.String()
	}
	status, body := send(http.MethodPost, "/v2/apis", `{"name":"a","protocolType":"HTTP"}`)
	require.Less(t, status, 300, body)
	var made struct{ APIID string }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	stages := fmt.Sprintf("/v2/apis/%s/stages", made.APIID)
	const settings = `{"stageName":"$default","routeSettings":{"POST /slack":{"throttlingBurstLimit":1}}}`

	status, body = send(http.MethodPost, stages, settings)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "Unable to find Route by key POST /slack within the provided RouteSettings")
	status, body = send(http.MethodPost, stages, `{"stageName":"$default"}`)
	require.Less(t, status, 300, body)
	status, _ = send(http.MethodPatch, stages+"/$default", settings)
	require.Equal(t, http.StatusNotFound, status)

	status, body = send(http.MethodPost, fmt.Sprintf("/v2/apis/%s/routes", made.APIID), `{"routeKey":"POST /slack"}`)
	require.Less(t, status, 300, body)
	// moto cannot change a stage.
	status, body = send(http.MethodPost, stages, strings.Replace(settings, "$default", "second", 1))
	require.Less(t, status, 300, body)
}
