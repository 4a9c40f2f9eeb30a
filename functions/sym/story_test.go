package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

const (
	id1 = "ID-000000000000000000000000000000001"
	id2 = "ID-000000000000000000000000000000002"
)

// TestStory goes through a request from its beginning to its end, as people do.
func TestStory(t *testing.T) {
	w := newWorld(t)
	r := w.sym("alice", "request", "readonly", "--reason", "Order 3 was charged twice",
		"--duration", "20m")
	assert.Equal(t, result{exitOK, `Request ` + id1 + `  requested
  Access     postgres-readonly (Read only), role readonly, flow postgres
  For        alice@example.com
  Reason     Order 3 was charged twice
  Duration   20 min
  Rules      bob@example.com approves it.
  Asked      15:00:00 (now)
  Decide by  16:00:00 (in 1 h)
`, "Next: somebody approves it with `sym approve " + id1 + "`. Follow it with `sym wait " + id1 +
		"`.\n"}, r)

	assert.Equal(t, result{exitOK, "Request " + id1 +
		" is approved (postgres-readonly for alice@example.com, 20 min).\n",
		"Next: it is granted in a moment. Follow it with `sym wait " + id1 +
			"`, or withdraw it with `sym revoke " + id1 + "`.\n"},
		w.sym("bob", "approve", w.id(1), "--reason", "ok"))

	w.clock.Advance(2 * time.Second)
	w.advance(w.id(1), request.Active)
	r = w.sym("alice", "extend", w.id(1), "--duration", "30m", "--reason", "Not done\nStill on it")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "  Reason     Not done\n             Still on it\n")
	assert.Contains(t, r.out, "  Extends    "+id1+"\n")
	assert.Equal(t, result{exitOK, "Request " + id2 +
		" is denied (postgres-readonly for alice@example.com, 30 min).\n",
		"Next: nothing. Nothing was granted, and `sym show " + id2 + "` tells its story.\n"},
		w.sym("bob", "deny", w.id(2), "--reason", "Twenty minutes are enough"))

	w.clock.Advance(time.Minute)
	assert.Equal(t, result{exitOK, "Request " + id1 +
		" is revoking (postgres-readonly for alice@example.com, 20 min).\n",
		"Next: this access ends in a moment. Follow it with `sym wait " + id1 + " --until done`.\n"},
		w.sym("alice", "revoke", w.id(1)))
	w.clock.Advance(time.Second)
	w.advance(w.id(1), request.Done)

	// The whole story: everything that happened, by whom, by which rule, and why.
	assert.Equal(t, result{exitOK, `Request ` + id1 + `  done
  Access    postgres-readonly (Read only), role readonly, flow postgres
  For       alice@example.com
  Reason    Order 3 was charged twice
  Duration  20 min
  Rules     bob@example.com approves it.
  Asked     15:00:00 (1 min 3 s ago)
  Decision  approved by bob@example.com at 15:00:00 (1 min 3 s ago), rule approver: ok
  Since     15:00:02 (1 min 1 s ago)
  Ended     15:01:03 (now)
  Revoked   by alice@example.com at 15:01:02 (1 s ago), rule requester

Story
  TIME (CET)           WHO                DID       STATE      RULE
  2026-03-03 15:00:00  alice@example.com  asked     requested  requester
      reason: Order 3 was charged twice
  2026-03-03 15:00:00  bob@example.com    approved  approved   approver
      reason: ok
      because bob@example.com is an approver
  2026-03-03 15:00:02  workflow           granted   active     granted
  2026-03-03 15:01:02  alice@example.com  revoked   revoking   requester
  2026-03-03 15:01:03  workflow           ended     done       revoked
`, "Next: nothing, it is over. `sym request postgres-readonly` asks anew.\n"},
		w.sym("carol", "show", w.id(1)))
}

// TestActive shows how to use what one has, in a command to be copied.
func TestActive(t *testing.T) {
	w := newWorld(t)
	r := w.sym("alice", "show", w.active())
	assert.Contains(t, r.out, "\n  Until     15:30:00 (in 30 min)\n  User      alice\n"+
		"  Connect   psql 'host=db.internal dbname=app user=alice'\n")
}

// TestRules shows what nobody was asked about, and what needs several people.
func TestRules(t *testing.T) {
	w := newWorld(t)
	r := w.sym("dave", "request", "admin", "--reason", "Order 3")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, `approved by rules at 15:00:00 (now), rule approve_at_once "on call"`)
	assert.NotContains(t, r.out, "Approvals", "none was needed")

	r = w.sym("alice", "request", "admin", "--reason", "just looking")
	assert.Equal(t, exitRefused, r.code)
	assert.Contains(t, r.err, "Say what you look for. ")
	assert.Contains(t, r.err, "(denied_by_rule)\n")

	require.Equal(t, exitOK, w.sym("alice", "request", "admin", "--reason", "Order 3").code)
	r = w.sym("bob", "approve", w.id(2))
	assert.Equal(t, result{exitOK, "Request " + id2 + " has your approval, 1 of 2: " +
		"bob@example.com (postgres-admin for alice@example.com, 30 min). It needs more of them.\n",
		"Next: 1 more approval, by somebody else, with `sym approve " + id2 + "`.\n"}, r)
	r = w.sym("carol", "approve", w.id(2))
	assert.Contains(t, r.out, "is approved")
	r = w.sym("alice", "show", w.id(2))
	assert.Contains(t, r.out, "  Approvals  2 of 2: bob@example.com, carol@example.com\n")
	assert.Contains(t, r.out, "bob@example.com    approved  stays requested  approver\n")
}

// TestBreakGlass has it at once, and is reviewed by somebody else.
func TestBreakGlass(t *testing.T) {
	w := newWorld(t)
	r := w.sym("alice", "request", "admin", "--reason", "All is down", "--break-glass")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "Break-glass  to be reviewed, next reminder 2026-03-04 15:00:00")
	assert.Contains(t, r.err, "The glass was broken: ")

	r = w.sym("bob", "list", "--review")
	assert.Contains(t, r.out, id1)
	assert.Contains(t, r.err, "`sym review ID --reason …`")
	assert.Equal(t, exitRefused, w.sym("alice", "review", w.id(1), "--reason", "fine").code)
	assert.Equal(t, exitUsage, w.sym("bob", "review", w.id(1)).code, "a review says something")
	r = w.sym("bob", "review", w.id(1), "--reason", "It was needed")
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "is reviewed")
	assert.Contains(t, w.sym("bob", "show", w.id(1)).out,
		"Break-glass  reviewed by bob@example.com at 15:00:00 (now): It was needed\n")
	assert.Empty(t, w.sym("bob", "list", "--review").out)
	assert.Equal(t, exitConflict, w.sym("carol", "review", w.id(1), "--reason", "me too").code)
}

func TestFlows(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, result{exitOK, `postgres  Postgres
  postgres-readonly  Read only
    Role      readonly
    Duration  30 min, at most 1 h
    Rules     bob@example.com approves it.
  postgres-admin  Everything
    Role      admin
    Duration  30 min, at most 1 h
    Rules     bob@example.com and carol@example.com both approve it; the rule "on call" ` +
		`approves it at once; alice@example.com may break the glass.
`, "Next: ask with `sym request TARGET --reason …`.\n"}, w.sym("alice", "flows"))

	broken := postgres(t)
	delete(broken.TargetRules, "postgres-admin")
	empty := request.Flow{Name: "reports"}
	w.flows(broken, empty)
	r := w.sym("alice", "flows")
	assert.Contains(t, r.out, "Rules     cannot be used: The target has no rules.\n")
	assert.Contains(t, r.out, "\nreports\n  It has no targets yet.\n")

	w.flows()
	assert.Equal(t, result{exitOK, "", "No flow is set up yet.\n"}, w.sym("alice", "flows"))
}

// TestWhichFlow finds the flow of a target, where only one has it.
func TestWhichFlow(t *testing.T) {
	w := newWorld(t)
	other := postgres(t)
	other.Name = "reports"
	ask := []string{"request", "readonly", "--reason", "x"}

	w.flows(postgres(t), other)
	r := w.sym("alice", ask...)
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "Say which with --flow: postgres, reports.")
	r = w.sym("alice", append(ask, "--flow", "reports")...)
	assert.Equal(t, exitOK, r.code)
	assert.Contains(t, r.out, "flow reports\n")

	other.Targets = other.Targets[1:]
	w.flows(postgres(t), other)
	assert.Contains(t, w.sym("alice", ask...).out, "flow postgres\n")
	r = w.sym("alice", "request", "nothing", "--reason", "x")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, `no flow has a target "nothing"`)

	w.flows(other)
	r = w.sym("alice", "request", "nothing", "--reason", "x")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "Its targets are postgres-admin. (unknown_target)")

	w.flows()
	r = w.sym("alice", ask...)
	assert.Equal(t, exitFailure, r.code)
	assert.Contains(t, r.err, "No flow is set up yet")
}

// TestList filters, and goes on where a list ended.
func TestList(t *testing.T) {
	w := newWorld(t)
	r := w.sym("alice", "list")
	assert.Equal(t, result{exitOK, "",
		"No request fits. `sym flows` shows what can be asked for.\n"}, r)

	w.active()
	w.clock.Advance(5 * time.Minute)
	require.Equal(t, exitOK, w.sym("dave", "request", "admin", "--reason", "Order\n4").code)
	w.clock.Advance(time.Second)
	require.Equal(t, exitOK, w.sym("alice", "request", "admin", "--reason", "Order 5").code)
	w.clock.Advance(time.Minute)

	const heading = "ID                                    STATE      REQUESTER          " +
		"TARGET             WHEN              REASON\n"
	line := map[int]string{
		3: "ID-000000000000000000000000000000003  requested  alice@example.com  " +
			"postgres-admin     decide in 59 min  Order 5\n",
		2: id2 + "  approved   dave@example.com   " +
			"postgres-admin     approved 1 min 1 s ago  Order 4\n",
		1: id1 + "  active     alice@example.com  " +
			"postgres-readonly  ends in 23 min    Order 3 was charged twice\n",
	}
	listed := func(args ...string) []int {
		t.Helper()
		r := w.sym("alice", append([]string{"list"}, args...)...)
		require.Equal(t, exitOK, r.code, r.err)
		numbers := []int{}
		for _, n := range []int{3, 2, 1} {
			if strings.Contains(r.out, line[n][:len(id1)]) {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	assert.Equal(t, []int{3, 2, 1}, listed())
	assert.Equal(t, []int{1}, listed("--state", "active"))
	assert.Equal(t, []int{3, 2}, listed("--target", "postgres-admin"))
	assert.Equal(t, []int{3, 1}, listed("--mine"))
	assert.Equal(t, []int{2}, listed("--requester", "Dave@Example.com"))
	assert.Equal(t, []int{3}, listed("--mine", "--state", "requested", "--flow", "postgres"))
	assert.Empty(t, listed("--flow", "reports"))

	r = w.sym("alice", "list", "--mine")
	assert.Equal(t, heading+line[3]+line[1], r.out)
	assert.Equal(t, "Next: `sym show ID` tells the whole story of one.\n", r.err)

	r = w.sym("alice", "list", "--limit", "2")
	assert.Equal(t, 3, strings.Count(r.out, "\n"))
	require.Contains(t, r.err, "There may be more: see all with --all, or go on with --next 2\n")
	assert.Equal(t, []int{1}, listed("--limit", "2", "--next", "2"))
	assert.Equal(t, []int{3, 2, 1}, listed("--all"))
}

// TestListAll reads page after page.
func TestListAll(t *testing.T) {
	w := newWorld(t)
	for range 103 {
		w.asked()
	}
	count := func(args ...string) int {
		r := w.sym("alice", append([]string{"list"}, args...)...)
		return strings.Count(r.out, "requested")
	}
	assert.Equal(t, 20, count())
	assert.Equal(t, 103, count("--all"))
	assert.Equal(t, 101, count("--limit", "101"))
	assert.Contains(t, w.calls[len(w.calls)-1].line, "limit=1&next=100")
}

// TestWhoHadAccess answers who could read what on the 3rd of March at 14:00.
func TestWhoHadAccess(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(-time.Hour)
	first := w.active()
	w.clock.Advance(50 * time.Minute)
	w.active()
	w.clock.Advance(5 * time.Minute)
	w.advance(first, request.Revoking)
	w.advance(first, request.Done)
	w.clock.Advance(35 * time.Minute)

	const table = `REQUESTER          USER   TARGET             ROLE      HELD            ` +
		`ID                                    REASON
alice@example.com  alice  postgres-readonly  readonly  since 14:50:00  ` + id2 +
		`  Order 3 was charged twice
`
	for _, moment := range []string{
		"2026-03-03T14:00:00Z", "2026-03-03 15:00", "15:00", "2026-03-03 15:00 +01:00",
		"2026-03-03 14:00 UTC",
	} {
		r := w.sym("carol", "list", "--held-at", moment)
		assert.Equal(t, result{exitOK, table, "1 request was active at " +
			"2026-03-03 15:00:00 CET (14:00:00 UTC).\n" +
			"Next: `sym show ID` tells the whole story of one.\n"}, r, moment)
	}
	r := w.sym("carol", "list", "--held-at", "14:52")
	assert.Contains(t, r.out, "since 14:50:00")
	assert.Contains(t, r.out, "14:00:00 to 14:55:00")
	assert.Contains(t, r.err, "2 requests were active at ")
	r = w.sym("carol", "list", "--held-at", "13:00")
	assert.Equal(t, result{exitOK, "", "0 requests were active at 2026-03-03 13:00:00 CET " +
		"(12:00:00 UTC).\nNext: `sym list` shows the requests there are.\n"}, r)

	// What nobody can know yet is refused, save for clocks that differ a little.
	r = w.sym("carol", "list", "--held-at", "2026-03-03T16:00:00Z")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.err, "(invalid_time)")
	r = w.sym("carol", "list", "--held-at", "15:30:30")
	assert.Contains(t, r.err, "That is yet to come: ")
}

// TestJSON prints what the API sends, and nothing else, on standard output.
func TestJSON(t *testing.T) {
	w := newWorld(t)
	var made, shown, decided struct {
		ID, State, Requester string
		DecideBy             time.Time `json:"decide_by"`
		Audit                []struct{ Action, Rule, Because string }
	}
	read := func(r result, into any) {
		t.Helper()
		require.Equal(t, exitOK, r.code, r.err)
		require.NoError(t, json.Unmarshal([]byte(r.out), into), r.out)
	}
	read(w.sym("alice", "request", "readonly", "--reason", "<b>", "--json"), &made)
	assert.Equal(t, "requested", made.State)
	assert.Equal(t, w.clock.Now().Add(time.Hour), made.DecideBy)
	read(w.sym("bob", "approve", w.id(1), "--json"), &decided)
	assert.Equal(t, "approved", decided.State)
	r := w.sym("alice", "show", w.id(1), "--json")
	read(r, &shown)
	require.Len(t, shown.Audit, 2)
	assert.Equal(t, "bob@example.com is an approver", shown.Audit[1].Because)
	assert.Contains(t, r.out, "\n  \"reason\": \"<b>\",\n", "indented, and as it was sent")

	var page struct {
		Requests []struct{ ID string }
		Next     string
	}
	read(w.sym("alice", "list", "--json"), &page)
	assert.Len(t, page.Requests, 1)
	assert.JSONEq(t, `{"requests":[]}`, w.sym("alice", "list", "--state", "done", "--json").out)
	assert.JSONEq(t, `{"requests":[]}`, w.sym("alice", "list", "--held-at", "now", "--json").out)
	var flows struct{ Flows []struct{ Name string } }
	read(w.sym("alice", "flows", "--json"), &flows)
	assert.Equal(t, "postgres", flows.Flows[0].Name)

	r = w.sym("alice", "show", "gone", "--json")
	assert.Empty(t, r.out, "what went wrong is on standard error")
}
