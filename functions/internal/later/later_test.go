package later

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDo has a Lambda that writes down what it is asked, since moto runs no function.
func TestDo(t *testing.T) {
	var path, kind, payload string
	status := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path, kind, payload = r.URL.Path, r.Header.Get("X-Amz-Invocation-Type"), string(body)
		w.WriteHeader(status)
	}))
	defer server.Close()
	function := New(lambda.New(lambda.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}), "sym-main-runtime")

	require.NoError(t, function.Do(t.Context(), map[string]string{"step": "deliver"}))
	assert.Equal(t, "/2015-03-31/functions/sym-main-runtime/invocations", path)
	assert.Equal(t, "Event", kind, "it is not waited for")
	assert.JSONEq(t, `{"step":"deliver"}`, payload)

	status = http.StatusTooManyRequests
	assert.ErrorContains(t, function.Do(t.Context(), 1), "sym-main-runtime")
	assert.ErrorContains(t, function.Do(t.Context(), func() {}), "encoding")
}
