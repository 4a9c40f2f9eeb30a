// Package front is the sandbox's AWS endpoint.
//
// Every call that Terraform, the functions or a person makes passes through it.
// It knows the caller by their access key and checks the signature; it decides
// who may assume which role; it runs functions for real, serves their HTTP
// APIs, fires their schedules and starts their databases. Everything else it
// hands to moto, which keeps AWS's state.
package front

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"sym-postgres-quickstart/test/sandbox/iamlogin"
	"sym-postgres-quickstart/test/sandbox/lambdaruntime"
)

// Account and Region are where the sandbox's resources live. moto's state
// machines always run in this account.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

// maxBody is the largest request that the front reads: a function's package at
// Lambda's limit of 50 MiB, in base64, and some.
const maxBody = 80 << 20

// Options says what the front stands on.
type Options struct {
	// Listener is where AWS's API is served.
	Listener net.Listener
	// Moto is the address of moto, such as "http://127.0.0.1:5000".
	Moto string
	// Dir is a folder of the front's own, for code, logs and databases.
	Dir string
	// Authority signs the certificates of the databases.
	Authority *Authority
	// Environment is what every function has in its environment besides its own,
	// which wins.
	Environment map[string]string
	// Log takes what the front does, one line a call.
	Log *slog.Logger
}

// Front is a running endpoint. Close stops it and all that it started.
type Front struct {
	Options
	moto      *url.URL
	proxy     *httputil.ReverseProxy
	server    *http.Server
	keys      *keyring
	events    eventHub
	functions *lambdaruntime.Pool
	updates   *updates
	logs      *logShipper
	databases *databases
	logins    *iamlogin.Server
	apis      *apis
	schedules *schedules
	deletions deletions

	signIn   sync.Mutex
	signInID string // The unique id of the role that people sign in with.
}

// call is one request to AWS's API, after its caller is known.
type call struct {
	caller  Identity
	service string
	region  string
	action  string
	body    []byte
	fail    func(w http.ResponseWriter, status int, code, message string)
}

// New starts a front.
func New(o Options) (*Front, error) {
	moto, err := url.Parse(o.Moto)
	if err != nil {
		return nil, fmt.Errorf("the address of moto cannot be read: %w", err)
	}
	f := &Front{Options: o, moto: moto, keys: newKeyring()}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(moto); p.Out.Host = p.In.Host },
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		ModifyResponse: giveUp,
	}
	// moto's state machines call with this key, and with no other.
	f.keys.add(
		aws.Credentials{AccessKeyID: "ak", SecretAccessKey: "sk"},
		Identity{
			Account: Account, Service: "states.amazonaws.com",
			ARN: "arn:aws:states:" + Region + ":" + Account + ":stateMachine:*",
		},
	)
	// Its topics call functions with this one.
	f.keys.add(
		aws.Credentials{AccessKeyID: "sns", SecretAccessKey: "sns"},
		Identity{
			Account: Account, Service: "sns.amazonaws.com",
			ARN: "arn:aws:sns:" + Region + ":" + Account + ":*",
		},
	)
	f.logs = newLogShipper(f)
	f.functions = lambdaruntime.NewPool(o.Dir, o.Log)
	f.functions.Logs = f.logs.add
	f.updates = newUpdates()
	if f.logins, err = iamlogin.Start(f.checkLoginToken); err != nil {
		return nil, err
	}
	f.databases = newDatabases(f)
	f.apis = newAPIs(f)
	f.schedules = newSchedules(f)
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(o.Listener) }()
	return f, nil
}

// URL is the endpoint's address, for AWS_ENDPOINT_URL.
func (f *Front) URL() string { return "http://" + f.Listener.Addr().String() }

// Administrator gives access keys that may do everything in an account.
func (f *Front) Administrator(account string) aws.Credentials {
	return f.keys.issue(root(account), 0)
}

// Subscribe calls listen for every [Assumption] and [Invocation] from now on,
// one at a time and in their order, until stop is called.
func (f *Front) Subscribe(listen func(event any)) (stop func()) {
	return f.events.subscribe(listen)
}

// Close stops the endpoint, the functions, the schedules and the databases.
func (f *Front) Close() error {
	f.schedules.close()
	f.apis.close()
	err := f.server.Close()
	f.functions.Close()
	f.logs.close()
	return errors.Join(err, f.databases.close(), f.logins.Close())
}

// ServeHTTP answers one call to AWS's API.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	signed, caller, err := f.authenticate(r, body)
	c := call{
		caller: caller, service: signed.service, region: signed.region,
		action: action(r, body), body: body,
	}
	c.fail = failure(r)
	if err != nil {
		code, message, _ := strings.Cut(err.Error(), ": ")
		f.Log.Warn("refused", "path", r.URL.Path, "code", code, "message", message)
		c.fail(w, http.StatusForbidden, code, message)
		return
	}
	f.Log.Debug("call", "service", c.service, "action", c.action, "path", r.URL.Path,
		"caller", caller.ARN)
	if refused := beyond(r, c); refused != nil {
		c.fail(w, refused.status, refused.code, refused.message)
		return
	}
	switch {
	case c.service == "sts":
		f.sts(w, r, c)
	case c.service == "lambda":
		f.lambda(w, r, c)
	case c.service == "rds":
		f.databases.serve(w, r, c)
	case c.service == "apigateway":
		f.apis.serveControl(w, r, c)
	case c.service == "scheduler":
		f.schedules.serve(w, r, c)
	case c.service == "states":
		f.states(w, r, c)
	case c.service == "sns":
		f.serveSNS(w, r, c)
	default:
		f.forward(w, r, c)
	}
}

// authenticate answers who signed a request. Its error has the form
// "Code: sentence".
func (f *Front) authenticate(r *http.Request, body []byte) (signature, Identity, error) {
	signed, ok := readSignature(r)
	if !ok {
		return signed, Identity{}, errors.New(
			"MissingAuthenticationToken: Request is missing Authentication Token")
	}
	k, ok := f.keys.find(signed.accessKeyID)
	if !ok {
		return signed, Identity{}, errors.New(
			"InvalidClientTokenId: The security token included in the request is invalid")
	}
	if err := signed.verify(r, body, k); err != nil {
		return signed, Identity{}, err
	}
	return signed, k.Identity, nil
}

// forward hands a call to moto, in the caller's account.
func (f *Front) forward(w http.ResponseWriter, r *http.Request, c call) {
	r.Header.Set("X-Moto-Account-Id", c.caller.Account)
	f.proxy.ServeHTTP(w, r)
}

// giveUp turns moto's failures, which are what it does not have, into answers
// that nobody tries again: AWS's clients repeat a 500 for as long as they may.
func giveUp(response *http.Response) error {
	if response.StatusCode != http.StatusInternalServerError {
		return nil
	}
	kind := response.Request.Header.Get("X-Amz-Target")
	_ = response.Body.Close()
	body, err := json.Marshal(map[string]string{
		"__type": "NotInSandbox", "message": "moto failed at this call; its log says why: " + kind,
	})
	if err != nil {
		return err
	}
	response.StatusCode, response.Status = http.StatusBadRequest, "400 Bad Request"
	response.Header = http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Errortype": {"NotInSandbox"},
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// forwardAndRead hands a call to moto and gives its answer back, for the front
// to look at or to change before [answer.send].
func (f *Front) forwardAndRead(r *http.Request, c call) (*answer, error) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = f.moto.Scheme, f.moto.Host
	out.Header.Set("X-Moto-Account-Id", c.caller.Account)
	out.Header.Del("Accept-Encoding")
	out.Body = io.NopCloser(bytes.NewReader(c.body))
	response, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return &answer{response.StatusCode, response.Header, data}, err
}

// answer is what moto answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) ok() bool { return a.status < 300 }

func (a *answer) send(w http.ResponseWriter) {
	a.header.Del("Content-Length")
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // #nosec G705 -- an answer to programs
}

// ask calls one of moto's query services on the front's own behalf.
func (f *Front) ask(ctx context.Context, account, service string, form url.Values) ([]byte, error) {
	return f.askMoto(ctx, account, service, http.MethodPost, "/", "", strings.NewReader(form.Encode()),
		"application/x-www-form-urlencoded")
}

// askJSON calls one of moto's JSON services on the front's own behalf, and
// reads the answer into out unless that is nil.
func (f *Front) askJSON(ctx context.Context, account, service, method, path, target string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	data, err := f.askMoto(ctx, account, service, method, path, target, body, "application/x-amz-json-1.1")
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(data, out)
}

func (f *Front) askMoto(ctx context.Context, account, service, method, path, target string, body io.Reader, kind string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.Moto+path, body) // #nosec G704 -- moto, on this machine
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	// moto reads the service from the credential's scope, and checks nothing.
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=front/20000101/"+Region+"/"+service+
		"/aws4_request, SignedHeaders=host, Signature=none")
	r.Header.Set("X-Moto-Account-Id", account)
	response, err := http.DefaultClient.Do(r) // #nosec G704 -- moto, on this machine
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s answered %d: %.300s", service, path+target, response.StatusCode, data)
	}
	return data, err
}

// action is the name of a call's operation where the protocol carries one: the
// query services in their form, the JSON services in a header.
func action(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil {
			return form.Get("Action")
		}
	}
	return ""
}

// failure answers errors in the form of the protocol that a request speaks.
func failure(r *http.Request) func(w http.ResponseWriter, status int, code, message string) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return failXML
	}
	return failJSON
}

func failXML(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Type      string   `xml:"Error>Type"`
		Code      string   `xml:"Error>Code"`
		Message   string   `xml:"Error>Message"`
		RequestID string   `xml:"RequestId"`
	}{Type: "Sender", Code: code, Message: message, RequestID: randomHex(16)})
}

func failJSON(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}
