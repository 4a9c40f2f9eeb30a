package slack

import (
	"encoding/json"
	"slices"
	"strings"
)

// maxText is the longest text of a message, in characters.
const maxText = 40_000

// Version is what a message says at a time.
type Version struct {
	Text   string
	Blocks json.RawMessage // an array of blocks; empty if there are none
}

// Message is a message as it is now, and as it was.
type Message struct {
	Version
	Channel string // its id
	TS      string
	// Thread is the TS of the message that this one answers.
	Thread string
	// Broadcast is an answer in a thread that the channel sees as well.
	Broadcast bool
	User      string // who has said it
	// For is who alone sees it; empty if everybody does.
	For     string
	Edited  string // the TS of the last change
	Deleted bool
	// History is what it said before each change, the oldest first.
	History []Version
	// Shown is what a person reads of it now.
	Shown string
}

// content reads text and blocks from the arguments of a call.
func content(a args) (Version, result) {
	v := Version{Text: a["text"]}
	if a["blocks"] != "" {
		var refused result
		if v.Blocks, refused = checkedBlocks(json.RawMessage(a["blocks"])); refused != nil {
			return v, refused
		}
	}
	if strings.TrimSpace(v.Text) == "" && len(v.Blocks) == 0 {
		return v, refuse("no_text")
	}
	if length(v.Text) > maxText {
		return v, refuse("msg_too_long")
	}
	return v, nil
}

// checkedBlocks are the blocks of a message, with an id each, unless Slack refuses
// them.
func checkedBlocks(raw json.RawMessage) (json.RawMessage, result) {
	var blocks []any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, refuse("invalid_blocks_format")
	}
	if problems := checkMessage(blocks); len(problems) > 0 {
		return nil, invalid("invalid_blocks", problems)
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	name(blocks)
	encoded, err := json.Marshal(blocks)
	if err != nil {
		return nil, refuse("invalid_blocks_format")
	}
	return encoded, nil
}

// place is the channel that a call is about: its id or its name, or a user's id
// for the direct messages with them.
func (s *Server) place(to string) (*Channel, result) {
	if u, ok := s.users[to]; ok {
		if u.Bot {
			return nil, refuse("cannot_dm_bot")
		}
		return s.direct(to), nil
	}
	c := s.channel(to)
	switch {
	case to == "" || c == nil || c.Private:
		return nil, refuse("channel_not_found")
	case c.Archived:
		return nil, refuse("is_archived")
	case c.with == "" && !s.scopes["chat:write.public"]:
		return nil, refuse("not_in_channel") // nobody has invited the app
	}
	return c, nil
}

func (s *Server) postMessage(a args) result {
	c, refused := s.place(a["channel"])
	if refused != nil {
		return refused
	}
	v, refused := content(a)
	if refused != nil {
		return refused
	}
	m := &Message{Version: v, Channel: c.ID, User: BotUser, Thread: a["thread_ts"]}
	if m.Thread != "" {
		root := s.find(c.ID, m.Thread)
		if root == nil || root.For != "" {
			return refuse("thread_not_found")
		}
		m.Broadcast = a["reply_broadcast"] == "true"
	}
	s.add(m)
	return result{"ok": true, "channel": c.ID, "ts": m.TS, "message": s.payload(m)}
}

func (s *Server) postEphemeral(a args) result {
	c, refused := s.place(a["channel"])
	if refused != nil {
		return refused
	}
	if u, ok := s.users[a["user"]]; !ok || !c.visible(u.ID) {
		return refuse("user_not_in_channel")
	}
	v, refused := content(a)
	if refused != nil {
		return refused
	}
	m := &Message{
		Version: v, Channel: c.ID, User: BotUser, Thread: a["thread_ts"], For: a["user"],
	}
	s.add(m)
	return result{"ok": true, "message_ts": m.TS}
}

// updateMessage changes a message of the app's. It takes a channel's id alone, and
// without blocks those that were there are gone.
func (s *Server) updateMessage(a args) result {
	c := s.channels[a["channel"]]
	if c == nil || c.Private {
		return refuse("channel_not_found")
	}
	m := s.find(c.ID, a["ts"])
	switch {
	case m == nil || m.For != "":
		return refuse("message_not_found")
	case m.User != BotUser:
		return refuse("cant_update_message")
	case c.Archived:
		return refuse("is_archived")
	}
	v, refused := content(a)
	if refused != nil {
		return refused
	}
	s.change(m, v)
	return result{
		"ok": true, "channel": c.ID, "ts": m.TS, "text": v.Text, "message": s.payload(m),
	}
}

// permalink is the address of a message. It opens the page here.
func (s *Server) permalink(a args) result {
	m := s.find(a["channel"], a["message_ts"])
	if m == nil || m.For != "" {
		return refuse("message_not_found")
	}
	return result{
		"ok": true, "channel": m.Channel,
		"permalink": s.URL() + "/archives/" + m.Channel + "/p" + strings.ReplaceAll(m.TS, ".", ""),
	}
}

// add puts a message into its channel. The lock is held.
func (s *Server) add(m *Message) {
	m.TS = s.ts()
	s.messages[m.Channel] = append(s.messages[m.Channel], m)
	s.notify()
}

// change gives a message new content. The lock is held.
func (s *Server) change(m *Message, v Version) {
	m.History = append(m.History, m.Version)
	m.Version, m.Edited = v, s.ts()
	s.notify()
}

func sortByTS(all []Message) {
	slices.SortStableFunc(all, func(a, b Message) int { return strings.Compare(a.TS, b.TS) })
}

// find finds a message by its TS; nil if it is not there, or not any more. The
// lock is held.
func (s *Server) find(channel, ts string) *Message {
	i := slices.IndexFunc(s.messages[channel], func(m *Message) bool {
		return m.TS == ts && !m.Deleted
	})
	if i < 0 {
		return nil
	}
	return s.messages[channel][i]
}

// payload is a message as the app gets to see it.
func (s *Server) payload(m *Message) map[string]any {
	p := map[string]any{
		"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": Workspace,
	}
	if m.User == BotUser {
		p["bot_id"], p["app_id"] = BotID, AppID
	}
	if len(m.Blocks) > 0 {
		p["blocks"] = m.Blocks
	}
	if m.Thread != "" {
		p["thread_ts"] = m.Thread
	}
	if m.Edited != "" {
		p["edited"] = map[string]any{"user": m.User, "ts": m.Edited}
	}
	return p
}
