package event

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/email"
)

func TestEventsInTheWild(t *testing.T) {
	tests := map[string]struct {
		kind, run, role, requester, user string
		duration                         time.Duration
	}{
		"escalate-v4-api": {Escalate, "11111111", "read-only", "deployer-bot@example.com",
			"deployer_bot", 15 * time.Minute},
		"escalate-v5-slack": {Escalate, "22222222", "reports-2024",
			"anna-lena.o'neil@example.com", "anna_lena.o'neil", time.Hour},
		"escalate-v6-ours": {Escalate, "33333333", "read_write", "bob@example.com", "bob",
			time.Hour},
		"deescalate-v5-early": {Deescalate, "44444444", "", "", "", 0},
	}
	files, err := filepath.Glob("testdata/wild/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(tests))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/wild/" + name + ".json")
			require.NoError(t, err)
			e, err := Parse(data)
			require.NoError(t, err)
			assert.Equal(t, test.kind, e.Event.Type)
			assert.Contains(t, e.Run.SRN, test.run)
			if test.kind == Deescalate {
				return
			}
			role, err := e.Role()
			require.NoError(t, err)
			requester, err := e.Requester()
			require.NoError(t, err)
			user, err := Users{}.User(requester)
			require.NoError(t, err)
			duration, err := e.Duration(time.Hour)
			require.NoError(t, err)
			assert.Equal(t, test.role, role)
			assert.Equal(t, test.requester, requester)
			assert.Equal(t, test.user, user)
			assert.Equal(t, test.duration, duration)
		})
	}
}

// outcome is what an event comes to: its meaning, or the code of its refusal.
func outcome(data []byte) (run, meaning string) {
	e, err := Parse(data)
	if err != nil {
		return "", string(code(err))
	}
	if e.Event.Type == Deescalate {
		return e.Run.SRN, "deescalate"
	}
	role, err := e.Role()
	if err != nil {
		return e.Run.SRN, string(code(err))
	}
	requester, err := e.Requester()
	if err != nil {
		return e.Run.SRN, string(code(err))
	}
	duration, err := e.Duration(time.Hour)
	if err != nil {
		return e.Run.SRN, string(code(err))
	}
	return e.Run.SRN, role + " " + requester + " " + duration.String()
}

// paths lists every place in a document.
func paths(prefix string, value any) (found []string) {
	object, _ := value.(map[string]any)
	for name, inner := range object {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		found = append(append(found, path), paths(path, inner)...)
	}
	return found
}

// TestEveryFieldMissingOrOfAnotherType changes one field at a time, in every way. Only the
// fields that the decision rests on may change it, and then into a refusal or what the
// field now says; the others change nothing, and a deescalate rests on its run alone.
func TestEveryFieldMissingOrOfAnotherType(t *testing.T) {
	needed := map[string][]string{
		Escalate: {"type", "event", "event.type", "run", "run.srn", "run.flow", "run.actors",
			"run.actors.request", "run.actors.request.username", "fields", "fields.target",
			"fields.target.name", "fields.duration"},
		Deescalate: {"type", "event", "event.type", "run", "run.srn"},
	}
	values := []any{nil, 0, -1, 1.5, 1e300, "", "x", "\x00", true, []any{}, []any{1, "x"},
		map[string]any{}, map[string]any{"x": 1}, json.RawMessage("null")}
	for kind, rests := range needed {
		text := strings.Replace(string(read6(t)), `"type": "escalate"`, `"type": "`+kind+`"`, 1)
		var root map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &root))
		run, meaning := outcome([]byte(text))
		for _, path := range paths("", root) {
			for _, value := range values {
				changed := withIn(t, []byte(text), path, value)
				gotRun, got := outcome(changed)
				require.NotContains(t, got, "not a refusal", "%s = %v", path, value)
				if !slices.Contains(rests, path) {
					require.Equal(t, run+meaning, gotRun+got, "%s of %s = %v", path, kind, value)
				}
				if kind == Deescalate && gotRun != "" && path != "event.type" {
					require.Equal(t, "deescalate", got)
				}
			}
		}
	}
}

// withIn is with for any document.
func withIn(t *testing.T, data []byte, path string, value any) []byte {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(data, &root))
	object, names := root, strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		object = object[name].(map[string]any)
	}
	if last := names[len(names)-1]; value == nil {
		delete(object, last)
	} else {
		object[last] = value
	}
	changed, err := json.Marshal(root)
	require.NoError(t, err)
	return changed
}

func FuzzNames(f *testing.F) {
	f.Add("alice@example.com", "acme:flow:postgres:1.0.0", "postgres-read-only", "", false)
	f.Add("Anna-Lena@Example.com", "main-db", "main-db-x", "", true)
	f.Add("a\x00b@c", "::", "", "r\xff", false)
	f.Add(strings.Repeat("é", 32)+"@x", "a:flow:", "-", strings.Repeat("r", 64), true)
	f.Add(`"a@b"@c`, "a:flow:b", "b-", "\u202e", false)
	f.Add("İSTANBUL@x.y", "flow", "flow-flow-flow", " ", false)
	f.Fuzz(func(t *testing.T, address, flow, target, setting string, whole bool) {
		users := Users{}
		if whole {
			users.From = FromEmail
		}
		fits := func(kind, name string, err error) {
			if err != nil {
				if strings.HasPrefix(string(code(err)), "not a refusal") {
					t.Fatalf("an error without a code: %v", err)
				}
				return
			}
			if name == "" || len(name) > 63 || strings.ContainsRune(name, 0) ||
				!utf8.ValidString(name) {
				t.Fatalf("the %s %q passed", kind, name)
			}
		}
		user, err := users.User(address)
		fits("user", user, err)
		// However the address is written, it is the same user.
		again, errAgain := users.User(" " + email.Fold(address) + "\n")
		if err == nil && (errAgain != nil || again != user) {
			t.Fatalf("%q is %q, but in lower case %q (%v)", address, user, again, errAgain)
		}
		e := &Event{Run: Run{Flow: flow}, Fields: Fields{
			Target: Target{Name: target, Settings: Settings{RoleName: setting}}}}
		role, err := e.Role()
		fits("role", role, err)
		if err == nil && setting != "" && role != setting {
			t.Fatalf("the setting %q became the role %q", setting, role)
		}
		if err == nil && setting == "" && !strings.HasSuffix(target, role) {
			t.Fatalf("the target %q became the role %q", target, role)
		}
	})
}
