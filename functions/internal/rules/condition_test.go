package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/rules"
)

// TestConditionsThatAreNone has what is wrong with conditions, and where.
func TestConditionsThatAreNone(t *testing.T) {
	tests := map[string]struct{ when, at, message string }{
		"it ends early":      {"request.reason ==", "1 column 18", "The condition ends too early"},
		"a text without end": {"request.reason == 'a", "1 column 19", "Syntax error"},
		"two conditions":     {"true; true", "1 column 5", "Syntax error"},
		"an assignment":      {"request.flow = 'a'", "1 column 14", "Syntax error"},
		"a backslash":        {`"\`, "1 column 1", "Syntax error"},
		"not only letters":   {"request.reasön == ''", "1 column 13", "Syntax error"},
		"a misspelt variable": {
			"reqest.flow == ''", "1 column 1",
			"There is no variable reqest.flow. A condition can read request.flow, ",
		},
		"in the second line": {
			"true &&\n  requester.mail == ''", "2 column 3", "There is no variable requester.mail.",
		},
		"half a variable": {"request == 1", "1 column 1", "There is no variable request."},
		"a longer variable": {
			"request.flow.name == ''", "1 column 13", "type 'string' does not support field selection",
		},
		"an approver": {
			"approver.email == ''", "1 column 1", "Only approve_when can read approver.email",
		},
		"an approver's": {
			"'a' in approver.groups", "1 column 8", "Only approve_when can read approver.groups",
		},
		"a function":        {"today() == 1", "1 column 6", "There is no function today here."},
		"no check of types": {"dyn(1) == 'a'", "1 column 4", "There is no function dyn here."},
		"has": {
			"has(request.flow)", "1 column 5", "The variable request.flow is always there",
		},
		"seconds": {
			"request.duration > 30", "1 column 18", `A duration is written duration("30m").`,
		},
		"a text for seconds": {
			"request.duration > '30m'", "1 column 18", `A duration is written duration("30m").`,
		},
		"a bad duration": {
			"request.duration > duration('30 minutes')", "1 column 29",
			`A duration is written duration("30m").`,
		},
		"a bad time": {
			"now > timestamp('tomorrow')", "1 column 17", "A time is written timestamp(",
		},
		"true as a text":   {"request.extension == 'true'", "1 column 19", "no matching overload"},
		"a text as a list": {"requester.groups == 'oncall'", "1 column 18", "no matching overload"},
		"a list of all kinds": {
			"requester.email in ['a', 1]", "1 column 26", "Expected type 'string' but found 'int'.",
		},
		"no such time zone": {
			"now.getHours('Europe/Berln') > 8", "1 column 14", `There is no time zone "Europe/Berln"`,
		},
		"no such offset": {
			"now.getHours('2:00') > 8", "1 column 14", `There is no time zone "2:00"`,
		},
		"an offset too far": {
			"now.getHours('+20:00') > 8", "1 column 14", `There is no time zone "+20:00"`,
		},
		"the server's zone": {"now.getHours('Local') > 8", "1 column 14", "There is no time zone"},
		"a requester's zone": {
			"now.getHours(request.reason) > 8", "1 column 21", "The time zone has to be written out",
		},
		"a pattern": {"request.reason.matches('(')", "1 column 24", "This is no pattern"},
		"a requester's": {
			"'a'.matches(request.reason)", "1 column 20", "The pattern of matches has to be written out",
		},
		"capitals": {
			"requester.email == 'Ann@example.com'", "1 column 20", `write "ann@example.com"`,
		},
		"capitals in a list": {
			"requester.email in ['a@example.com', 'B@example.com']", "1 column 38", `write "b@example.com"`,
		},
		"capitals at the end": {
			"requester.email.endsWith('@Example.com')", "1 column 26", `write "@example.com"`,
		},
		"a Cyrillic a": {
			"'\u0430nn@example.com' != requester.email", "1 column 1",
			`no e-mail address can be like "\u0430nn@example.com"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problem := conditionProblem(t, test.when)
			assert.Equal(t, "request_when, line "+test.at, problem.Place)
			assert.Contains(t, strings.ToLower(problem.Message), strings.ToLower(test.message))
			assert.True(t, strings.HasSuffix(problem.Message, "."), "a sentence: %s", problem.Message)
		})
	}
	for when, kind := range map[string]string{
		"1": "int", "'true'": "string", "request.duration": "duration",
		"[true]": "list(bool)", "null": "null",
	} {
		problem := conditionProblem(t, when)
		assert.Equal(t, "request_when", problem.Place)
		assert.Equal(t, "The condition has to be true or false, and this is of type "+kind+".",
			problem.Message)
	}
}

// TestConditionsThatNeverEnd checks that what could take long is refused, and fast.
func TestConditionsThatNeverEnd(t *testing.T) {
	times := strings.Repeat
	list := func(n int) string { return "[" + times("1,", n) + "1]" }
	costly, deep := "could cost too much", "More than 50 parentheses, operators and calls"
	tests := map[string]struct{ when, message string }{
		"loops in loops in loops": {
			"[1].exists(a, [1].exists(b, [1].exists(c, a == b && b == c)))", "2 times at most",
		},
		"loops in loops": {
			list(400) + ".exists(a, " + list(400) + ".exists(b, a + b == 0))", costly,
		},
		"everybody's groups by each other": {
			"requester.groups.exists(a, requester.groups.exists(b, a + 'x' == b))", costly,
		},
		"a text that grows": {
			"requester.groups.all(g, (" + times("request.reason + ", 40) + "g).contains(g))", costly,
		},
		"a text that doubles": {
			"[request.reason + request.reason].map(a, a + a + a + a + a + a + a + a + a + a).exists(b, " +
				"(b + b + b + b + b + b + b + b + b + b).contains('xyz' + request.reason))", costly,
		},
		"a pattern that is large": {
			"request.reason.matches('((a{1,30}){1,30}b{1,30}){0,1}')", "the pattern is too large",
		},
		"a pattern that is too large to be one": {
			"request.reason.matches('((a{1,100}){1,100}){1,100}')", "This is no pattern",
		},
		"a pattern for each group": {
			"requester.groups.exists(g, (request.reason + g).matches('(a+)+(b+)+(c+)+(d+)+$'))", costly,
		},
		"parentheses":       {times("(", 60) + "true" + times(")", 60), deep},
		"thousands of them": {times("(", 990) + "true" + times(")", 990), deep},
		"choices":           {times("true ? true : ", 60) + "true", deep},
		"sums":              {times("request.reason + ", 100) + "'' == ''", deep},
		"a long one":        {"'" + times("x", 2000) + "' == ''", "2008 characters, and may have 2000"},
		"a huge one":        {times("true || ", 1_000_000) + "true", "may have 2000"},
		"a huge list":       {list(50_000) + ".exists(x, x == 2)", "may have 2000"},
		"zones without end": {
			"requester.groups.exists(g, now.getHours('Europe/Berlin') == size(g))", costly,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			problem := conditionProblem(t, test.when)
			assert.Contains(t, strings.ToLower(problem.Message), strings.ToLower(test.message))
			assert.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

// TestLongestConditions checks that what does compile is evaluated in no time, on the largest
// request.
func TestLongestConditions(t *testing.T) {
	in := input(func(in *rules.Input) {
		in.Reason = strings.Repeat("ä", 1000)
		for i := range 100 {
			in.Requester.Groups = append(in.Requester.Groups, fmt.Sprintf("%0100d", i))
		}
	})
	for _, when := range []string{
		"requester.groups.all(g, g.size() == 100 && g != request.reason)",
		"requester.groups.map(a, requester.groups).all(l, l == requester.groups)",
		"!requester.groups.exists(g, g.matches('^a+$'))",
		"!request.reason.matches('^(a|b)*c$')",
		strings.Repeat("request.reason.size() == 1000 && ", 50) + "true",
		"now.getHours('Europe/Berlin') < 24 && now.getHours('+02:00') < 24",
		strings.Repeat("!", 1000) + "true",
		"[" + strings.Repeat("1,", 400) + "1].exists(x, x == 1)",
	} {
		set := compile(t, func(d *rules.Document) { d.RequestWhen = when })
		start := time.Now()
		m, ok := set.MayRequest(t.Context(), in)
		require.NoError(t, m.Err, when)
		assert.True(t, ok, when)
		assert.Less(t, time.Since(start), time.Second, when)
	}
}

// TestMoreThanEstimated checks that a request which is larger than any that is taken does not get
// a condition past its limit: the condition fails.
func TestMoreThanEstimated(t *testing.T) {
	set := compile(t, func(d *rules.Document) {
		d.Deny = []rules.Denial{{Name: "vowels", When: "request.reason.matches('^(a|e)*$')"}}
		d.RequestWhen = "requester.groups.all(g, g != request.reason)"
	})
	in := input(func(in *rules.Input) { in.Reason = strings.Repeat("a", 10_000_000) })
	m, denied := set.Denied(t.Context(), in)
	assert.True(t, denied, "what cannot be judged is denied")
	assert.ErrorContains(t, m.Err, "cost limit exceeded")

	in = input(func(in *rules.Input) {
		in.Requester.Groups = make([]string, 50_000)
	})
	m, ok := set.MayRequest(t.Context(), in)
	assert.False(t, ok)
	assert.Error(t, m.Err, "by its cost, or by the time it takes on a slow machine")
}

// TestVariables reads each variable.
func TestVariables(t *testing.T) {
	in := input(func(in *rules.Input) {
		in.Extension, in.BreakGlass = true, true
		in.Requester = rules.Person{Email: "Ann@Example.com", Groups: []string{"oncall"}}
	})
	for _, when := range []string{
		"request.flow == 'postgres'", "request.target == 'postgres-readonly'",
		"request.role == 'readonly'", "request.reason == 'To look'",
		"request.duration == duration('30m')", "request.duration <= duration('1h')",
		"request.extension", "request.break_glass", "requester.email == 'ann@example.com'",
		"requester.groups == ['oncall']", "'oncall' in requester.groups",
		// A Monday at 23:30 in UTC, which is a Tuesday in Berlin.
		"now == timestamp('2026-03-02T23:30:00Z')", "now.getDayOfWeek() == 1",
		"now.getDayOfWeek('Europe/Berlin') == 2", "now.getHours('Europe/Berlin') == 0",
		"now.getHours('-05:00') == 18", "now < timestamp('2026-04-01T00:00:00Z')",
	} {
		set := compile(t, func(d *rules.Document) { d.RequestWhen = when })
		m, ok := set.MayRequest(t.Context(), in)
		assert.True(t, ok, "%s: %s", when, m.Because)
	}
}
