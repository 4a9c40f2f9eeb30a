package rules_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
)

// input is a request as it may come, on a Monday.
func input(changes ...func(*rules.Input)) rules.Input {
	in := rules.Input{
		Flow: "postgres", Target: "postgres-readonly", Role: "readonly", Reason: "To look",
		Duration:  30 * time.Minute,
		Requester: rules.Person{Email: cem},
		Now:       time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC),
	}
	for _, change := range changes {
		change(&in)
	}
	return in
}

// fails is a condition that compiles and cannot be evaluated: nobody is in any group.
const fails = "requester.groups[0] == 'oncall'"

func TestDenied(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.Deny = []rules.Denial{
			{Name: "long", When: "request.duration > duration('1h')", Message: "An hour is enough."},
			{Name: "secret", When: "request.reason.contains('secret')", Message: "Say why."},
		}
	})
	_, denied := set.Denied(t.Context(), input())
	assert.False(t, denied)

	m, denied := set.Denied(t.Context(), input(func(in *rules.Input) { in.Duration = 2 * time.Hour }))
	assert.True(t, denied)
	assert.Equal(t, rules.Match{
		Rule: `deny "long"`, Message: "An hour is enough.",
		Because: `request.duration > duration('1h') is true, where request.duration = 2h`,
	}, m)

	m, denied = set.Denied(t.Context(), input(func(in *rules.Input) { in.Reason = "secret" }))
	assert.True(t, denied)
	assert.Equal(t, `deny "secret"`, m.Rule)
	assert.Equal(t, "Say why.", m.Message)
}

func TestDeniedByWhatCannotBeEvaluated(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.Deny = []rules.Denial{
			{Name: "first", When: "false"}, {Name: "broken", When: fails}, {Name: "last", When: "true"},
		}
	})
	m, denied := set.Denied(t.Context(), input())
	assert.True(t, denied, "it might deny")
	assert.Equal(t, `deny "broken"`, m.Rule)
	var failure *rules.EvaluationError
	require.ErrorAs(t, m.Err, &failure)
	assert.Equal(t, `deny "broken"`, failure.Rule)
	assert.Equal(t, fails, failure.Expression)
	assert.ErrorContains(t, m.Err, `the condition of deny "broken" could not be evaluated: `)
	assert.Contains(t, m.Because, "could not be evaluated (index out of bounds: 0), where "+
		"requester.groups = []")
}

func TestApprovedAtOnce(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.ApproveAtOnce = []rules.Condition{
			{Name: "broken", When: fails}, {Name: "short", When: "request.duration < duration('15m')"},
			{Name: "never", When: "false"},
		}
	})
	short := input(func(in *rules.Input) { in.Duration = 10 * time.Minute })
	m, ok, failed := set.ApprovedAtOnce(t.Context(), short)
	assert.True(t, ok)
	assert.Equal(t, `approve_at_once "short"`, m.Rule)
	assert.Equal(t, "request.duration < duration('15m') is true, where request.duration = 10m",
		m.Because)
	require.Len(t, failed, 1, "and somebody has to hear of the other one")
	assert.Equal(t, `approve_at_once "broken"`, failed[0].Rule)
	assert.Error(t, failed[0].Err)

	_, ok, failed = set.ApprovedAtOnce(t.Context(), input())
	assert.False(t, ok, "what cannot be evaluated approves nothing")
	assert.Len(t, failed, 1)
}

func TestMayRequest(t *testing.T) {
	listed := func(d *rules.Document) { d.Requesters = []string{"Cem@Example.com"} }
	when := func(condition string) func(*rules.Document) {
		return func(d *rules.Document) { d.RequestWhen = condition }
	}
	by := func(who string) rules.Input {
		return input(func(in *rules.Input) { in.Requester.Email = who })
	}
	tests := map[string]struct {
		changes []func(*rules.Document)
		in      rules.Input
		want    bool
		rule    string
		because string
	}{
		"no list": {nil, by(cem), true, "requesters", "everybody who is known here may ask"},
		"on the list": {
			fs(listed), by(cem), true, "requesters", "cem@example.com is one of those who may ask",
		},
		"in capitals": {
			fs(listed), by("CEM@example.COM"), true, "requesters", "CEM@example.COM is one of",
		},
		"not on the list": {
			fs(listed), by(ann), false, "requesters", "ann@example.com is not one of those",
		},
		"looks like one": {
			fs(listed), by("\u0441em@example.com"), false, "requesters", "is not an e-mail address",
		},
		"looks, no list": {
			nil, by("\u0441em@example.com"), false, "requesters", "is not an e-mail address",
		},
		"nobody": {nil, by(""), false, "requesters", "is not an e-mail address"},
		"condition": {
			fs(when("request.role == 'readonly'")), by(cem), true, "requesters",
			`; request.role == 'readonly' is true, where request.role = "readonly"`,
		},
		"not met": {
			fs(when("request.role == 'admin'")), by(cem), false, "request_when",
			"request.role == 'admin' is false",
		},
		"both": {fs(listed, when("false")), by(cem), false, "request_when", "false is false"},
		"the list first": {
			fs(listed, when("true")), by(ann), false, "requesters", "is not one of those",
		},
		"broken": {fs(when(fails)), by(cem), false, "request_when", "could not be evaluated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, ok := compile(t, test.changes...).MayRequest(t.Context(), test.in)
			assert.Equal(t, test.want, ok)
			assert.Equal(t, test.rule, m.Rule)
			assert.Contains(t, m.Because, test.because)
			assert.Equal(t, name == "broken", m.Err != nil)
		})
	}
}

func fs(changes ...func(*rules.Document)) []func(*rules.Document) { return changes }

func TestMayApprove(t *testing.T) {
	in := input()
	backups := func(d *rules.Document) {
		d.BackupApprovers, d.BackupAfterSeconds = []string{ben}, 900
	}
	when := func(condition string) func(*rules.Document) {
		return func(d *rules.Document) { d.ApproveWhen = condition }
	}
	person := func(email string, groups ...string) rules.Person {
		return rules.Person{Email: email, Groups: groups}
	}
	early, late := in.Now.Add(-899*time.Second), in.Now.Add(-900*time.Second)
	tests := map[string]struct {
		changes []func(*rules.Document)
		who     rules.Person
		created time.Time
		want    bool
		rule    string
		because string
	}{
		"an approver": {
			nil, person(ann), in.Now, true, "approvers", "ann@example.com is an approver",
		},
		"in capitals": {
			nil, person("ANN@example.com"), in.Now, true, "approvers", "is an approver",
		},
		"somebody": {
			nil, person(ben), in.Now, false, "approvers", "ben@example.com is not an approver",
		},
		"looks like one": {
			nil, person("\u0430nn@example.com"), in.Now, false, "approvers", "is not an approver",
		},
		"nobody": {nil, person(""), in.Now, false, "approvers", "is not an approver"},
		"back-up, early": {
			fs(backups), person(ben), early, false, "backup_approvers",
			"whose time comes at 2026-03-02T23:30:01Z",
		},
		"back-up, late": {
			fs(backups), person(ben), late, true, "backup_approvers",
			"whose time came at 2026-03-02T23:30:00Z",
		},
		"approver, early": {fs(backups), person(ann), early, true, "approvers", "is an approver"},
		"neither, late":   {fs(backups), person(cem), late, false, "approvers", "is not an approver"},
		"condition": {
			fs(when("approver.email.endsWith('@example.com')")), person(ann), in.Now, true, "approvers",
			`; approver.email.endsWith('@example.com') is true, where approver.email = "ann@example.com"`,
		},
		"not met": {
			fs(when("'leads' in approver.groups")), person(ann), in.Now, false, "approve_when",
			"is false, where approver.groups = []",
		},
		"met": {
			fs(when("'leads' in approver.groups")), person(ann, "leads"), in.Now, true, "approvers",
			`["leads"]`,
		},
		"of the two": {
			fs(when("approver.email != requester.email")), person(ann), in.Now, true, "approvers", "is true",
		},
		"back-up, not met": {
			fs(backups, when("approver.groups.size() > 0")), person(ben), late, false, "approve_when",
			"is false",
		},
		"only the listed": {
			fs(when("true")), person(ben), in.Now, false, "approvers", "is not an approver",
		},
		"broken, with list": {
			fs(when("approver.groups[0] == 'leads'")), person(ann), in.Now, false, "approve_when",
			"could not be evaluated",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, ok := compile(t, test.changes...).MayApprove(t.Context(), in, test.who, test.created)
			assert.Equal(t, test.want, ok)
			assert.Equal(t, test.rule, m.Rule)
			assert.Contains(t, m.Because, test.because)
			assert.Equal(t, strings.HasPrefix(name, "broken"), m.Err != nil)
		})
	}
}

func TestMayBreakGlass(t *testing.T) {
	glass := func(when string, seconds int64) func(*rules.Document) {
		return func(d *rules.Document) {
			d.BreakGlass = &rules.BreakGlass{
				People: []string{cem}, When: when, MaxDurationSeconds: seconds,
			}
		}
	}
	tests := map[string]struct {
		changes []func(*rules.Document)
		who     string
		want    bool
		because string
	}{
		"no glass":    {nil, cem, false, "no rule allows it to anybody"},
		"on the list": {fs(glass("", 0)), "Cem@example.com", true, "is one of those who may"},
		"an approver": {fs(glass("", 0)), ann, false, "is not one of those who may"},
		"looks like one": {
			fs(glass("", 0)), "\u0441em@example.com", false, "is not one of those who may",
		},
		"as long":   {fs(glass("", 1800)), cem, true, "is one of those who may"},
		"too long":  {fs(glass("", 1799)), cem, false, "it is for 29m59s at most, not for 30m"},
		"condition": {fs(glass("request.role == 'readonly'", 0)), cem, true, "is true"},
		"not met":   {fs(glass("request.role == 'admin'", 0)), cem, false, "is false"},
		"broken":    {fs(glass(fails, 0)), cem, false, "could not be evaluated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(func(in *rules.Input) { in.Requester.Email = test.who })
			m, ok := compile(t, test.changes...).MayBreakGlass(t.Context(), in)
			assert.Equal(t, test.want, ok)
			assert.Equal(t, "break_glass", m.Rule)
			assert.Contains(t, m.Because, test.because)
			assert.Equal(t, name == "broken", m.Err != nil)
		})
	}
}

// TestNoTimeLeft checks that an invocation whose time is over opens nothing.
func TestNoTimeLeft(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		loop := "[1, 2, 3].all(n, n < 4)"
		d.ApproveAtOnce = []rules.Condition{{Name: "a", When: loop}}
		d.Deny = []rules.Denial{{Name: "b", When: "!" + loop}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ok, failed := set.ApprovedAtOnce(ctx, input())
	m, denied := set.Denied(ctx, input())
	// So short a loop may come to its end all the same.
	assert.True(t, ok || len(failed) == 1)
	assert.Equal(t, m.Err != nil, denied)
}

// TestBecauseIsHarmless checks that what a person wrote stays a quotation, and short.
func TestBecauseIsHarmless(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.RequestWhen = "request.reason !=\n\t  '' && requester.groups.size() >= 0"
	})
	m, ok := set.MayRequest(t.Context(), input(func(in *rules.Input) {
		in.Reason = "\"\n<!channel>\u202E" + strings.Repeat("x", 10_000)
		in.Requester.Groups = strings.Split(strings.Repeat("g", 50), "")
	}))
	require.True(t, ok)
	assert.NotContains(t, m.Because, "\n")
	assert.NotContains(t, m.Because, "\u202E")
	assert.Contains(t, m.Because, `; request.reason != '' && requester.groups.size() >= 0 is true, `+
		`where request.reason = "\"\n<!channel>\u202exxx`)
	assert.Contains(t, m.Because, `and requester.groups = [`+strings.Repeat(`"g", `, 10)+`…]`)
	assert.Less(t, len(m.Because), 500)
}

// TestAtOnce asks the same rules from everywhere, for the race detector.
func TestAtOnce(t *testing.T) {
	d := base(func(d *rules.Document) {
		d.RequestWhen = "requester.groups.all(g, g != request.reason)"
		d.ApproveWhen = "approver.email.matches('^[a-z]+@')"
		d.Deny = []rules.Denial{{Name: "night", When: "now.getHours('Europe/Berlin') == 3"}}
		d.ApproveAtOnce = []rules.Condition{{Name: "short", When: "request.duration < duration('1m')"}}
		d.BreakGlass = &rules.BreakGlass{People: []string{cem}, When: "request.reason != ''"}
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				set, err := rules.Compile(d)
				if !assert.NoError(t, err) {
					return
				}
				_, denied := set.Denied(t.Context(), input())
				_, mayRequest := set.MayRequest(t.Context(), input())
				_, mayApprove := set.MayApprove(t.Context(), input(), rules.Person{Email: ann}, time.Now())
				_, atOnce, _ := set.ApprovedAtOnce(t.Context(), input())
				_, mayBreak := set.MayBreakGlass(t.Context(), input())
				assert.Equal(t, []bool{false, true, true, false, true},
					[]bool{denied, mayRequest, mayApprove, atOnce, mayBreak})
			}
		})
	}
	all.Wait()
}
