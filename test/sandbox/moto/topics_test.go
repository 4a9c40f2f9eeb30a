package moto

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// TestTopicsCallFunctions publishes to a topic that a function is subscribed to: the function is
// called where the front is, in the form that SNS gives a message.
func TestTopicsCallFunctions(t *testing.T) {
	type invocation struct{ path, kind, body string }
	calls := make(chan invocation, 2)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path, _ := url.PathUnescape(r.URL.EscapedPath())
		calls <- invocation{path, r.Header.Get("X-Amz-Invocation-Type"), string(body)}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(front.Close)
	server, err := Start(t.Context(), Options{
		PublicPort: front.Listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ask := func(form url.Values) string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL(),
			strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+
			"test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %s", form.Get("Action"), response.Status, body)
		}
		return string(body)
	}

	const topic = "arn:aws:sns:us-east-1:123456789012:errors"
	const function = "arn:aws:lambda:us-east-1:123456789012:function:relay"
	ask(url.Values{"Action": {"CreateTopic"}, "Name": {"errors"}})
	ask(url.Values{
		"Action": {"Subscribe"}, "TopicArn": {topic}, "Protocol": {"lambda"}, "Endpoint": {function},
	})
	ask(url.Values{
		"Action": {"Publish"}, "TopicArn": {topic}, "Subject": {"News"}, "Message": {"It — failed."},
		"MessageAttributes.entry.1.Name":              {"sym_origin"},
		"MessageAttributes.entry.1.Value.DataType":    {"String"},
		"MessageAttributes.entry.1.Value.StringValue": {"runtime"},
	})
	var call invocation
	select {
	case call = <-calls:
	case <-time.After(30 * time.Second):
		t.Fatal("the function was not called")
	}
	if call.path != "/2015-03-31/functions/"+function+"/invocations" || call.kind != "Event" {
		t.Errorf("called as %q (%s)", call.path, call.kind)
	}
	var event events.SNSEvent
	if err := json.Unmarshal([]byte(call.body), &event); err != nil || len(event.Records) != 1 {
		t.Fatalf("%v: %s", err, call.body)
	}
	got := event.Records[0]
	origin, _ := got.SNS.MessageAttributes["sym_origin"].(map[string]any)
	if got.EventSource != "aws:sns" || got.SNS.TopicArn != topic || got.SNS.Subject != "News" ||
		got.SNS.Message != "It — failed." || origin["Value"] != "runtime" ||
		got.SNS.Timestamp.IsZero() {
		t.Errorf("the message came as %+v", got)
	}
}
