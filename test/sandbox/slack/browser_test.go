package slack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/machine"
)

// tab is a tab of a real browser, without a window.
type tab struct {
	t     *testing.T
	ctx   context.Context
	shots string
}

// browse opens a page. What the tab looks like is kept in the folder SCREENSHOTS,
// or nowhere.
func browse(t *testing.T, address string, more ...chromedp.ExecAllocatorOption) tab {
	t.Helper()
	browser := machine.Browser()
	require.NotEmpty(t, browser, "There is no browser to look at the page with: "+
		"go run ./test/sandbox/machine/prepare test installs one, or says how.")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.WindowSize(1280, 860),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()),
		chromedp.Env("TMPDIR="+t.TempDir()),    // it leaves its folders there
		chromedp.WSURLReadTimeout(time.Minute)) // beside other suites it starts slowly
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses it to root
	}
	// Not the test's own context, which is over before the browser can be closed.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(options, more...)...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { assert.NoError(t, chromedp.Cancel(ctx)) })
	shots := os.Getenv("SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	b := tab{t: t, ctx: ctx, shots: shots}
	b.do(chromedp.Navigate(address), chromedp.WaitVisible("#channels a"))
	return b
}

func (b tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// ask evaluates an expression in a tab.
func ask[T any](b tab, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return answer
}

// patience is how long a tab may take for what it has to show.
const patience = 30 * time.Second

// until waits for an expression to be true, looking at each frame. The page's own
// policy forbids it to evaluate text, which chromedp.Poll has it do.
func (b tab) until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise((done) => {
		const look = () => { if (`+expression+`) done(true); else requestAnimationFrame(look); };
		look();
	})`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.shot("failed")
	}
	require.NoError(b.t, err, "%s\nThe page shows:\n%s", expression, b.text("body"))
}

// sees waits until one reads some words in an element.
func (b tab) sees(selector, words string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`,
		selector, words))
}

func (b tab) text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(ask[string](b,
		fmt.Sprintf(`document.querySelector(%q)?.innerText || ""`, selector)))
}

func (b tab) count(selector string) int {
	b.t.Helper()
	return ask[int](b, fmt.Sprintf(`document.querySelectorAll(%q).length`, selector))
}

// focus is the id of what has the focus.
func (b tab) focus() string {
	b.t.Helper()
	return ask[string](b, "document.activeElement.id")
}

// runs runs a statement in the page.
func (b tab) runs(statement string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](statement))
}

// types types into whatever has the focus, keys and all.
func (b tab) types(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

func (b tab) clicks(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(selector, chromedp.NodeVisible))
}

// selects chooses in a menu, as a person does.
func (b tab) selects(selector, value string) {
	b.t.Helper()
	b.runs(fmt.Sprintf(`(() => {
		const menu = document.querySelector(%q);
		menu.value = %q;
		menu.dispatchEvent(new Event("change", {bubbles: true}));
	})()`, selector, value))
}

// becomes makes somebody else of who looks at the page.
func (b tab) becomes(user string) {
	b.t.Helper()
	b.clicks(`#people a[href*="as=` + user + `"]`)
	b.until(fmt.Sprintf(`state && state.me === %q`, user))
}

func (b tab) shot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.shots, name+".png"), png, 0o644))
}
