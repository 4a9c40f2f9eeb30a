package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/client"
	"sym-postgres-quickstart/functions/internal/request"
)

// seen is what is left of a text once the terminal has taken its colours.
func seen(text string) string {
	for _, c := range []colour{bold, dim, red, green, yellow, "0"} {
		text = strings.ReplaceAll(text, "\x1b["+string(c)+"m", "")
	}
	return text
}

// TestTableFits keeps the lines of a list within the terminal, in columns as long as it can.
func TestTableFits(t *testing.T) {
	w := newWorld(t)
	w.active()
	w.clock.Advance(time.Second)
	require.Equal(t, exitOK, w.sym("dave", "request", "admin", "--reason",
		strings.Repeat("A long reason. ", 20)).code)
	list := func(width int) string {
		t.Helper()
		r := w.run(t.Context(), "alice", terminal(width), "list")
		text := seen(r.out)
		for line := range strings.Lines(text) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")),
				max(width, len(id1)), "%d wide: %q", width, line)
		}
		assert.Contains(t, r.out, "\x1b[32mactive\x1b[0m")
		return text
	}
	wide := list(140)
	assert.True(t, strings.HasPrefix(wide, "ID   "), wide)
	assert.Equal(t, 3, strings.Count(wide, "\n"))
	assert.Contains(t, wide, "A long reas…\n"[len("A long reas"):], "the last column is cut")
	assert.Equal(t, `ID-000000000000000000000000000000001  active  alice@example.com
  postgres-readonly  ends in 29 min  Order 3 was charged twice
`, list(80)[strings.Index(list(80), id1):])
	assert.Equal(t, `ID-000000000000000000000000000000001
  active  alice@example.com
  postgres-readonly  ends in 29 min
  Order 3 was charged twice
`, list(40)[strings.Index(list(40), id1):])
	list(20)

	held := w.run(t.Context(), "alice", terminal(80), "list", "--held-at", "now")
	assert.Equal(t, "alice@example.com  alice  postgres-readonly  readonly  since 15:00:00\n"+
		"  "+id1+"  Order 3 was charged twice\n", seen(held.out))
	story := w.run(t.Context(), "alice", terminal(50), "show", w.id(1))
	assert.Contains(t, seen(story.out), "  2026-03-03 15:00:00  bob@example.com  approved\n"+
		"    approved  approver\n      because bob@example.com is an approver\n")
}

// TestColours are for terminals that want them.
func TestColours(t *testing.T) {
	w := newWorld(t)
	w.asked()
	coloured := func(change func(*program)) bool {
		return strings.Contains(w.run(t.Context(), "alice", change, "list").out, "\x1b")
	}
	assert.True(t, coloured(terminal(140)))
	assert.False(t, coloured(nil), "a pipe")
	t.Setenv("NO_COLOR", "1")
	assert.False(t, coloured(terminal(140)))
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	assert.False(t, coloured(terminal(140)))
}

// TestNothingIsObeyed has texts of others that a terminal would act on. The API refuses most of
// them; they may have come in by another way.
func TestNothingIsObeyed(t *testing.T) {
	w := newWorld(t)
	const evil = "a\x1b]0;title\a\x1b[2Jb\u009b31mc\u202ed\u2066e\x7f\rf\u2028g"
	w.active()
	r, err := w.store.Get(t.Context(), w.id(1))
	require.NoError(t, err)
	change := r.Change(request.Revoking, request.Act{
		Action: evil, By: "x@example.com", At: w.clock.Now(), Reason: evil, Rule: evil, Because: evil,
	})
	change.Request.Reason, change.Request.Terms, change.Request.Failure = evil, evil, evil
	change.Request.DatabaseUser, change.Request.Target.Label = evil, evil
	change.Request.Target.Connect, change.Request.Target.RoleName = evil, evil
	change.Request.Target.Name, change.Request.Flow = evil, evil
	require.NoError(t, w.store.Apply(t.Context(), change))

	for _, args := range [][]string{
		{"list"}, {"list", "--held-at", "now"}, {"show", w.id(1)}, {"wait", w.id(1)},
		{"list", "--json"}, {"show", w.id(1), "--json"}, {"revoke", w.id(1)},
		{"show", w.id(1), "--api", "http://" + evil}, {evil}, {"show", evil}, {"list", "--" + evil},
		{"list", "--state", evil}, {"list", "--held-at", evil},
	} {
		for _, columns := range []int{30, 200} {
			r := w.run(t.Context(), "alice", terminal(columns), args...)
			text := strings.ReplaceAll(seen(r.out+r.err), eraseTheLine, "")
			for _, c := range text {
				assert.False(t, c != '\n' && isCommand(c), "%q prints %U", args, c)
			}
			assert.NotContains(t, r.out+r.err, "\x1b]")
		}
	}
	shown := w.sym("alice", "show", w.id(1))
	assert.Contains(t, shown.out, "a<U+001B>]0;title<U+0007><U+001B>[2Jb<U+009B>31mc<U+202E>d")
	assert.Contains(t, w.sym("alice", "show", w.id(1), "--json").out,
		`\u001b[2Jb\u009b31mc\u202ed\u2066e\u007f\rf\u2028g`)
}

// TestZones shows times in the person's own zone, in whichever season.
func TestZones(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).Sub(w.clock.Now()))
	id := w.asked() // at 02:30, before the clocks go back to 02:00
	w.clock.Advance(45 * time.Minute)
	w.approve("bob", id)
	r := w.sym("alice", "show", id)
	assert.Contains(t, r.out, "  TIME                      WHO")
	assert.Contains(t, r.out, "  2026-10-25 02:30:00 CEST  alice@example.com")
	assert.Contains(t, r.out, "  2026-10-25 02:15:00 CET   bob@example.com")

	utc := w.run(t.Context(), "alice", func(p *program) { p.location = time.UTC }, "show", id)
	assert.Contains(t, utc.out, "  TIME (UTC)           WHO")
	utc = w.run(t.Context(), "alice", func(p *program) { p.location = time.UTC },
		"list", "--held-at", "00:00")
	assert.Contains(t, utc.err, "0 requests were active at 2026-10-25 00:00:00 UTC.\n")
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                "0 s",
		59 * time.Second: "59 s",
		90 * time.Second: "1 min 30 s", 2 * time.Minute: "2 min",
		599 * time.Second: "9 min 59 s", 3599 * time.Second: "59 min",
		time.Hour: "1 h", 90 * time.Minute: "1 h 30 min", 25 * time.Hour: "1 day 1 h",
		72 * time.Hour: "3 days", -time.Minute: "1 min",
	} {
		assert.Equal(t, want, span(d))
	}
}

func TestParseMoment(t *testing.T) {
	w := newWorld(t)
	p := w.program(nil, nil)
	for text, want := range map[string]string{
		"now":                       "2026-03-03T14:00:00Z",
		"14:00":                     "2026-03-03T13:00:00Z",
		"14:00:30":                  "2026-03-03T13:00:30Z",
		"2026-03-03 14:00":          "2026-03-03T13:00:00Z",
		"2026-03-03T14:00:05":       "2026-03-03T13:00:05Z",
		"2025-07-01 14:00":          "2025-07-01T12:00:00Z",
		"2026-03-03 14:00 UTC":      "2026-03-03T14:00:00Z",
		"2026-03-03T14:00Z":         "2026-03-03T14:00:00Z",
		"2026-03-03T14:00:00Z":      "2026-03-03T14:00:00Z",
		"2026-03-03T14:00:00-05:00": "2026-03-03T19:00:00Z",
		" 2026-03-03 14:00 +02:00 ": "2026-03-03T12:00:00Z",
		// Around the changes of the clocks, and in the hour that one repeats.
		"2026-03-29 01:59:59":       "2026-03-29T00:59:59Z",
		"2026-03-29 03:00":          "2026-03-29T01:00:00Z",
		"2026-10-25 01:59:59":       "2026-10-24T23:59:59Z",
		"2026-10-25 03:00":          "2026-10-25T02:00:00Z",
		"2026-10-25 02:30:00+02:00": "2026-10-25T00:30:00Z",
		"2026-10-25 02:30+01:00":    "2026-10-25T01:30:00Z",
	} {
		at, err := p.parseMoment(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, at.UTC().Truncate(time.Second).Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "noon", "3.3.2026", "2026-02-30 14:00", "25:00", "14:00 CET"} {
		_, err := p.parseMoment(text)
		assert.Error(t, err, text)
	}
}

// TestChangesOfTheClocks leaves it to the person to say which moment was meant.
func TestChangesOfTheClocks(t *testing.T) {
	w := newWorld(t)
	in := func(zone, text string) result {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		return w.run(t.Context(), "alice", func(p *program) { p.location = location },
			"list", "--held-at", text)
	}
	for _, test := range []struct{ zone, text, says string }{
		{"Europe/Berlin", "2025-10-26 02:30", `there are two moments at which it was 2025-10-26 ` +
			`02:30:00 in your time zone (Europe/Berlin), since the clocks were put back: write ` +
			`"2025-10-26 02:30:00+02:00" (00:30 UTC) or "2025-10-26 02:30:00+01:00" (01:30 UTC)`},
		{"Europe/Berlin", "2025-03-30T02:00:00", "there was no 2025-03-30 02:00:00 in your time " +
			"zone (Europe/Berlin): the clocks were put forward over it"},
		{"America/New_York", "2025-11-02 01:59", `"2025-11-02 01:59:00-04:00" (05:59 UTC)`},
		{"America/New_York", "2025-03-09 02:30", "there was no 2025-03-09 02:30:00"},
		{"Australia/Lord_Howe", "2025-04-06 01:45", `"2025-04-06 01:45:00+11:00" (14:45 UTC) or ` +
			`"2025-04-06 01:45:00+10:30" (15:15 UTC)`},
		{"Pacific/Apia", "2011-12-30 12:00", "there was no 2011-12-30 12:00:00"},
	} {
		r := in(test.zone, test.text)
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.err, test.says)
	}
	for _, text := range []string{"2025-10-26 02:30:00+02:00", "2025-10-26 02:30:00+01:00"} {
		assert.Equal(t, exitOK, in("Europe/Berlin", text).code, "as it was said")
	}
	for _, zone := range []string{"Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kolkata", "UTC"} {
		assert.Equal(t, exitOK, in(zone, "2025-06-01 00:30").code, zone)
	}
	assert.Contains(t, w.sym("alice", "help", "list").out, `"2026-03-03 14:00+01:00"`)

	// Today, too.
	w.clock.Advance(time.Date(2026, 10, 25, 12, 0, 0, 0, time.UTC).Sub(w.clock.Now()))
	assert.Contains(t, in("Europe/Berlin", "02:30").err, "there are two moments")
}

// TestUnknownStates shows what a newer API calls by names that are not known here.
func TestUnknownStates(t *testing.T) {
	p := newWorld(t).program(nil, nil)
	assert.Equal(t, "asked now", p.when(client.Request{State: "pondered", CreatedAt: p.now()}))
	assert.Equal(t, "pondered", told("pondered"))
}
