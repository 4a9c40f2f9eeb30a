package slack

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Button is a button as a person sees it.
type Button struct {
	Block, Action, Text, Value, Style string
	// Confirm is the question that is asked before the click counts; empty if
	// there is none.
	Confirm string
}

// Buttons are what can be clicked in a message.
func (m Message) Buttons() []Button {
	var all []Button
	for _, b := range parse(m.Blocks) {
		for _, e := range elements(b) {
			if e["type"] != "button" {
				continue
			}
			word := func(from any, name string) string {
				word, _ := field(from, name).(string)
				return word
			}
			all = append(all, Button{
				Block: word(b, "block_id"), Action: word(e, "action_id"),
				Text: word(e["text"], "text"), Value: word(e, "value"), Style: word(e, "style"),
				Confirm: word(field(e["confirm"], "text"), "text"),
			})
		}
	}
	return all
}

// Button finds a button by its action.
func (m Message) Button(action string) (Button, bool) {
	for _, b := range m.Buttons() {
		if b.Action == action {
			return b, true
		}
	}
	return Button{}, false
}

// reader turns blocks into what a person reads of them.
type reader struct {
	s    *Server
	text strings.Builder
}

// shown is what a person reads of a version of a message: of its blocks, or of its
// text where there are none. The lock is held.
func (s *Server) shown(v Version) string {
	if len(v.Blocks) == 0 {
		return s.plain(v.Text)
	}
	return s.shownBlocks(v.Blocks)
}

func (s *Server) shownBlocks(blocks json.RawMessage) string {
	r := reader{s: s}
	for _, b := range parse(blocks) {
		r.read(b)
		r.line()
	}
	return strings.TrimSpace(r.text.String())
}

// line begins a new line unless one has just begun.
func (r *reader) line() {
	if t := r.text.String(); t != "" && !strings.HasSuffix(t, "\n") {
		r.text.WriteByte('\n')
	}
}

func (r *reader) read(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			r.read(item)
		}
	case object:
		r.object(v)
	}
}

func (r *reader) object(o object) {
	word := func(name string) string {
		word, _ := o[name].(string)
		return word
	}
	switch o["type"] {
	case "mrkdwn":
		r.text.WriteString(r.s.plain(word("text")))
		r.line()
	case "plain_text":
		r.text.WriteString(word("text"))
		r.line()
	case "text":
		r.text.WriteString(word("text"))
	case "link":
		r.text.WriteString(orElse(word("text"), word("url")))
	case "user":
		r.text.WriteString("@" + r.s.nameOf(word("user_id")))
	case "channel":
		r.text.WriteString(r.s.channelName(word("channel_id")))
	case "broadcast":
		r.text.WriteString("@" + word("range"))
	case "emoji":
		r.text.WriteString(":" + word("name") + ":")
	case "date":
		r.text.WriteString(orElse(word("fallback"), word("format")))
	case "static_select", "radio_buttons", "checkboxes", "plain_text_input":
		// What can be chosen is not what is said.
	default:
		for _, part := range []string{"label", "text", "fields", "elements", "element",
			"accessory", "hint"} {
			r.read(o[part])
		}
		if strings.HasPrefix(word("type"), "rich_text_") {
			r.line()
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

var markup = regexp.MustCompile(`<([^<>]*)>`)

// plain is what a person reads of a text with Slack's markup. The lock is held.
func (s *Server) plain(text string) string {
	text = markup.ReplaceAllStringFunc(text, func(found string) string {
		inside := found[1 : len(found)-1]
		what, label, _ := strings.Cut(inside, "|")
		switch {
		case strings.HasPrefix(what, "@"):
			return "@" + s.nameOf(what[1:])
		case strings.HasPrefix(what, "#"):
			return s.channelName(what[1:])
		case strings.HasPrefix(what, "!date^"):
			return label
		case strings.HasPrefix(what, "!"):
			return "@" + what[1:]
		}
		return orElse(label, what)
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

func (s *Server) nameOf(user string) string {
	if u, ok := s.users[user]; ok {
		return u.Name
	}
	return user
}

// channelName is what a channel is called. The lock is held.
func (s *Server) channelName(id string) string {
	c := s.channels[id]
	switch {
	case c == nil:
		return "#" + id
	case c.with != "":
		return "@" + s.nameOf(c.with)
	}
	return c.Name
}
