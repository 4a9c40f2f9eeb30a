package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"sym-postgres-quickstart/functions/internal/rules"
)

// FuzzCompile checks that no condition makes the compiler or the evaluation panic or hang, that a
// refusal is told with its place, and that what fails opens nothing.
func FuzzCompile(f *testing.F) {
	for _, when := range []string{
		"true", "", "(", "1/0 == 1", fails, "request.reason ==", "request.duration > duration('30m')",
		"now.getHours('Europe/Berlin') < 8", "request.reason.matches('(a+)+$')",
		"requester.groups.exists(g, g == 'oncall')", "requester.email == '\u0430nn@example.com'",
		"requester.groups.map(g, g + g).filter(g, g != '').size() > 1",
		"{'a': 1}['b'] == 1", "[1, 2][3] == 1", "int(request.reason) > 1", "b'\\xff' == b''",
		"duration(request.reason) < request.duration", "has({'a': 1}.a)", "now.getHours('+99:99') == 1",
		strings.Repeat("(", 60), strings.Repeat("!", 500) + "true", "\x00", "\"\\", "'\\u0000' == ''",
		"9223372036854775807 + 1 == 0", "-9223372036854775808 / -1 == 0", "1e400 > 0.0",
		"timestamp('9999-12-31T23:59:59Z') + duration('1000000h') > now", "`a.b` == 1", "a.?b == c",
		"type(1) == type('')", "cel.bind(x, 1, x == 1)", "[1].all(x, x == 1, true)",
	} {
		f.Add(when)
	}
	f.Fuzz(func(t *testing.T, when string) {
		start := time.Now()
		set, err := rules.Compile(base(func(d *rules.Document) {
			d.RequestWhen, d.ApproveWhen = when, when
			d.ApproveAtOnce = []rules.Condition{{Name: "fuzz", When: when}}
			d.Deny = []rules.Denial{{Name: "fuzz", When: when}}
		}))
		if err != nil {
			assert.NotEmpty(t, err.Error())
		} else {
			in := input(func(in *rules.Input) { in.Reason = strings.Repeat("a", 1000) })
			m, denied := set.Denied(t.Context(), in)
			assert.True(t, denied || m.Err == nil)
			m, ok := set.MayRequest(t.Context(), in)
			assert.False(t, ok && m.Err != nil)
			m, ok, _ = set.ApprovedAtOnce(t.Context(), in)
			assert.False(t, ok && m.Err != nil)
			m, ok = set.MayApprove(t.Context(), in, rules.Person{Email: ann}, in.Now)
			assert.False(t, ok && m.Err != nil)
		}
		assert.Less(t, time.Since(start), 20*time.Second)
	})
}
