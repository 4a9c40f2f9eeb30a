package front

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/lambdaruntime"
)

func TestFailuresGoToTheirDestination(t *testing.T) {
	t.Parallel()
	const topic = "arn:aws:sns:us-east-1:123456789012:errors"
	var published []url.Values
	destination := topic
	moto := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2019-09-25/functions/sweeper/event-invoke-config/list" {
			_ = json.NewEncoder(w).Encode(map[string]any{"FunctionEventInvokeConfigs": []any{
				map[string]any{"MaximumRetryAttempts": 0, "DestinationConfig": map[string]any{
					"OnFailure": map[string]any{"Destination": destination}}},
			}})
			return
		}
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		published = append(published, form)
	}))
	defer moto.Close()
	f := &Front{Options: Options{Moto: moto.URL}}
	failed := lambdaruntime.Result{
		Error: "Unhandled", Payload: []byte(`{"errorType":"DatabaseUnavailable","errorMessage":"x"}`),
	}
	const arn = "arn:aws:lambda:us-east-1:123456789012:function:sweeper"
	require.NoError(t, f.sendFailure(t.Context(), arn, []byte(`{"type":"sweep"}`), failed))
	require.Len(t, published, 1)
	require.Equal(t, topic, published[0].Get("TopicArn"))
	var record struct {
		RequestContext  struct{ FunctionArn, Condition string }
		RequestPayload  struct{ Type string }
		ResponsePayload struct{ ErrorType, ErrorMessage string }
	}
	require.NoError(t, json.Unmarshal([]byte(published[0].Get("Message")), &record))
	require.Equal(t, arn+":$LATEST", record.RequestContext.FunctionArn)
	require.Equal(t, "RetriesExhausted", record.RequestContext.Condition)
	require.Equal(t, "sweep", record.RequestPayload.Type)
	require.Equal(t, "DatabaseUnavailable", record.ResponsePayload.ErrorType)

	destination = ""
	require.NoError(t, f.sendFailure(t.Context(), arn, []byte(`{}`), failed))
	require.Len(t, published, 1, "there is no destination")
}
