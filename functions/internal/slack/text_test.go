package slack

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestShorten(t *testing.T) {
	tests := []struct {
		text string
		most int
		want string
	}{
		{"", 5, ""},
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"ärger", 5, "ärger"},
		{"ärgern", 5, "ärge…"},
		{"two words", 5, "two…"},
		{"🙂🙂🙂", 6, "🙂🙂🙂"},
		{"🙂🙂🙂", 5, "🙂🙂…"},
		{"🙂🙂🙂", 4, "🙂…"},
		{"a\xffb", 5, "a\xffb"},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, shorten(test.text, test.most), "%q to %d", test.text, test.most)
	}
	for _, text := range []string{strings.Repeat("ä", 10_000), strings.Repeat("🙂", 10_000),
		strings.Repeat("ab🙂", 10_000)} {
		for most := 140; most <= 150; most++ {
			short := shorten(text, most)
			assert.True(t, utf8.ValidString(short))
			assert.LessOrEqual(t, len(utf16.Encode([]rune(short))), most)
			assert.Greater(t, len(utf16.Encode([]rune(short))), most-3, "as long as it may be")
		}
	}
}

func TestNotificationIsHarmless(t *testing.T) {
	assert.Equal(t, "why: &lt;!channel&gt; &lt;@U1&gt; &amp;amp; &lt;https://x|y&gt;",
		notification("why: %s", "<!channel>\n<@U1> &amp; <https://x|y>"))
	assert.LessOrEqual(t, utf8.RuneCountInString(notification("%s", strings.Repeat("a", 10_000))),
		mostFallback)
}

func TestTimeLeft(t *testing.T) {
	assert.Equal(t, "9 minutes", left(9*time.Minute+59*time.Second))
	assert.Equal(t, "59 seconds", left(59*time.Second))
	assert.Equal(t, "1 day 2 hours", left(26*time.Hour+59*time.Minute))
	assert.Equal(t, "moments", left(-time.Second))
}

func TestHowToConnectIsQuoted(t *testing.T) {
	tests := []struct{ connect, user, want string }{
		{"host=db port=5432 dbname=app", "alice", `"host=db port=5432 dbname=app user=alice"`},
		{"host=db", "o'neil", `'host=db user='\''o\'\''neil'\'''`},
		{"host=db", "alice$(id)", `'host=db user='\''alice$(id)'\'''`},
		{"host=db password=`id`", "alice", "'host=db password=`id` user=alice'"},
		{"postgresql", `a\b`, `'postgresql user='\''a\\b'\'''`},
	}
	for _, test := range tests {
		assert.Equal(t, test.want,
			shellQuote(test.connect+" user="+conninfoQuote(test.user)))
	}
}
