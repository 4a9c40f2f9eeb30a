package slack

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// Slack's limits, in characters. Beyond them it refuses the whole message.
// See https://docs.slack.dev/reference/block-kit.
const (
	mostText        = 3000 // of a text object
	mostHeader      = 150
	mostOption      = 75
	mostOptions     = 100 // in a list, or in one of its groups
	mostPlaceholder = 150
	mostFallback    = 300 // ours: what a notification shows
	mostBecause     = 300 // ours: an expression and its values
	mostTerms       = 1000
	mostSaid        = 200 // ours: what somebody said to what they did, where others can read it
)

// escape makes a text harmless where Slack reads markup: what stands between < and > would be
// a link, a mention, or a call to the whole channel.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// shorten cuts a text to a number of characters as Slack counts them at most: in UTF-16, where
// what lies outside the first plane counts twice.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text // bytes are never fewer than UTF-16's units
	}
	const ellipsis = '…'
	length, end := 0, 0 // where the text would be cut to have room for the ellipsis
	for i, r := range text {
		if length <= most-1 {
			end = i
		}
		length += max(1, utf16.RuneLen(r))
	}
	if length <= most {
		return text
	}
	return strings.TrimRight(text[:end], " \n") + string(ellipsis)
}

// visible takes out of a text what cannot be seen and changes how the rest looks: letters that
// turn the direction of writing or have no width, and control characters. What joins letters and
// emoji stays.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
		switch {
		case r == '\n', r == '\t', r == zeroWidthNonJoiner, r == zeroWidthJoiner:
			return r
		case r == '\u2028', r == '\u2029': // line and paragraph separators
			return '\n'
		case unicode.IsControl(r),
			unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r):
			return -1
		}
		return r
	}, text)
}

// oneLine brings a text onto one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// notification is the text that stands for a message where its blocks are not shown.
func notification(format string, args ...any) string {
	return escape(shorten(oneLine(visible(fmt.Sprintf(format, args...))), mostFallback))
}

// plain is a text object that Slack shows as it is.
func plain(text string, most int) *slackapi.TextBlockObject {
	return slackapi.NewTextBlockObject(slackapi.PlainTextType,
		shorten(some(visible(text)), most), false, false)
}

// The elements of rich text. It has no markup in it, so that people's words can do nothing in it.
type element = slackapi.RichTextSectionElement

var (
	boldStyle = &slackapi.RichTextSectionTextStyle{Bold: true}
	codeStyle = &slackapi.RichTextSectionTextStyle{Code: true}
)

func words(format string, args ...any) element {
	return slackapi.NewRichTextSectionTextElement(some(visible(fmt.Sprintf(format, args...))), nil)
}

func bold(text string) element {
	return slackapi.NewRichTextSectionTextElement(some(visible(text)), boldStyle)
}

func code(text string) element {
	return slackapi.NewRichTextSectionTextElement(some(shorten(visible(text), mostText)), codeStyle)
}

// moment is a time that Slack shows in the reader's own time zone.
func moment(t time.Time) element {
	fallback := t.UTC().Format("2006-01-02 15:04 UTC")
	return slackapi.NewRichTextSectionDateElement(t.Unix(), "{date_short_pretty} {time}", nil,
		&fallback)
}

func mention(user string) element { return slackapi.NewRichTextSectionUserElement(user, nil) }

// some is a text that Slack takes: it refuses an empty one.
func some(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// line is one line of rich text.
type line []element

// lines puts lines below each other.
func lines(all ...line) *slackapi.RichTextSection {
	var elements []element
	for i, l := range all {
		if i > 0 {
			elements = append(elements, words("\n"))
		}
		elements = append(elements, l...)
	}
	return slackapi.NewRichTextSection(elements...)
}

// quote sets off a person's words, without the empty lines that would push the rest out of sight.
func quote(text string) slackapi.RichTextElement {
	text = emptyLines.ReplaceAllString(visible(text), "\n\n")
	return &slackapi.RichTextQuote{
		Type: slackapi.RTEQuote, Elements: []element{words("%s", shorten(text, mostText))},
	}
}

var emptyLines = regexp.MustCompile(`\n(\s*\n){2,}`)

// preformatted is for what is copied into a terminal.
func preformatted(text string) slackapi.RichTextElement {
	return &slackapi.RichTextPreformatted{
		Type: slackapi.RTEPreformatted, Elements: []element{words("%s", text)},
	}
}

func rich(elements ...slackapi.RichTextElement) slackapi.Block {
	return slackapi.NewRichTextBlock("", elements...)
}

// heading is a title.
func heading(text string) slackapi.Block {
	return slackapi.NewHeaderBlock(plain(oneLine(text), mostHeader))
}

// small is a line in small letters.
func small(text string) slackapi.Block {
	return slackapi.NewContextBlock("", plain(text, mostText))
}

// say is a message of one paragraph.
func say(text string) message {
	return message{text: notification("%s", text), blocks: []slackapi.Block{
		rich(lines(line{words("%s", shorten(text, mostText))})),
	}}
}

// left is a duration in words, as exact as people want it: without the seconds of minutes, and
// without the minutes of days.
func left(d time.Duration) string {
	switch {
	case d <= 0:
		return "moments"
	case d < time.Minute:
		return request.Lasting(d)
	case d < 24*time.Hour:
		return request.Lasting(d.Truncate(time.Minute))
	default:
		return request.Lasting(d.Truncate(time.Hour))
	}
}
