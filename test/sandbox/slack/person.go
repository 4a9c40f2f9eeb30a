package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
)

// Person acts in the workspace as one of its people.
type Person struct {
	server  *Server
	who     string
	channel string
}

// As is somebody, by their id, name or e-mail address. They give their commands in
// [General]; see [Person.In].
func (s *Server) As(who string) Person { return Person{server: s, who: who, channel: General} }

// In is the same person looking at another channel. The name of the app's user is
// their direct messages with the app.
func (p Person) In(channel string) Person {
	p.channel = channel
	return p
}

// here is who acts, and where. The lock is held.
func (p Person) here() (User, *Channel, error) {
	u, ok := p.server.user(p.who)
	if !ok {
		return u, nil, fmt.Errorf("there is nobody %q in the workspace", p.who)
	}
	c := p.server.channel(p.channel)
	if p.channel == BotUser {
		c = p.server.direct(u.ID)
	}
	if c == nil || !c.visible(u.ID) {
		return u, nil, fmt.Errorf("%s sees no channel %q", u.Name, p.channel)
	}
	return u, c, nil
}

// Command gives a command as it is typed, such as "/sym req". It answers what the
// app said to it, which is nil if that was nothing. An app that fails is an
// [AppError], and a sentence of Slack's in the channel.
func (p Person) Command(ctx context.Context, line string, tampers ...Tamper) (*Message, error) {
	s := p.server
	s.mu.Lock()
	u, c, err := p.here()
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	command, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	if command != Command || !s.scopes["commands"] {
		s.whisper(u.ID, c.ID, "`"+escape(command)+"` is not a valid command.")
		s.mu.Unlock()
		return nil, fmt.Errorf("%q is not a command of this workspace", command)
	}
	name := strings.TrimPrefix(c.Name, "#")
	if c.with != "" {
		name = "directmessage"
	}
	form := url.Values{
		"team_id": {Workspace}, "team_domain": {workspaceDomain},
		"channel_id": {c.ID}, "channel_name": {name},
		"user_id": {u.ID}, "user_name": {u.Name}, "command": {command},
		"text": {strings.TrimSpace(text)}, "api_app_id": {AppID},
		"is_enterprise_install": {"false"}, "trigger_id": {s.trigger(u.ID)},
		"response_url": {s.responseURL(u.ID, c.ID, nil)},
	}
	to := s.commandsURL
	s.mu.Unlock()
	answered, err := s.Post(ctx, to, form, tampers...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		var m *Message
		if m, err = s.answered(answered, u.ID, c.ID); err == nil {
			return m, nil
		}
	}
	code := "dispatch_failed"
	if failed, ok := asAppError(err); ok {
		code = failed.Code
	}
	s.whisper(u.ID, c.ID, command+" failed with the error “"+code+"”")
	return nil, err
}

// answered shows what the app answered to a command. The lock is held.
func (s *Server) answered(body []byte, user, channel string) (*Message, error) {
	text := strings.TrimSpace(string(body))
	if text == "" {
		return nil, nil
	}
	said := spoken{Text: text}
	if strings.HasPrefix(text, "{") {
		said = spoken{}
		if err := json.Unmarshal(body, &said); err != nil {
			return nil, &AppError{Code: "invalid_command_response", Status: 200, Answer: text}
		}
		if said.Text == "" && len(said.Blocks) == 0 {
			return nil, nil
		}
	}
	if refused := s.say(said, user, channel); refused != nil {
		why, _ := json.Marshal(refused)
		return nil, &AppError{
			Code: "invalid_command_response", Status: 200, Answer: string(why) + " for " + text,
		}
	}
	all := s.messages[channel]
	return new(s.snapshot(all[len(all)-1])), nil
}

// whisper is what Slack itself says to one person. The lock is held.
func (s *Server) whisper(user, channel, text string) {
	s.add(&Message{Version: Version{Text: text}, Channel: channel, User: slackbot, For: user})
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// Say posts what somebody writes, as plain words.
func (p Person) Say(text string) error {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	u, c, err := p.here()
	if err != nil {
		return err
	}
	p.server.add(&Message{Version: Version{Text: escape(text)}, Channel: c.ID, User: u.ID})
	return nil
}

// Click clicks a button of a message, and says yes where it asks first. The button
// may be one that the message had before it was changed, as on a screen that was
// not redrawn in time.
func (p Person) Click(ctx context.Context, m Message, action string, tampers ...Tamper) error {
	s := p.server
	s.mu.Lock()
	p.channel = m.Channel
	u, c, err := p.here()
	if err != nil {
		s.mu.Unlock()
		return err
	}
	block, button := findElement(m.Blocks, func(_, e object) bool {
		return e["type"] == "button" && e["action_id"] == action
	})
	now := s.find(m.Channel, m.TS)
	if button == nil || now == nil {
		s.mu.Unlock()
		return fmt.Errorf("the message has no button %q: %s", action, m.Shown)
	}
	payload := s.interaction("block_actions", u)
	payload["container"] = map[string]any{
		"type": "message", "message_ts": m.TS, "channel_id": c.ID,
		"is_ephemeral": m.For != "",
	}
	payload["channel"] = map[string]any{
		"id": c.ID, "name": strings.TrimPrefix(c.Name, "#"),
	}
	payload["trigger_id"] = s.trigger(u.ID)
	payload["response_url"] = s.responseURL(u.ID, c.ID, now)
	payload["state"] = map[string]any{"values": map[string]any{}}
	if m.For == "" { // the app never gets to see an ephemeral message again
		payload["message"] = s.payload(now)
	}
	payload["actions"] = []any{s.action(block, button, nil)}
	to := s.interactionsURL
	encoded, err := json.Marshal(payload)
	s.mu.Unlock()
	if err == nil {
		_, err = s.interact(ctx, to, encoded, tampers)
	}
	return err
}

// interaction is what the payload of every interaction begins with. The lock is
// held.
func (s *Server) interaction(kind string, u User) map[string]any {
	return map[string]any{
		"type": kind, "api_app_id": AppID, "is_enterprise_install": false, "enterprise": nil,
		"team": map[string]any{"id": Workspace, "domain": workspaceDomain},
		"user": map[string]any{
			"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.Team,
		},
	}
}

// action is what was done with an element, and what stands in it then. The lock is
// held.
func (s *Server) action(block, element, value object) map[string]any {
	a := map[string]any{
		"block_id": block["block_id"], "action_ts": s.ts(),
	}
	for _, name := range []string{"type", "action_id", "text", "value", "style", "confirm"} {
		if element[name] != nil {
			a[name] = element[name]
		}
	}
	maps.Copy(a, value)
	return a
}

// interact sends an interaction to the app. It is encoded already, since what it is
// made from changes as soon as the lock is let go.
func (s *Server) interact(
	ctx context.Context, to string, payload []byte, tampers []Tamper,
) ([]byte, error) {
	return s.Post(ctx, to, url.Values{"payload": {string(payload)}}, tampers...)
}

// findElement finds an element in blocks.
func findElement(blocks json.RawMessage, is func(block, e object) bool) (block, e object) {
	for _, b := range parse(blocks) {
		for _, e := range elements(b) {
			if is(b.(object), e) {
				return b.(object), e
			}
		}
	}
	return nil, nil
}
