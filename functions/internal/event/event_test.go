package event

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// code is the code of a refusal, or the text of any other error.
func code(err error) Code {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	if err != nil {
		return Code("not a refusal: " + err.Error())
	}
	return ""
}

func read6(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/escalate-v6.json")
	require.NoError(t, err)
	return data
}

// with is the escalate of testdata with changes; a nil value takes a field away.
func with(t *testing.T, changes map[string]any) []byte {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(read6(t), &root))
	for path, value := range changes {
		object := root
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			object = object[name].(map[string]any)
		}
		if last := names[len(names)-1]; value == nil {
			delete(object, last)
		} else {
			object[last] = value
		}
	}
	data, err := json.Marshal(root)
	require.NoError(t, err)
	return data
}

func TestWhatIsReadIsWrittenBackAlike(t *testing.T) {
	data := read6(t)
	e, err := Parse(data)
	require.NoError(t, err)
	written, err := json.Marshal(e)
	require.NoError(t, err)
	assert.JSONEq(t, string(data), string(written))
}

func TestEscalateOfVersion6(t *testing.T) {
	e, err := Parse(read6(t))
	require.NoError(t, err)
	role, err := e.Role()
	require.NoError(t, err)
	requester, err := e.Requester()
	require.NoError(t, err)
	duration, err := e.Duration(time.Hour)
	require.NoError(t, err)
	assert.Equal(t, "readonly", role)
	assert.Equal(t, "alice@example.com", requester, "the requester, not who approved")
	assert.Equal(t, 30*time.Minute, duration)
}

func TestDeescalateOfVersion4(t *testing.T) {
	data, err := os.ReadFile("testdata/deescalate-v4.json")
	require.NoError(t, err)
	e, err := Parse(data)
	require.NoError(t, err, "a deescalate needs its run and nothing else")
	assert.Equal(t, Deescalate, e.Event.Type)
	assert.Equal(t, "sym:run:lambda_access:1.0.0:ff30a212-24d9-459c-8784-de275042b083", e.Run.SRN)
	assert.Equal(t, Errors{"It came late."}, e.State.Errors)
	_, err = e.Requester()
	assert.Equal(t, MalformedEvent, code(err))
}

// TestLookAlikes checks that an address with a letter that looks like another person's is
// nobody's: neither a Cyrillic a nor a Kelvin sign, which Unicode folds to a k.
func TestLookAlikes(t *testing.T) {
	for _, address := range []string{"\u0430lice@example.com", "mi\u212Ae@example.com"} {
		e := &Event{Run: Run{Actors: Actors{Request: &Actor{Username: address}}}}
		_, err := e.Requester()
		assert.Equal(t, MalformedEvent, code(err), address)
	}
	e := &Event{Run: Run{Actors: Actors{Request: &Actor{Username: "Mike@Example.com"}}}}
	requester, err := e.Requester()
	require.NoError(t, err)
	assert.Equal(t, "mike@example.com", requester)
}

func TestWhatIsNotTheSchemaIsRefused(t *testing.T) {
	escalate := func(path string, value any) []byte {
		return with(t, map[string]any{path: value})
	}
	tests := map[string]struct {
		data []byte
		code Code
	}{
		"nothing":             {nil, MalformedEvent},
		"half of it":          {read6(t)[:100], MalformedEvent},
		"two of them":         {append(read6(t), read6(t)...), MalformedEvent},
		"a list":              {[]byte(`[]`), MalformedEvent},
		"null":                {[]byte(`null`), MalformedEvent},
		"no type":             {[]byte(`{}`), MalformedEvent},
		"another type":        {[]byte(`{"type":"vacuum"}`), MalformedEvent},
		"type is a list":      {escalate("type", []any{"event"}), MalformedEvent},
		"no kind":             {escalate("event", nil), MalformedEvent},
		"another kind":        {escalate("event.type", "approve"), MalformedEvent},
		"no run":              {escalate("run", nil), MalformedEvent},
		"run is a string":     {escalate("run", "srn"), MalformedEvent},
		"no srn":              {escalate("run.srn", nil), MalformedEvent},
		"srn with a NUL":      {escalate("run.srn", "a\x00b"), MalformedEvent},
		"srn too long":        {escalate("run.srn", strings.Repeat("x", 1025)), MalformedEvent},
		"duration is a word":  {escalate("fields.duration", "soon"), InvalidDuration},
		"duration is a truth": {escalate("fields.duration", true), InvalidDuration},
		"duration is a half":  {escalate("fields.duration", 0.5), InvalidDuration},
		"duration is huge":    {escalate("fields.duration", 1e300), InvalidDuration},
		"sweep":               {[]byte(`{"type":"sweep"}`), ""},
		"status":              {[]byte(`{"type":"status","more":1}`), ""},
		"fields is a list":    {escalate("fields", []any{}), ""},
		"meta is a word":      {escalate("meta", "six"), ""},
		"duration is null":    {[]byte(strings.Replace(string(read6(t)), "1800", "null", 1)), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(test.data)
			assert.Equal(t, test.code, code(err))
		})
	}
}

func TestDuration(t *testing.T) {
	tests := map[string]struct {
		given any
		want  time.Duration
		code  Code
	}{
		"none":          {nil, time.Hour, ""},
		"seconds":       {60, time.Minute, ""},
		"a string":      {"60", time.Minute, ""},
		"a whole float": {60.0, time.Minute, ""},
		"the most":      {3600, time.Hour, ""},
		"above":         {3601, 0, InvalidDuration},
		"far above":     {int64(1) << 62, 0, InvalidDuration},
		"zero":          {0, 0, InvalidDuration},
		"negative":      {-1, 0, InvalidDuration},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := Parse(with(t, map[string]any{"fields.duration": test.given}))
			require.NoError(t, err)
			got, err := e.Duration(time.Hour)
			assert.Equal(t, test.code, code(err))
			assert.Equal(t, test.want, got)
		})
	}
}

func TestRole(t *testing.T) {
	tests := map[string]struct {
		flow, target, setting, want string
		code                        Code
	}{
		"setting wins":        {"acme:flow:postgres:1.0.0", "postgres-x", "read_only", "read_only", ""},
		"without the flow":    {"acme:flow:postgres:1.0.0", "postgres-readonly", "", "readonly", ""},
		"keeps its hyphens":   {"acme:flow:postgres:1.0.0", "postgres-read-only", "", "read-only", ""},
		"flow with a hyphen":  {"acme:flow:main-db:1.0.0", "main-db-readonly", "", "readonly", ""},
		"flow is a bare name": {"postgres", "postgres-readonly", "", "readonly", ""},
		"another prefix":      {"acme:flow:postgres:1.0.0", "mysql-readonly", "", "mysql-readonly", ""},
		"no flow":             {"", "readonly", "", "readonly", ""},
		"nothing":             {"acme:flow:postgres:1.0.0", "", "", "", MalformedEvent},
		"nothing but flow":    {"acme:flow:postgres:1.0.0", "postgres-", "", "", MalformedEvent},
		"63 bytes":            {"", "", strings.Repeat("r", 63), strings.Repeat("r", 63), ""},
		"64 bytes":            {"", "", strings.Repeat("r", 64), strings.Repeat("r", 64), InvalidName},
		"64 bytes in 32":      {"", "", strings.Repeat("é", 32), strings.Repeat("é", 32), InvalidName},
		"NUL":                 {"", "", "r\x00", "r\x00", InvalidName},
		"quotes and spaces":   {"", "", `r" o`, `r" o`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := &Event{
				Run: Run{Flow: test.flow},
				Fields: Fields{Target: Target{
					Name: test.target, Settings: Settings{RoleName: test.setting},
				}},
			}
			role, err := e.Role()
			assert.Equal(t, test.code, code(err))
			assert.Equal(t, test.want, role)
		})
	}
}

func TestUser(t *testing.T) {
	table := map[string]string{"carol@example.com": "Carol", "robot": "robot_1"}
	tests := map[string]struct {
		users Users
		email string
		want  string
		code  Code
	}{
		"local part":       {Users{}, "alice@example.com", "alice", ""},
		"hyphens":          {Users{}, "anna-lena@example.com", "anna_lena", ""},
		"dots stay":        {Users{}, "anna.lena@example.com", "anna.lena", ""},
		"capitals":         {Users{}, "Alice@Example.com", "alice", ""},
		"two at signs":     {Users{}, `"a@b"@example.com`, `"a@b"`, ""},
		"whole address":    {Users{From: FromEmail}, "a-b@example.com", "a-b@example.com", ""},
		"table":            {Users{Table: table}, "CAROL@example.com", "Carol", ""},
		"table, no e-mail": {Users{Table: table}, "robot", "robot_1", ""},
		"no e-mail":        {Users{}, "alice", "", MalformedEvent},
		"no local part":    {Users{}, "@example.com", "", MalformedEvent},
		"no host":          {Users{}, "alice@", "", MalformedEvent},
		"NUL":              {Users{}, "a\x00@example.com", "a\x00", InvalidName},
		"too long": {Users{}, strings.Repeat("a", 64) + "@example.com",
			strings.Repeat("a", 64), InvalidName},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			user, err := test.users.User(test.email)
			assert.Equal(t, test.code, code(err))
			assert.Equal(t, test.want, user)
		})
	}
}

func TestAnswers(t *testing.T) {
	refusal := Refuse(UnknownUser, "There is no user %q.", "zoe")
	data, err := json.Marshal(refusal.Answer())
	require.NoError(t, err)
	assert.JSONEq(t, `{"body":{"code":"unknown_user"},"errors":["There is no user \"zoe\"."]}`,
		string(data))

	var answer Answer
	require.NoError(t, json.Unmarshal(data, &answer))
	assert.Equal(t, refusal, answer.Refusal())

	answer, err = Succeed(Deescalated{Run: "r", StillMemberThrough: []string{}})
	require.NoError(t, err)
	data, err = json.Marshal(answer)
	require.NoError(t, err)
	assert.JSONEq(t, `{"body":{"run":"r","user":"","role":"","changed":false,
		"sessions_ended":0,"still_member_through":[]},"errors":[]}`, string(data))
	assert.Nil(t, answer.Refusal())

	// A function that is not ours has errors without a code.
	require.NoError(t, json.Unmarshal([]byte(`{"body":"oh","errors":["No."]}`), &answer))
	assert.Equal(t, &Refusal{Message: "No."}, answer.Refusal())
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	wild, _ := filepath.Glob("testdata/wild/*.json")
	files = append(files, wild...)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"type":"sweep"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			if code(err) == "" || strings.HasPrefix(string(code(err)), "not a refusal") {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		// What was read is read again as the same.
		written, err := json.Marshal(e)
		require.NoError(t, err)
		again, err := Parse(written)
		require.NoError(t, err)
		require.Equal(t, e, again)
		// None of these may panic, and a name without an error fits into the catalogue.
		if role, err := e.Role(); err == nil && (role == "" || len(role) > 63) {
			t.Fatalf("the role %q passed", role)
		}
		requester, _ := e.Requester()
		for _, from := range []string{FromLocalPart, FromEmail} {
			user, err := (Users{From: from}).User(requester)
			if err == nil && (user == "" || len(user) > 63 || strings.ContainsRune(user, 0)) {
				t.Fatalf("the user %q passed", user)
			}
		}
		_, _ = e.Duration(time.Hour)
	})
}
