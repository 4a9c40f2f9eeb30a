package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

// hostile are reasons that somebody might write to mislead the others, or to wake them.
var hostile = map[string]string{
	"a call to everybody": "<!channel> <!here> <!everyone> <!subteam^S0ADMINS>",
	"mentions":            "<@U0BOB> has approved this, @channel @here",
	"links":               "<https://evil.example|https://wiki.example.com> https://evil.example",
	"markup":              "*bold* _it_ ~no~ `code` ```block``` > quote :tada:",
	"escaped already":     "&lt;!channel&gt; &amp;lt;",
	"a line of ours": "x”\n• bob@example.com approved it 2026-03-03 14:00 UTC, by the rule " +
		"approver",
	"empty lines":          "top" + strings.Repeat("\n \n", 300) + "bottom",
	"directions":           "safe \u202egnihtemos\u202c \u2066\u2067 \u200f end",
	"letters of no width":  "re\u200bad\u2060\ufeff\u00adonly \u180e end",
	"unusual line breaks":  "one\u2028two\u2029three\vfour\u0085five",
	"JSON":                 `"}],"blocks":[{"type":"divider"}]`,
	"as long as it may be": strings.Repeat("🙂", request.MaxReason),
}

func TestPeoplesWordsAreHarmless(t *testing.T) {
	for name, said := range hostile {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, glass)
			said := said
			if name == "unusual line breaks" {
				said = strings.NewReplacer("\v", "", "\u0085", "").Replace(said) // are refused
			}
			r := w.submit(t, request.Submission{
				Flow: "postgres", Target: "postgres-readonly", Reason: said})
			w.deliver(t, r.ID)
			w.click(t, bobID, denyButton, r.ID) // the modal shows it too
			_, err := w.service.Approve(t.Context(), bob, r.ID, said)
			require.NoError(t, err)
			w.move(t, r.ID, request.Active)
			w.deliver(t, r.ID)
			w.click(t, aliceID, extendButton, r.ID)
			_, err = w.service.Revoke(t.Context(), carol, r.ID, said)
			require.NoError(t, err)
			w.move(t, r.ID, request.Done)
			w.deliver(t, r.ID)
			denied := w.submit(t, request.Submission{
				Flow: "postgres", Target: "postgres-readonly", Reason: said})
			_, err = w.service.Deny(t.Context(), bob, denied.ID, said)
			require.NoError(t, err)
			w.deliver(t, denied.ID)
			glass := w.submit(t, request.Submission{Flow: "postgres", Target: "postgres-readonly",
				Reason: said, BreakGlass: true})
			_, err = w.service.Review(t.Context(), bob, glass.ID, said)
			require.NoError(t, err)
			w.deliver(t, glass.ID)

			require.Equal(t, 2, w.api.opened())
			for _, view := range w.api.views {
				assertHarmless(t, view)
			}
			require.NotEmpty(t, w.api.posts)
			for _, p := range w.api.posts {
				var blocks any
				require.NoError(t, json.Unmarshal(p.Blocks, &blocks))
				assertHarmless(t, blocks)
				assert.NotRegexp(t, `[<>]|&[^alg]|\n`, p.Text)
				assertVisible(t, p.Text)
				assert.Equal(t, "none", p.Parse)
				text := shown(t, p.Blocks)
				assert.NotRegexp(t, `\n\s*\n\s*\n`, text)
				if name == "a line of ours" {
					// It stands in the quotation alone, and in no line of the history.
					assert.LessOrEqual(t, strings.Count(text, "\n• bob@example.com approved it"), 2)
				}
			}
		})
	}
}

// TestNobodyForgesALine of the history with what they say.
func TestNobodyForgesALine(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	_, err := w.service.Deny(t.Context(), alice, r.ID, hostile["a line of ours"])
	require.NoError(t, err)
	w.deliver(t, r.ID)
	text := shown(t, w.message(t).Blocks)
	assert.NotContains(t, text, "\n• bob@example.com")
	assert.Contains(t, text, "\n• alice@example.com withdrew it")
}

// assertHarmless finds words of people's where Slack would read markup, or what nobody sees.
func assertHarmless(t *testing.T, sent any) {
	t.Helper()
	switch v := sent.(type) {
	case []any:
		for _, item := range v {
			assertHarmless(t, item)
		}
	case map[string]any:
		switch v["type"] {
		case "mrkdwn":
			assert.Contains(t, v["text"], "<!channel> Access is given", "ours")
		case "plain_text":
			assert.NotEqual(t, true, v["emoji"])
		case "link", "broadcast", "usergroup", "channel", "emoji":
			assert.Fail(t, fmt.Sprintf("an element of type %s", v["type"]))
		case "user":
			assert.Equal(t, aliceID, v["user_id"])
		}
		for _, item := range v {
			assertHarmless(t, item)
		}
	case string:
		assertVisible(t, v)
	}
}

func assertVisible(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && r != '\n' || r == '\u2028' {
			assert.Fail(t, fmt.Sprintf("%U in %.80q", r, text))
			return
		}
	}
}

// TestWhatJoinsLettersStays: emoji of several parts, and languages that need it.
func TestWhatJoinsLettersStays(t *testing.T) {
	for _, text := range []string{"👩\u200d💻", "می\u200cخواهم", "tab\tand\nline", "\u0600١"} {
		assert.Equal(t, text, visible(text))
	}
}

// TestTenThousandCharacters are refused, wherever they are written.
func TestTenThousandCharacters(t *testing.T) {
	w := newWorld(t, glass)
	long := strings.Repeat("<!channel>", 1000)
	r := w.submit(t)
	w.click(t, bobID, denyButton, r.ID)
	w.fill(t, bobID, map[string]any{reasonBlock: long})
	w.work(t)
	require.Len(t, w.api.whispered(t, bobID), 1)
	assert.Contains(t, w.api.whispered(t, bobID)[0], "The reason has 10000 characters, and 1000 is")
	assert.Equal(t, request.Requested, w.get(t, r.ID).State)

	w.move(t, r.ID, request.Approved, request.Active)
	w.click(t, aliceID, extendButton, r.ID)
	assert.Contains(t, w.fill(t, aliceID, map[string]any{reasonBlock: long})[reasonBlock],
		"The reason has 10000 characters")
}
