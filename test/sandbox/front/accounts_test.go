package front

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/moto"
)

const otherAccount = "222222222222"

// frontWithMoto starts a front before a real moto.
func frontWithMoto(t *testing.T) *Front {
	t.Helper()
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
	return f
}

// topicWithKey makes a topic that is encrypted, with the policies of both, and answers its ARN.
func topicWithKey(t *testing.T, f *Front, topicPolicy, keyPolicy string) string {
	t.Helper()
	var key struct {
		KeyMetadata struct{ Arn string }
	}
	require.NoError(t, f.askJSON(t.Context(), Account, "kms", http.MethodPost, "/", "TrentService.CreateKey",
		map[string]string{"Policy": keyPolicy}, &key))
	_, err := f.ask(t.Context(), Account, "sns", url.Values{
		"Action": {"CreateTopic"}, "Version": {"2010-03-31"}, "Name": {"errors"},
		"Attributes.entry.1.key": {"KmsMasterKeyId"}, "Attributes.entry.1.value": {key.KeyMetadata.Arn},
		"Attributes.entry.2.key": {"Policy"}, "Attributes.entry.2.value": {topicPolicy},
	})
	require.NoError(t, err)
	return "arn:aws:sns:" + Region + ":" + Account + ":errors"
}

// TestPublishingToAnotherAccount checks that the topic's policy and its key's policy both have to
// let a caller of another account in.
func TestPublishingToAnotherAccount(t *testing.T) {
	t.Parallel()
	f := frontWithMoto(t)
	const (
		lets = `{"Statement":[{"Effect":"Allow","Action":"sns:Publish","Resource":"*",
			"Principal":{"AWS":"arn:aws:iam::` + otherAccount + `:root"},
			"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/sym/*"}}}]}`
		nobody   = `{"Statement":[]}`
		letsKey  = `{"Statement":[{"Effect":"Allow","Action":["kms:GenerateDataKey*"],"Resource":"*","Principal":"*","Condition":{"StringEquals":{"kms:CallerAccount":["` + otherAccount + `"],"kms:ViaService":"sns.us-east-1.amazonaws.com"}}}]}`
		ownerKey = `{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":{"AWS":"arn:aws:iam::` + Account + `:root"}}]}`
	)
	function := session("arn:aws:iam::"+otherAccount+":role/sym/sym-orders", "AROA", "sym-orders")
	for _, c := range []struct {
		name, topic, key string
		caller           Identity
		refusal          string
	}{
		{"both policies let it", lets, letsKey, function, ""},
		{"the topic's policy does not", nobody, letsKey, function, "may not sns:Publish"},
		{"the key's policy does not", lets, ownerKey, function, "may not kms:GenerateDataKey"},
		{"another role of that account", lets, letsKey, session("arn:aws:iam::"+otherAccount+":role/other", "AROA", "x"),
			"aws:PrincipalArn"},
		{"a third account", lets, letsKey, root("333333333333"), "may not sns:Publish"},
		{"the topic's own account", nobody, ownerKey, root(Account), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic := topicWithKey(t, f, c.topic, c.key)
			err := f.mayPublish(t.Context(), c.caller, topic)
			if c.refusal == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.refusal)
			}
			body := url.Values{"Action": {"Publish"}, "TopicArn": {topic}, "Message": {"x"}}.Encode()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20000101/us-east-1/sns/aws4_request")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			f.serveSNS(w, r, call{caller: c.caller, action: "Publish", body: []byte(body), fail: failure(r)})
			require.Equal(t, c.refusal == "", w.Code == http.StatusOK, w.Body.String())
			_, err = f.ask(t.Context(), Account, "sns", url.Values{
				"Action": {"DeleteTopic"}, "Version": {"2010-03-31"}, "TopicArn": {topic},
			})
			require.NoError(t, err)
		})
	}
}

// TestInvokingInAnotherAccount checks that a function's own policy has to let a caller of another
// account in.
func TestInvokingInAnotherAccount(t *testing.T) {
	t.Parallel()
	policy := ""
	moto := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != functionsPath+"/roles/policy" || policy == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"Policy": policy})
	}))
	defer moto.Close()
	f := &Front{Options: Options{Moto: moto.URL}}
	const arn = "arn:aws:lambda:us-east-1:" + otherAccount + ":function:roles"
	require.NoError(t, f.mayInvoke(t.Context(), root(otherAccount), arn), "its own account")
	require.ErrorContains(t, f.mayInvoke(t.Context(), root(Account), arn), "the function has no policy")
	policy = `{"Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Principal":{"AWS":"` + Account + `"}}]}`
	require.NoError(t, f.mayInvoke(t.Context(), root(Account), arn))
	require.ErrorContains(t, f.mayInvoke(t.Context(), root("333333333333"), arn), "may not lambda:InvokeFunction")
}
