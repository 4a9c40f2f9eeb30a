package slack

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules below are axe's listitem, aria-allowed-role, region and color-contrast, as far as this
// page can break them: https://dequeuniversity.com/rules/axe. Each expression lists what breaks one.
var accessible = map[string]string{
	"list items outside of lists": `[...document.querySelectorAll("li")].filter((li) => {
		const role = li.parentNode.getAttribute("role");
		return !["UL", "OL"].includes(li.parentNode.tagName) ||
			role && role !== (li.getAttribute("role") === "option" ? "listbox" : "list");
	}).map((li) => li.outerHTML)`,
	"roles that an element may not have": `[...document.querySelectorAll("[role]")].filter((e) => {
		const allowed = {UL: ["listbox"], LI: ["option"], INPUT: ["combobox"], DIV: ["log"],
			P: ["alert", "status"]}[e.tagName] || [];
		return !allowed.includes(e.getAttribute("role"));
	}).map((e) => e.outerHTML)`,
	"text outside of landmarks": `[...document.body.querySelectorAll("*")].filter((e) =>
		!["SCRIPT", "NOSCRIPT"].includes(e.tagName) &&
		[...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) &&
		!e.closest("body > header, nav, main, dialog")).map((e) => e.outerHTML)`,
	"text that is hard to read": `(() => {
		const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
		const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
		const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .04045 ? v / 12.92 :
			((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
		const paper = (e) => { const all = []; for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor); all.push(c); if (c[3] === 1) break; }
			return all.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]); };
		return [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility() &&
			!["SCRIPT", "NOSCRIPT"].includes(e.tagName) && !e.disabled &&
			[...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
			const back = paper(e), style = getComputedStyle(e);
			const text = over(parse(style.color), back).slice(0, 3);
			const [a, b] = [light(text), light(back.slice(0, 3))];
			const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			const large = parseFloat(style.fontSize) >= 24 ||
				parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
			return [ratio, large ? 3 : 4.5, e.outerHTML.slice(0, 200) + " " + style.color + " on " + back];
		}).filter(([ratio, needed]) => ratio < needed).map(([ratio, , what]) => ratio.toFixed(2) + " " + what);
	})()`,
}

func (b tab) requireAccessible(when string) {
	b.t.Helper()
	for rule, expression := range accessible {
		assert.Empty(b.t, ask[[]string](b, expression), "%s: %s", when, rule)
	}
}

// TestAssistiveTechnology looks at the page with all that it can show, in light and in dark.
func TestAssistiveTechnology(t *testing.T) {
	for mode, scheme := range map[string]string{"light": "1", "dark": "0"} {
		t.Run(mode, func(t *testing.T) {
			a := start(t)
			a.requests(t)
			_, _, err := a.api.PostMessageContext(t.Context(), Requests, asked("to see order 4711", "")...)
			require.NoError(t, err)
			_, _, err = a.api.PostMessageContext(t.Context(), Requests, slackapi.MsgOptionText(
				"<@"+Alice+"> see <https://example.com|this> and `code` <!channel>", false))
			require.NoError(t, err)
			b := browse(t, a.URL(), chromedp.Flag("blink-settings", "preferredColorScheme="+scheme))
			require.Equal(t, mode == "dark",
				ask[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`))
			b.sees(".message", "order 4711")
			b.runs(`document.querySelector("nav details").open = true`)
			b.clicks("#line")
			b.types("/sym")
			b.until(`!document.querySelector("#hints").hidden`)
			b.requireAccessible("messages and hints")
			b.shot("9-" + mode)
			dark := ask[string](b, `getComputedStyle(document.body).backgroundColor`) == "rgb(26, 29, 33)"
			assert.Equal(t, mode == "dark", dark)

			b.runs(`document.querySelector("#line").value = ""`)
			b.types("/sym req\r")
			b.until(`document.querySelector("#modal").open`)
			b.clicks("#modal button[type=submit]")
			b.requireAccessible("a form")
			b.shot("9-form-" + mode)
		})
	}
}

// TestAPhone checks that the messages have a small screen to themselves, and that everything else is
// one touch away.
func TestAPhone(t *testing.T) {
	a := start(t)
	_, _, err := a.api.PostMessageContext(t.Context(), Requests, asked("to see order 4711", "")...)
	require.NoError(t, err)
	b := browse(t, a.URL())
	assert.False(t, ask[bool](b, `document.querySelector("#menu").checkVisibility()`), "not needed here")
	b.do(chromedp.EmulateViewport(390, 844))
	b.until(`!document.querySelector("nav").checkVisibility()`)
	assert.GreaterOrEqual(t, ask[float64](b,
		`document.querySelector("#messages").clientHeight / innerHeight`), 0.7)
	assert.LessOrEqual(t, ask[float64](b, `document.documentElement.scrollWidth`), 390.0)
	b.shot("10-phone")

	b.clicks("#menu")
	b.until(`document.querySelector("nav").checkVisibility()`)
	assert.Equal(t, "true", ask[string](b, `document.querySelector("#menu").ariaExpanded`))
	b.requireAccessible("the menu")
	b.shot("10-phone-menu")
	b.becomes(Bob)
	b.until(`!document.querySelector("nav").checkVisibility()`)
	assert.Equal(t, "menu", b.focus())
	b.clicks("#menu")
	b.types("\x1b")
	b.until(`!document.querySelector("nav").checkVisibility()`)
}

// TestLinksToMessages checks that whoever follows a link to a message stays who they are.
func TestLinksToMessages(t *testing.T) {
	a := start(t)
	channel, ts, err := a.api.PostMessageContext(t.Context(), Requests, asked("to see", "")...)
	require.NoError(t, err)
	link, err := a.api.GetPermalinkContext(t.Context(),
		&slackapi.PermalinkParameters{Channel: channel, Ts: ts})
	require.NoError(t, err)
	_, err = a.api.GetPermalinkContext(t.Context(),
		&slackapi.PermalinkParameters{Channel: channel, Ts: "1.2"})
	assert.EqualError(t, err, "message_not_found")
	_, _, err = a.api.PostMessageContext(t.Context(), General,
		slackapi.MsgOptionText("See <"+link+"|the request>", false))
	require.NoError(t, err)

	b := browse(t, a.URL()+"/#"+url.Values{"as": {Bob}}.Encode())
	b.clicks(`#channels a[data-channel="#general"]`)
	b.sees(".message a", "the request")
	b.clicks(`.message a[href^="#"]`)
	b.sees("#title", "access-requests")
	assert.Equal(t, Bob, ask[string](b, "state.me"))
	b.do(chromedp.Navigate(link))
	b.sees(".message blockquote", "to see")
}
