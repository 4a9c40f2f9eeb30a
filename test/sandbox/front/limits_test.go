package front

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLimits checks that what AWS refuses for its size or letters is refused here, too, and that
// what just fits is not.
func TestLimits(t *testing.T) {
	t.Parallel()
	environment := func(value string) string {
		body, err := json.Marshal(map[string]any{
			"FunctionName": "f", "Environment": map[string]any{"Variables": map[string]string{"A": value}},
		})
		require.NoError(t, err)
		return string(body)
	}
	role := func(field, policy string) string { return url.Values{field: {policy}}.Encode() }
	const functions = "/2015-03-31/functions"
	const room = 4096 - len(`{"A":""}`)
	for name, test := range map[string]struct {
		service, action, path, body, code string
	}{
		"an environment that fits": {"lambda", "", functions, environment(strings.Repeat("a", room)), ""},
		"one that does not": {"lambda", "", functions, environment(strings.Repeat("a", room+1)),
			"InvalidParameterValueException"},
		"one that changes": {"lambda", "", functions + "/f/configuration", environment(strings.Repeat("a", room+1)),
			"InvalidParameterValueException"},
		"quotes count twice": {"lambda", "", functions, environment(strings.Repeat(`"`, room/2+1)),
			"InvalidParameterValueException"},
		"brackets count once": {"lambda", "", functions, environment(strings.Repeat("<", room)), ""},
		"code":                {"lambda", "", functions + "/f/code", environment(strings.Repeat("a", room+1)), ""},
		"a trust policy that fits": {"iam", "CreateRole", "/",
			role("AssumeRolePolicyDocument", strings.Repeat("a ", 2048)), ""},
		"one that is too long": {"iam", "CreateRole", "/",
			role("AssumeRolePolicyDocument", strings.Repeat("a", 2049)), "LimitExceeded"},
		"one that changes to it": {"iam", "UpdateAssumeRolePolicy", "/",
			role("PolicyDocument", strings.Repeat("a", 2049)), "LimitExceeded"},
		"a parameter in JSON":        {"ssm", "AmazonSSM.PutParameter", "/", `{"Value":"{\"a\":{\"b\":{}}}"}`, ""},
		"a parameter in a parameter": {"ssm", "AmazonSSM.PutParameter", "/", `{"Value":"{{a}}"}`, "ValidationException"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, test.path, nil)
		found := beyond(r, call{service: test.service, action: test.action, body: []byte(test.body)})
		if test.code == "" {
			require.Nil(t, found, name)
		} else {
			require.NotNil(t, found, name)
			require.Equal(t, test.code, found.code, name)
		}
	}
}
