package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// snapshot is a message as it is now, for whoever holds no lock. The lock is held.
func (s *Server) snapshot(m *Message) Message {
	now := *m
	now.Shown = s.shown(m.Version)
	return now
}

func (s *Server) pick(channel string, is func(*Message) bool) []Message {
	var all []Message
	for _, m := range s.messages[channel] {
		if !m.Deleted && is(m) {
			all = append(all, s.snapshot(m))
		}
	}
	return all
}

func forAll(m *Message) bool { return m.For == "" }

// Messages are what everybody sees in a channel, in its order, answers in threads
// included. A user's id stands for their direct messages with the app.
func (s *Server) Messages(channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.users[channel]; ok {
		return s.pick(s.direct(channel).ID, forAll)
	}
	c := s.channel(channel)
	if c == nil {
		return nil
	}
	return s.pick(c.ID, forAll)
}

// DMs are the direct messages between the app and somebody, named by their id,
// name or e-mail address.
func (s *Server) DMs(user string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.user(user)
	if !ok {
		return nil
	}
	return s.pick(s.direct(u.ID).ID, forAll)
}

// Whispers are what somebody alone has been told, in any channel, in its order.
func (s *Server) Whispers(user string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.user(user)
	if !ok {
		return nil
	}
	var all []Message
	for _, id := range slices.Sorted(maps.Keys(s.messages)) {
		all = append(all, s.pick(id, func(m *Message) bool { return m.For == u.ID })...)
	}
	sortByTS(all)
	return all
}

// Modal is the modal that somebody sees; nil if they see none.
func (s *Server) Modal(user string) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, _ := s.user(user)
	stack := s.stacks[u.ID]
	if len(stack) == 0 {
		return nil
	}
	return new(s.modalNow(stack[len(stack)-1]))
}

// modalNow is a modal as it is now. The lock is held.
func (s *Server) modalNow(v *View) View {
	now := *v
	now.Errors = maps.Clone(v.Errors)
	now.Values = map[string]map[string]any{}
	for id, elements := range v.Values {
		now.Values[id] = maps.Clone(elements)
	}
	now.Shown = s.shownBlocks(v.Blocks)
	return now
}

// Options are the values that a block of a modal offers, by its id or its label.
func (v View) Options(block string) []string {
	_, e := findBlock(v.Blocks, block)
	var all []string
	for _, o := range offered(e) {
		value, _ := field(o, "value").(string)
		all = append(all, value)
	}
	return all
}

// Block is the id of the block with a label; empty if there is none.
func (v View) Block(label string) string {
	b, _ := findBlock(v.Blocks, label)
	id, _ := b["block_id"].(string)
	return id
}

// Wait waits until something holds, and looks at it anew whenever anything has
// changed in the workspace.
func (s *Server) Wait(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-s.closing.Done():
			return errors.New("the Slack stand-in has been closed")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Server) waitFor(
	ctx context.Context, where string, look func() []Message, is func(Message) bool,
) (Message, error) {
	var found Message
	err := s.Wait(ctx, func() bool {
		for _, m := range look() {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		var all []string
		for _, m := range look() {
			all = append(all, m.Shown)
		}
		err = fmt.Errorf("the message did not come to %s: %w; there is:\n%s", where, err,
			strings.Join(all, "\n--\n"))
	}
	return found, err
}

// WaitMessage waits for the first message in a channel that is as it should be. On
// failure it says what was there instead.
func (s *Server) WaitMessage(
	ctx context.Context, channel string, is func(Message) bool,
) (Message, error) {
	return s.waitFor(ctx, channel, func() []Message { return s.Messages(channel) }, is)
}

// WaitDM waits for the first direct message to somebody that is as it should be.
func (s *Server) WaitDM(
	ctx context.Context, user string, is func(Message) bool,
) (Message, error) {
	return s.waitFor(ctx, user, func() []Message { return s.DMs(user) }, is)
}

// WaitWhisper waits for the first message that somebody alone sees and that is as
// it should be.
func (s *Server) WaitWhisper(
	ctx context.Context, user string, is func(Message) bool,
) (Message, error) {
	return s.waitFor(ctx, user, func() []Message { return s.Whispers(user) }, is)
}

// WaitModal waits until somebody sees a modal that is as it should be.
func (s *Server) WaitModal(
	ctx context.Context, user string, is func(View) bool,
) (View, error) {
	var found View
	err := s.Wait(ctx, func() bool {
		v := s.Modal(user)
		if v != nil && is(*v) {
			found = *v
			return true
		}
		return false
	})
	if err != nil {
		now, _ := json.Marshal(s.Modal(user))
		err = fmt.Errorf("the modal of %s is not as expected: %w; it is %s", user, err, now)
	}
	return found, err
}

// Says holds for a message in which one reads all of these words.
func Says(words ...string) func(Message) bool {
	return func(m Message) bool {
		for _, w := range words {
			if !strings.Contains(m.Shown, w) {
				return false
			}
		}
		return true
	}
}
