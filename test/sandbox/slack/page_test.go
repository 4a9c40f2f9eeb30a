package slack

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requests makes an app of a that people ask for access, and that asks others.
func (a *app) requests(t *testing.T) {
	t.Helper()
	view := form("Request access")
	view.Blocks.BlockSet[1].(*slackapi.InputBlock).Element.(*slackapi.PlainTextInputBlockElement).
		Multiline = true
	a.command = func(given url.Values) any {
		if given.Get("text") != "req" {
			return map[string]any{"text": "`/sym req` asks for access."}
		}
		_, err := a.api.OpenViewContext(t.Context(), given.Get("trigger_id"), view)
		assert.NoError(t, err)
		return nil
	}
	a.interact = func(said slackapi.InteractionCallback) any {
		if said.Type == slackapi.InteractionTypeBlockActions && said.View.ID != "" {
			changed := view
			changed.Title = plain("Request " + said.ActionCallback.BlockActions[0].SelectedOption.Value)
			_, err := a.api.UpdateViewContext(t.Context(), changed, "", said.View.Hash, said.View.ID)
			assert.NoError(t, err)
			return nil
		}
		if said.Type == slackapi.InteractionTypeViewSubmission {
			reason := said.View.State.Values["reason"]["value"].Value
			if len(reason) < 5 {
				return slackapi.NewErrorsViewSubmissionResponse(map[string]string{
					"reason": "Say it so that the approver understands it."})
			}
			_, _, err := a.api.PostMessageContext(t.Context(), Requests, asked(reason, "")...)
			assert.NoError(t, err)
			return nil
		}
		if said.User.ID == Alice && said.ActionCallback.BlockActions[0].ActionID == "approve" {
			_, _, _, err := a.api.SendMessageContext(t.Context(), "",
				slackapi.MsgOptionText("You cannot approve *your own* request.", false),
				slackapi.MsgOptionResponseURL(said.ResponseURL, slackapi.ResponseTypeEphemeral))
			assert.NoError(t, err)
			return nil
		}
		_, _, _, err := a.api.UpdateMessageContext(t.Context(), said.Channel.ID,
			said.Message.Timestamp, asked("to see", said.User.ID)...)
		assert.NoError(t, err)
		_, _, err = a.api.PostMessageContext(t.Context(), Alice,
			slackapi.MsgOptionText("*Active*: connect with ```psql \"host=db user=alice\"```", false))
		assert.NoError(t, err)
		_, _, err = a.api.PostMessageContext(t.Context(), said.Channel.ID,
			slackapi.MsgOptionTS(said.Message.Timestamp),
			slackapi.MsgOptionText("Nobody has <@"+Carol+"> reviewed it yet.", false))
		assert.NoError(t, err)
		return nil
	}
}

// asked is a request as its channel sees it.
func asked(reason, approver string) []slackapi.MsgOption {
	bold := &slackapi.RichTextSectionTextStyle{Bold: true}
	text := func(
		words string, style *slackapi.RichTextSectionTextStyle,
	) slackapi.RichTextSectionElement {
		return slackapi.NewRichTextSectionTextElement(words, style)
	}
	fallback := "tomorrow"
	state := "Waits for approval"
	action := slackapi.NewButtonBlockElement("approve", "r-1", plain("Approve")).
		WithStyle(slackapi.StylePrimary)
	second := slackapi.NewButtonBlockElement("deny", "r-1", plain("Deny")).
		WithStyle(slackapi.StyleDanger)
	blocks := []slackapi.Block{
		slackapi.NewHeaderBlock(plain("🚨 Access request: readonly")),
		slackapi.NewRichTextBlock("",
			slackapi.NewRichTextSection(text("Who: ", bold),
				slackapi.NewRichTextSectionUserElement(Alice, nil), text(" (alice@example.com)\n", nil),
				text("What: ", bold), text("Read orders, the role ", nil),
				text("readonly", &slackapi.RichTextSectionTextStyle{Code: true}),
				text("\nHow long: ", bold), text("30 minutes, until ", nil),
				slackapi.NewRichTextSectionDateElement(4102444800, "{date_short_pretty} {time}", nil,
					&fallback), text("\nWhy:", bold)),
			&slackapi.RichTextQuote{Type: slackapi.RTEQuote,
				Elements: []slackapi.RichTextSectionElement{text(reason, nil)}}),
		slackapi.NewDividerBlock(),
	}
	if approver != "" {
		state = "Active, approved by <@" + approver + ">"
		action = slackapi.NewButtonBlockElement("revoke", "r-1", plain("Revoke")).
			WithStyle(slackapi.StyleDanger).WithConfirm(slackapi.NewConfirmationBlockObject(
			plain("Revoke the access?"), plain("The role is taken away now."), plain("Revoke"),
			plain("Keep it")))
	}
	elements := []slackapi.BlockElement{action}
	if approver == "" {
		elements = append(elements, second)
	}
	markdown := func(words string) *slackapi.TextBlockObject {
		return slackapi.NewTextBlockObject(slackapi.MarkdownType, words, false, false)
	}
	return []slackapi.MsgOption{slackapi.MsgOptionBlocks(append(blocks,
		slackapi.NewSectionBlock(nil, []*slackapi.TextBlockObject{
			markdown("*State*\n" + state), markdown("*Rule*\n_default_"),
		}, nil),
		slackapi.NewActionBlock("actions", elements...),
		slackapi.NewContextBlock("", markdown("Request `r-1` · <https://example.com|why?>")),
	)...)}
}

// TestThePage goes the way of a newcomer: a command, a modal, a message, a click,
// a direct message; as one person and as another.
func TestThePage(t *testing.T) {
	a := start(t)
	a.requests(t)
	b := browse(t, a.URL())
	b.sees(".banner", "A stand-in for Slack, on this machine.")
	assert.Equal(t, "#access-requests", b.text("#title"))
	b.shot("1-empty")

	b.clicks("#line")
	b.types("/")
	b.sees("#hints", "ask for access")
	b.types("sym h" + kb.Tab + kb.Enter)
	b.sees(".message.private", "Only visible to you")
	b.sees(".message.private code", "/sym req")
	b.types("/sym l")
	b.shot("2-hints")
	b.types(strings.Repeat(kb.Backspace, 6) + "/sym req" + kb.Enter)
	b.until(`document.querySelector("#modal").open`)
	assert.Equal(t, "Request access", b.text("#modal-title"))

	b.clicks("#modal button[type=submit]")
	b.sees(".field.wrong .error", required)
	b.types("so")
	b.selects("#block-target", "readwrite")
	b.sees("#modal-title", "Request readwrite")
	b.clicks("#modal button[type=submit]")
	b.sees(".field.wrong .error", "Say it so that the approver understands it.")
	b.shot("3-modal")
	assert.Equal(t, "block-reason", b.focus(), "what is wrong has the focus")
	b.types(" order 4711" + kb.Tab + " ")
	b.clicks("#modal button[type=submit]")
	b.until(`!document.querySelector("#modal").open`)
	b.sees(".message .block.header", "Access request: readonly")
	b.sees(".message blockquote", "so order 4711")
	b.sees(".message time", "2100")

	b.clicks(`button[data-action=approve]`)
	b.sees(".message.private strong", "your own")
	b.shot("4-request")

	b.becomes(Bob)
	assert.Zero(t, b.count(".message.private"), "what one is told the other does not see")
	b.clicks(`button[data-action=approve]`)
	b.sees(".message .mention.me", "@bob")
	b.sees(".message.reply .mention", "@carol")
	assert.Zero(t, b.count("button[data-action=approve]"))
	b.clicks("button[data-action=revoke]")
	b.sees("#confirm", "The role is taken away now.")
	b.shot("5-confirm")
	calls := len(a.Calls())
	b.clicks(`#confirm button[value=no]`)
	b.until(`!document.querySelector("#confirm").open`)
	assert.Len(t, a.Calls(), calls, "Slack asks first")

	b.sees("#people .unread", "Alice Archer")
	b.becomes(Alice)
	b.sees("#directs .unread .mark", "1")
	b.clicks("#directs a")
	b.sees(".message pre", `psql "host=db user=alice"`)
	b.until(`document.querySelectorAll("#directs .mark").length === 0`)
	b.shot("6-direct")

	b.clicks("#channels a[data-channel='#general']")
	b.sees("#title", "#general")
	b.clicks("#line")
	b.types("hello *all*" + kb.Enter)
	b.sees(".message strong", "all")
	assert.Equal(t, "hello all", b.text(".message .text"))
	require.Len(t, a.Messages(General), 1)
}

// TestTheKeyboard closes a modal and moves among the buttons without a mouse.
func TestTheKeyboard(t *testing.T) {
	a := start(t)
	a.requests(t)
	b := browse(t, a.URL())
	b.clicks("#line")
	b.types("/sym req" + kb.Enter)
	b.until(`document.querySelector("#modal").open`)
	assert.Equal(t, "block-target", b.focus())
	b.types(kb.Escape)
	b.until(`!document.querySelector("#modal").open`)
	assert.Nil(t, a.Modal(Alice))

	_, _, err := a.api.PostMessageContext(t.Context(), Requests, asked("to see", Bob)...)
	require.NoError(t, err)
	b.sees(".message", "to see")
	b.runs(`document.querySelector("#messages").focus()`)
	b.types(kb.Tab + kb.Enter)
	b.sees("#confirm", "The role is taken away now.")
	b.types(kb.Enter)
	b.until(`!document.querySelector("#confirm").open`)
	require.NoError(t, a.Wait(soon(t), func() bool { return len(a.Calls()) == 2 }))
	require.Len(t, a.DMs(Alice), 1, "the button was clicked")
}

// TestHarmlessWords shows people's words in every place that has some: none of
// them becomes HTML, or a link that runs something.
func TestHarmlessWords(t *testing.T) {
	a := start(t)
	evil := `<img src=x onerror="document.title='owned'"><script>alert(1)</script>`
	escaped := escape(evil)
	_, _, err := a.api.PostMessageContext(t.Context(), Requests, slackapi.MsgOptionText(
		escaped+" <javascript:alert(1)|click> `"+escaped+"` *"+escaped+"*\n&gt; "+escaped, false))
	require.NoError(t, err)
	_, _, err = a.api.PostMessageContext(t.Context(), Requests, slackapi.MsgOptionText(evil, false))
	require.NoError(t, err)
	options := append(asked(evil, ""), buttons(evil, evil))
	for _, option := range options {
		_, _, err = a.api.PostMessageContext(t.Context(), Requests, option)
		require.NoError(t, err)
	}
	a.AddUser(User{ID: Alice, Name: evil, Real: evil, Email: "alice@example.com"})
	a.opens(t, func() slackapi.ModalViewRequest {
		view := form("<b>Ask</b>")
		view.Blocks.BlockSet[1].(*slackapi.InputBlock).Label = plain(evil)
		return view
	}())
	_, err = a.As(Alice).Command(t.Context(), "/sym req")
	require.NoError(t, err)

	b := browse(t, a.URL())
	b.sees("blockquote", evil)
	b.sees("#modal-title", "<b>Ask</b>")
	assert.Zero(t, b.count("#messages img, #messages script, #modal b, #modal img, nav img"))
	assert.Zero(t, b.count(`a[href^="javascript"]`))
	assert.Contains(t, b.text("#messages"), evil)
	assert.NotEqual(t, "owned", ask[string](b, "document.title"))
	b.shot("7-harmless")
}

// TestTroubleOnThePage shows an app that fails as Slack shows it.
func TestTroubleOnThePage(t *testing.T) {
	a := start(t)
	a.requests(t)
	b := browse(t, a.URL())
	b.clicks("#line")
	b.types("/sym req" + kb.Enter)
	b.until(`document.querySelector("#modal").open`)
	a.status = http.StatusInternalServerError
	b.runs(`document.querySelector("#block-reason").value = "to see"`)
	b.clicks("#modal button[type=submit]")
	b.sees("#modal .trouble", trouble)
	b.clicks("#modal footer button[type=button]")
	b.until(`!document.querySelector("#modal").open`)

	b.clicks("#line")
	b.types("/sym req" + kb.Enter)
	b.sees(".message.private", "/sym failed with the error “http_service_error”")
	b.clicks("#modal footer button[type=button]")
	b.until(`!document.querySelector("#modal").open`)
	require.Len(t, a.Messages(Requests), 1)
	b.sees(".message blockquote", "to see")
	b.clicks(`button[data-action=deny]`)
	b.sees(".message .trouble", "This app responded with status code 500.")
	b.shot("8-trouble")
	a.Down(true)
	b.sees("#status", "Slack is down for the app")
}

// TestOtherPages cannot read or do anything here.
func TestOtherPages(t *testing.T) {
	a := start(t)
	ask := func(method, path, body string, headers map[string]string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, a.URL()+path,
			strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		if host := headers["Host"]; host != "" {
			r.Host = host
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		if response.StatusCode == http.StatusOK {
			assert.Contains(t, response.Header.Get("Content-Security-Policy"), "script-src 'self'")
		}
		return response.StatusCode
	}
	say := fmt.Sprintf(`{"as":"%s","channel":"%s","text":"hi"}`, Alice, General)
	assert.Equal(t, http.StatusOK, ask("GET", "/", "", nil))
	assert.Equal(t, http.StatusOK, ask("POST", "/page/say", say, map[string]string{
		"Origin": a.URL(), "Sec-Fetch-Site": "same-origin"}))
	assert.Len(t, a.Messages(General), 1)
	assert.Equal(t, http.StatusForbidden, ask("POST", "/page/say", say,
		map[string]string{"Origin": "http://evil.example"}))
	assert.Equal(t, http.StatusForbidden, ask("POST", "/page/say", say,
		map[string]string{"Sec-Fetch-Site": "cross-site"}))
	assert.Equal(t, http.StatusForbidden, ask("POST", "/page/say", say,
		map[string]string{"Host": "evil.example:80"}))
	assert.Equal(t, http.StatusForbidden, ask("GET", "/page/events?as="+Alice, "",
		map[string]string{"Host": "evil.example"}))
	assert.Equal(t, http.StatusUnsupportedMediaType, ask("POST", "/page/say", say,
		map[string]string{"Content-Type": "text/plain"}))
	assert.Equal(t, http.StatusNotFound, ask("POST", "/page/other", "{}", nil))
	assert.Equal(t, http.StatusNotFound, ask("GET", "/page/events?as=nobody", "", nil))
	assert.Len(t, a.Messages(General), 1)
}
