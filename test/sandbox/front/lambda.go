package front

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sym-postgres-quickstart/test/sandbox/lambdaruntime"
)

const functionsPath = "/2015-03-31/functions"

var invocationPath = regexp.MustCompile(`^` + functionsPath + `/([^/]+)/invocations$`)

// lambda answers AWS Lambda: it keeps the code of functions and runs them; what
// is known of them besides, moto keeps.
func (f *Front) lambda(w http.ResponseWriter, r *http.Request, c call) {
	path := r.URL.EscapedPath()
	if match := invocationPath.FindStringSubmatch(path); match != nil && r.Method == http.MethodPost {
		name, err := url.PathUnescape(match[1])
		if err != nil {
			c.fail(w, http.StatusBadRequest, "InvalidParameterValueException", "The function's name cannot be read")
			return
		}
		f.invokeCall(w, r, c, name)
		return
	}
	if err := f.keepCode(r, c); err != nil {
		c.fail(w, http.StatusBadRequest, "InvalidParameterValueException", err.Error())
		return
	}
	if !f.changeFunction(w, r, c) {
		f.forward(w, r, c)
	}
}

// keepCode keeps the archive of a call that creates or updates a function.
func (f *Front) keepCode(r *http.Request, c call) error {
	var request struct {
		ZipFile []byte
		Code    struct{ ZipFile []byte }
	}
	switch {
	case r.Method == http.MethodPost && strings.TrimSuffix(r.URL.Path, "/") == functionsPath:
	case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/code"):
	default:
		return nil
	}
	if err := json.Unmarshal(c.body, &request); err != nil {
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	archive := append(request.ZipFile, request.Code.ZipFile...)
	if len(archive) == 0 {
		return fmt.Errorf("the sandbox runs functions from a zip archive in the request itself; " +
			"it has no images and no packages in S3")
	}
	_, err := f.functions.AddCode(archive)
	return err
}

func (f *Front) invokeCall(w http.ResponseWriter, r *http.Request, c call, name string) {
	arn := name
	if !strings.HasPrefix(name, "arn:") {
		arn = fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", c.region, c.caller.Account, name)
	}
	if qualifier := r.URL.Query().Get("Qualifier"); qualifier != "" {
		arn += ":" + qualifier
	}
	if err := f.mayInvoke(r.Context(), c.caller, arn); err != nil {
		f.Log.Warn("invoke", "function", arn, "error", err)
		c.fail(w, http.StatusForbidden, "AccessDeniedException", fmt.Sprintf("User: %s is not authorized "+
			"to perform: lambda:InvokeFunction on resource: %s", c.caller.ARN, arn))
		return
	}
	if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
		go func() { _ = f.invokeLater(context.WithoutCancel(r.Context()), c.caller, arn, c.body) }()
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if f.cutOff(r.Context(), c) {
		c.fail(w, http.StatusBadRequest, "StateMachineDeleting", "the state machine is being deleted")
		return
	}
	result, err := f.invoke(r.Context(), c.caller, arn, c.body)
	if err != nil {
		f.Log.Warn("invoke", "function", arn, "error", err)
		c.fail(w, http.StatusNotFound, "ResourceNotFoundException", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if result.Error != "" {
		w.Header().Set("X-Amz-Function-Error", result.Error)
	}
	_, _ = w.Write(result.Payload)
}

// invoke runs a function once, with credentials of its execution role, and
// tells the listeners.
func (f *Front) invoke(ctx context.Context, caller Identity, arn string, payload []byte) (lambdaruntime.Result, error) {
	function, err := f.function(ctx, arn)
	if err != nil {
		return lambdaruntime.Result{}, err
	}
	began := time.Now()
	result, err := f.functions.Invoke(ctx, function, payload)
	if err == nil {
		f.events.publish(Invocation{
			Caller: caller, FunctionARN: function.ARN, Payload: payload,
			Answer: result.Payload, FunctionError: result.Error, Duration: time.Since(began),
		})
	}
	return result, err
}

// function reads what moto keeps of a function and adds what its instances get
// from Lambda: the address of AWS and the credentials of the execution role.
func (f *Front) function(ctx context.Context, arn string) (lambdaruntime.Function, error) {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 || parts[2] != "lambda" || parts[5] != "function" {
		return lambdaruntime.Function{}, fmt.Errorf("%q is not the ARN of a function", arn)
	}
	region, account, name, alias := parts[3], parts[4], parts[6], ""
	if len(parts) > 7 && parts[7] != "$LATEST" {
		alias = parts[7]
		var known struct{ FunctionVersion string }
		err := f.askJSON(ctx, account, "lambda", http.MethodGet,
			functionsPath+"/"+name+"/aliases/"+url.PathEscape(alias), "", nil, &known)
		if err != nil || known.FunctionVersion != "$LATEST" {
			return lambdaruntime.Function{}, fmt.Errorf("there is no alias %s of what the sandbox "+
				"runs, which is the latest version: %w", arn, err)
		}
	}
	latest, err := f.configuration(ctx, account, name)
	if err != nil {
		return lambdaruntime.Function{}, fmt.Errorf("there is no function %s: %w", arn, err)
	}
	conf := f.updates.effective(account+"/"+name, latest)
	service := Identity{Account: account, Service: "lambda.amazonaws.com", ARN: conf.FunctionArn}
	role, err := f.trust(ctx, service, conf.Role, "")
	if err != nil {
		return lambdaruntime.Function{}, fmt.Errorf("the function %s cannot run: %w", name, err)
	}
	group := conf.LoggingConfig.LogGroup
	if group == "" {
		group = "/aws/lambda/" + name
	}
	keys := f.keys.issue(session(conf.Role, role.id, name), 12*time.Hour)
	variables := map[string]string{
		"AWS_ENDPOINT_URL":      f.URL(),
		"AWS_ACCESS_KEY_ID":     keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey,
		"AWS_SESSION_TOKEN":     keys.SessionToken,
		// The certificates that a machine trusts, and the sandbox's databases'.
		"SSL_CERT_FILE": f.Authority.TrustFile,
	}
	maps.Copy(variables, f.Environment)
	maps.Copy(variables, conf.Environment.Variables)
	return lambdaruntime.Function{
		ARN: conf.FunctionArn, Qualifier: alias, Name: name, Handler: conf.Handler,
		CodeSHA256: conf.CodeSha256, Revision: conf.revision(),
		Timeout: time.Duration(conf.Timeout) * time.Second, MemoryMiB: conf.MemorySize,
		LogGroup: group, Region: region, Environment: variables,
	}, nil
}

// configuration is what moto has of a function.
func (f *Front) configuration(ctx context.Context, account, name string) (configuration, error) {
	var answer struct{ Configuration configuration }
	err := f.askJSON(ctx, account, "lambda", http.MethodGet, functionsPath+"/"+name, "", nil, &answer)
	return answer.Configuration, err
}
