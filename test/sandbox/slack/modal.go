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

// What Slack itself says in a modal.
const (
	required = "Please complete this required field."
	trouble  = "We had some trouble connecting. Try again?"
)

func asAppError(err error) (*AppError, bool) { return errors.AsType[*AppError](err) }

// Unchecked submits what Slack's own form would not let through: an empty field
// that has to be filled, a text that is too long, a choice that is not offered.
// It goes for [Person.Submit] and [Person.Choose].
func Unchecked() Tamper { return func(t *tampering) { t.unchecked = true } }

func unchecked(tampers []Tamper) bool {
	var t tampering
	for _, tamper := range tampers {
		tamper(&t)
	}
	return t.unchecked
}

// open finds somebody's modal as it is now. The lock is held.
func (p Person) open(v View) (User, *View, error) {
	u, ok := p.server.user(p.who)
	if !ok {
		return u, nil, fmt.Errorf("there is nobody %q in the workspace", p.who)
	}
	i := slices.IndexFunc(p.server.stacks[u.ID], func(other *View) bool {
		return other.ID == v.ID
	})
	if i < 0 {
		return u, nil, fmt.Errorf("%s has no such modal open any more: %s", u.Name, v.Title)
	}
	return u, p.server.stacks[u.ID][i], nil
}

// Choose puts a value into a block of a modal, which is named by its id or by its
// label, and tells the app where the block says so. A button is chosen with "".
func (p Person) Choose(
	ctx context.Context, v View, block string, value any, tampers ...Tamper,
) error {
	s := p.server
	s.mu.Lock()
	u, now, err := p.open(v)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	b, e := findBlock(now.Blocks, block)
	if e == nil {
		s.mu.Unlock()
		return fmt.Errorf("the modal %q has no block %q", v.Title, block)
	}
	if err := s.put(now, b, e, value, unchecked(tampers)); err != nil {
		s.mu.Unlock()
		return err
	}
	s.notify()
	if dispatch, _ := b["dispatch_action"].(bool); !dispatch && b["type"] == "input" {
		s.mu.Unlock()
		return nil
	}
	id, action := b["block_id"].(string), e["action_id"].(string)
	chosen, _ := now.Values[id][action].(object)
	payload := s.interaction("block_actions", u)
	payload["container"] = map[string]any{"type": "view", "view_id": now.ID}
	payload["trigger_id"] = s.trigger(u.ID)
	payload["view"] = s.viewPayload(now)
	payload["actions"] = []any{s.action(b, e, chosen)}
	to := s.interactionsURL
	encoded, err := json.Marshal(payload)
	s.mu.Unlock()
	if err == nil {
		_, err = s.interact(ctx, to, encoded, tampers)
	}
	if err != nil {
		s.inTrouble(p, v)
	}
	return err
}

// Submit puts values into a modal and submits it. The values go by the blocks' ids
// or labels: a string for a text or a choice, which is named by its value or its
// text, and strings for checkboxes. What is not named stays as it is.
//
// It answers the errors that stand in the modal afterwards, by the blocks' ids;
// without any the modal is closed or has changed.
func (p Person) Submit(
	ctx context.Context, v View, values map[string]any, tampers ...Tamper,
) (map[string]string, error) {
	s := p.server
	s.mu.Lock()
	u, now, err := p.open(v)
	if err == nil {
		err = s.putAll(now, values, unchecked(tampers))
	}
	if err == nil && now.Submit == "" {
		err = fmt.Errorf("the modal %q cannot be submitted", v.Title)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	now.Errors, now.Trouble = nil, ""
	if errs := incomplete(now); len(errs) > 0 && !unchecked(tampers) {
		now.Errors = errs
		s.notify()
		s.mu.Unlock()
		return errs, nil
	}
	payload := s.interaction("view_submission", u)
	payload["trigger_id"] = s.trigger(u.ID)
	payload["view"] = s.viewPayload(now)
	payload["response_urls"] = []any{}
	to := s.interactionsURL
	encoded, err := json.Marshal(payload)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	answered, err := s.interact(ctx, to, encoded, tampers)
	if err != nil {
		s.inTrouble(p, v)
		return nil, err
	}
	s.mu.Lock()
	_, now, gone := p.open(v)
	if gone != nil {
		s.mu.Unlock()
		return nil, nil // the app's doing, by views.open
	}
	err = s.obey(now, answered)
	errs := maps.Clone(now.Errors)
	s.notify()
	s.mu.Unlock()
	if err != nil {
		s.inTrouble(p, v)
	}
	return errs, err
}

// obey does what the app answers to a modal that was submitted. The lock is held.
func (s *Server) obey(v *View, answered []byte) error {
	if strings.TrimSpace(string(answered)) == "" {
		s.closeView(v)
		return nil
	}
	wrong := func(why string) error {
		return &AppError{
			Code: "invalid_response", Status: 200, Answer: why + ": " + string(answered),
		}
	}
	var said struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if err := json.Unmarshal(answered, &said); err != nil {
		return wrong("it is no JSON")
	}
	switch said.Action {
	case "":
		s.closeView(v)
	case "clear":
		delete(s.stacks, v.User)
	case "errors":
		if len(said.Errors) == 0 {
			return wrong("it has no errors in it")
		}
		for id := range said.Errors {
			if b, _ := findBlock(v.Blocks, id); b["block_id"] != id || b["type"] != "input" {
				return wrong("there is no input block " + id)
			}
		}
		v.Errors = said.Errors
	case "update", "push":
		view, refused := readView(string(said.View))
		if refused == nil && said.Action == "push" {
			_, refused = s.push(v.User, view)
		} else if refused == nil {
			s.fill(v, view)
		}
		if refused != nil {
			why, _ := json.Marshal(refused)
			return wrong(string(why))
		}
	default:
		return wrong("there is no such response_action")
	}
	return nil
}

// Dismiss closes a modal without submitting it.
func (p Person) Dismiss(ctx context.Context, v View, tampers ...Tamper) error {
	s := p.server
	s.mu.Lock()
	u, now, err := p.open(v)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	payload := s.interaction("view_closed", u)
	payload["view"], payload["is_cleared"] = s.viewPayload(now), now.clearOnClose
	encoded, err := json.Marshal(payload)
	to, tell := s.interactionsURL, now.notifyOnClose
	if now.clearOnClose {
		delete(s.stacks, u.ID)
		s.notify()
	} else {
		s.closeView(now)
	}
	s.mu.Unlock()
	if err != nil || !tell {
		return err
	}
	_, err = s.interact(ctx, to, encoded, tampers)
	return err
}

// inTrouble shows in a modal that the app did not answer as it should.
func (s *Server) inTrouble(p Person, v View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, now, err := p.open(v); err == nil {
		now.Trouble = trouble
		s.notify()
	}
}

// findBlock finds a block and its element by the block's id or its label.
func findBlock(blocks json.RawMessage, which string) (block, e object) {
	block, e = findElement(blocks, func(b, _ object) bool { return b["block_id"] == which })
	if e != nil {
		return block, e
	}
	return findElement(blocks, func(b, _ object) bool {
		label, _ := field(b["label"], "text").(string)
		return label != "" && strings.EqualFold(label, which)
	})
}

func (s *Server) putAll(v *View, values map[string]any, anything bool) error {
	for which, value := range values {
		b, e := findBlock(v.Blocks, which)
		if e == nil {
			return fmt.Errorf("the modal %q has no block %q", v.Title, which)
		}
		if err := s.put(v, b, e, value, anything); err != nil {
			return err
		}
	}
	return nil
}

// put puts a value into an element. The lock is held.
func (s *Server) put(v *View, block, e object, value any, anything bool) error {
	if e["type"] == "button" {
		return nil
	}
	holds := object{"type": e["type"]}
	switch e["type"] {
	case "plain_text_input":
		holds["value"] = nil
		if value != nil && value != "" {
			holds["value"] = value
		}
	case "static_select", "radio_buttons":
		option, err := choose(e, value, anything)
		if err != nil {
			return err
		}
		holds["selected_option"] = option
	case "checkboxes":
		options := []any{}
		for _, one := range several(value) {
			option, err := choose(e, one, anything)
			if err != nil {
				return err
			}
			options = append(options, option)
		}
		holds["selected_options"] = options
	}
	id, action := block["block_id"].(string), e["action_id"].(string)
	if v.Values[id] == nil {
		v.Values[id] = map[string]any{}
	}
	v.Values[id][action] = holds
	return nil
}

func several(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	case []string:
		var all []any
		for _, one := range v {
			all = append(all, one)
		}
		return all
	}
	return []any{value}
}

// choose finds the option of an element that a value or a text stands for; nothing
// chosen is nil.
func choose(e object, value any, anything bool) (any, error) {
	if value == nil || value == "" {
		return nil, nil
	}
	for _, o := range offered(e) {
		if field(o, "value") == value {
			return o, nil
		}
	}
	var texts []string
	for _, o := range offered(e) {
		text := field(field(o, "text"), "text")
		if text == value {
			return o, nil
		}
		texts = append(texts, fmt.Sprint(text))
	}
	if anything {
		return object{"value": value, "text": object{"type": "plain_text", "text": value}}, nil
	}
	return nil, fmt.Errorf("%q is not offered, but %s", value, strings.Join(texts, ", "))
}

// incomplete is what Slack's own form says before the app is asked.
func incomplete(v *View) map[string]string {
	errs := map[string]string{}
	for _, b := range parse(v.Blocks) {
		if !isInput(b) {
			continue
		}
		id := field(b, "block_id").(string)
		e := elements(b)[0]
		holds, _ := v.Values[id][e["action_id"].(string)].(object)
		optional, _ := field(b, "optional").(bool)
		text, _ := holds["value"].(string)
		chosen, _ := holds["selected_options"].([]any)
		most, hasMost := e["max_length"].(float64)
		least, _ := e["min_length"].(float64)
		switch empty := text == "" && holds["selected_option"] == nil && len(chosen) == 0; {
		case empty && !optional:
			errs[id] = required
		case hasMost && length(text) > int(most):
			errs[id] = fmt.Sprintf("This is longer than %d characters.", int(most))
		case !empty && length(text) < int(least):
			errs[id] = fmt.Sprintf("This is shorter than %d characters.", int(least))
		}
	}
	return errs
}
