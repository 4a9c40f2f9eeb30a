package front

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Where Lambda is told a function's environment.
var environmentPath = regexp.MustCompile(`^/2015-03-31/functions(/[^/]+/configuration)?/?$`)

// refusal is what AWS says to what is too large or not allowed.
type refusal struct {
	status        int
	code, message string
}

// beyond tells what AWS would refuse of a call, and moto takes: an environment of more than 4,096
// bytes, as JSON with its inner quotes escaped; a trust policy of more than 2,048 characters, white
// space apart; a parameter with two braces.
func beyond(r *http.Request, c call) *refusal {
	switch {
	case c.service == "lambda" && environmentPath.MatchString(r.URL.Path):
		return largeEnvironment(c.body)
	case c.service == "iam" && (c.action == "CreateRole" || c.action == "UpdateAssumeRolePolicy"):
		return largeTrust(c.body)
	case c.service == "ssm" && c.action == "AmazonSSM.PutParameter":
		return nestedParameter(c.body)
	}
	return nil
}

func largeEnvironment(body []byte) *refusal {
	var function struct {
		Environment struct {
			Variables map[string]string
		}
	}
	if json.Unmarshal(body, &function) != nil {
		return nil
	}
	var measured bytes.Buffer
	encoder := json.NewEncoder(&measured)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(function.Environment.Variables) != nil || measured.Len()-1 <= 4096 {
		return nil
	}
	return &refusal{http.StatusBadRequest, "InvalidParameterValueException",
		"Lambda was unable to configure your environment variables because the environment variables " +
			"you have provided exceeded the 4KB limit."}
}

func largeTrust(body []byte) *refusal {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	policy := form.Get("AssumeRolePolicyDocument") + form.Get("PolicyDocument")
	if len(strings.Join(strings.Fields(policy), "")) <= 2048 {
		return nil
	}
	return &refusal{http.StatusConflict, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"}
}

func nestedParameter(body []byte) *refusal {
	var parameter struct{ Value string }
	if json.Unmarshal(body, &parameter) != nil || !strings.Contains(parameter.Value, "{{") {
		return nil
	}
	return &refusal{http.StatusBadRequest, "ValidationException",
		`Parameter value can't nest another parameter. Do not use "{{}}" in the value.`}
}
