package front

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// updateTakes is how long a function's update takes. In an account that is seconds, and up to a
// minute for a function in a VPC.
const updateTakes = 2 * time.Second

var functionPath = regexp.MustCompile(`^` + functionsPath + `/([^/]+)(/configuration|/code|/versions)?$`)

// updates are the functions whose configuration or code changed. moto changes them at once, and
// says so by nothing that its answers have. With AWS a change takes a while: until it is complete
// the function answers with what it was before, LastUpdateStatus is InProgress, and another change
// is refused. Afterwards it starts anew.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html.
type updates struct {
	mu  sync.Mutex
	now func() time.Time
	of  map[string]*update
}

type update struct {
	// count is how many changes there were; instances of another count are of no use.
	count int
	until time.Time
	// before is what the function is while the change goes on.
	before configuration
}

func newUpdates() *updates { return &updates{now: time.Now, of: map[string]*update{}} }

// begin begins an update, unless one is in progress.
func (u *updates) begin(function string, before configuration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.of[function]
	if known == nil {
		known = &update{}
		u.of[function] = known
	}
	if u.now().Before(known.until) {
		return false
	}
	before.Revision = known.count
	known.count, known.before, known.until = known.count+1, before, u.now().Add(updateTakes)
	return true
}

// cancel ends an update that moto refused.
func (u *updates) cancel(function string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if known := u.of[function]; known != nil {
		known.count, known.until = known.count-1, time.Time{}
	}
}

// forget ends what is known of a function that is deleted. Another one of its name shares no
// instances with it.
func (u *updates) forget(function string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if known := u.of[function]; known != nil {
		known.count, known.until = known.count+1, time.Time{}
	} else {
		u.of[function] = &update{count: 1}
	}
}

// inProgress answers whether an update goes on.
func (u *updates) inProgress(function string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.of[function]
	return known != nil && u.now().Before(known.until)
}

// effective answers the configuration that a function runs with, where moto has this one.
func (u *updates) effective(function string, latest configuration) configuration {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.of[function]
	switch {
	case known == nil:
		return latest
	case u.now().Before(known.until):
		return known.before
	}
	latest.Revision = known.count
	return latest
}

// configuration is the part of a function's configuration that the sandbox uses.
type configuration struct {
	FunctionArn, Role, Handler, CodeSha256 string
	Timeout, MemorySize                    int
	Environment                            struct{ Variables map[string]string }
	LoggingConfig                          struct{ LogGroup string }
	// Revision is the front's own count of changes.
	Revision int `json:"-"`
}

// revision is what instances are told apart by.
func (c configuration) revision() string { return strconv.Itoa(c.Revision) }

// changeFunction handles the calls that change a function or say how far a change is, and tells
// whether the call was one of them.
func (f *Front) changeFunction(w http.ResponseWriter, r *http.Request, c call) bool {
	match := functionPath.FindStringSubmatch(strings.TrimSuffix(r.URL.EscapedPath(), "/"))
	if match == nil {
		return false
	}
	name, err := url.PathUnescape(match[1])
	if err != nil {
		return false
	}
	name = name[strings.LastIndex(name, ":")+1:]
	key := c.caller.Account + "/" + name
	change := r.Method == http.MethodPut && match[2] != "/versions"
	publish := r.Method == http.MethodPost && match[2] == "/versions"
	read := r.Method == http.MethodGet && match[2] != "/code" && match[2] != "/versions"
	switch {
	case r.Method == http.MethodDelete && match[2] == "":
		f.updates.forget(key)
		return false
	case (change || publish) && f.updates.inProgress(key):
		f.refuseUpdate(w, c, name)
	case change:
		f.updateFunction(w, r, c, key, name)
	case read:
		answer, err := f.forwardAndRead(r, c)
		if err != nil {
			c.fail(w, http.StatusBadGateway, "ServiceException", err.Error())
			return true
		}
		if answer.ok() && f.updates.inProgress(key) {
			answer.body = inProgress(answer.body)
		}
		answer.send(w)
	default:
		return false
	}
	return true
}

// updateFunction hands a change to moto, and begins an update with it.
func (f *Front) updateFunction(w http.ResponseWriter, r *http.Request, c call, key, name string) {
	before, err := f.configuration(r.Context(), c.caller.Account, name)
	if err != nil {
		f.forward(w, r, c) // moto says what is wrong
		return
	}
	if !f.updates.begin(key, before) {
		f.refuseUpdate(w, c, name)
		return
	}
	answer, err := f.forwardAndRead(r, c)
	if err != nil {
		f.updates.cancel(key)
		c.fail(w, http.StatusBadGateway, "ServiceException", err.Error())
		return
	}
	if !answer.ok() {
		f.updates.cancel(key)
	} else {
		answer.body = inProgress(answer.body)
	}
	answer.send(w)
}

func (f *Front) refuseUpdate(w http.ResponseWriter, c call, name string) {
	c.fail(w, http.StatusConflict, "ResourceConflictException", fmt.Sprintf("The operation cannot be "+
		"performed at this time. An update is in progress for resource: arn:aws:lambda:%s:%s:function:%s",
		c.region, c.caller.Account, name))
}

// inProgress says in a function's configuration that an update goes on.
func inProgress(body []byte) []byte {
	var whole map[string]any
	if json.Unmarshal(body, &whole) != nil {
		return body
	}
	conf := whole
	if inner, ok := whole["Configuration"].(map[string]any); ok {
		conf = inner
	}
	conf["LastUpdateStatus"] = "InProgress"
	conf["LastUpdateStatusReason"] = "The function is being created."
	conf["LastUpdateStatusReasonCode"] = "Creating"
	changed, err := json.Marshal(whole)
	if err != nil {
		return body
	}
	return changed
}
