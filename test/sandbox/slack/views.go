package slack

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"
)

// View is a modal as somebody sees it.
type View struct {
	ID       string
	Hash     string // changes with every change
	User     string
	Callback string
	Title    string
	Submit   string // the button's text; empty if there is none
	Close    string
	Metadata string
	Blocks   json.RawMessage
	// Values is what stands in the modal now, by block and action. A value has the
	// form that it has in a view's state.
	Values map[string]map[string]any
	// Errors stand at the blocks, by the blocks' ids.
	Errors map[string]string
	// Trouble is what Slack says on top of the modal when the app did not answer as
	// it should.
	Trouble string
	// Shown is what a person reads of it.
	Shown string

	external      string
	root, before  string
	notifyOnClose bool
	clearOnClose  bool
}

// trigger lets the app open one modal for who has just done something.
type trigger struct {
	user  string
	until time.Time
	used  bool
}

// trigger makes the id of a new trigger. The lock is held.
func (s *Server) trigger(user string) string {
	id := "13345224609." + rand.Text()[:10] + "." + rand.Text()
	s.triggers[id] = &trigger{user: user, until: s.now().Add(triggerFor)}
	return id
}

// exchange uses a trigger up, and returns who it is of. The lock is held.
func (s *Server) exchange(id string) (string, result) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return "", refuse("invalid_trigger_id")
	case t.used:
		return "", refuse("exchanged_trigger_id")
	case s.now().After(t.until):
		return "", refuse("expired_trigger_id")
	}
	t.used = true
	return t.user, nil
}

// readView reads and checks a view of the app's.
func readView(raw string) (object, result) {
	var view object
	if err := json.Unmarshal([]byte(raw), &view); err != nil {
		return nil, invalid("invalid_arguments", []string{
			"must provide an object [json-pointer:/view]"})
	}
	if len(raw) > maxView {
		return nil, refuse("view_too_large")
	}
	if problems := checkView(view); len(problems) > 0 {
		return nil, invalid("invalid_arguments", problems)
	}
	return view, nil
}

func (s *Server) openView(a args) result {
	view, refused := readView(a["view"])
	if refused != nil {
		return refused
	}
	user, refused := s.exchange(a["trigger_id"])
	if refused != nil {
		return refused
	}
	v := &View{ID: s.id("V"), User: user}
	v.root = v.ID
	s.fill(v, view)
	s.stacks[user] = []*View{v}
	s.notify()
	return result{"ok": true, "view": s.viewPayload(v)}
}

func (s *Server) pushView(a args) result {
	view, refused := readView(a["view"])
	if refused != nil {
		return refused
	}
	user, refused := s.exchange(a["trigger_id"])
	if refused != nil {
		return refused
	}
	v, refused := s.push(user, view)
	if refused != nil {
		return refused
	}
	return result{"ok": true, "view": s.viewPayload(v)}
}

// push puts a modal on top of the others. The lock is held.
func (s *Server) push(user string, view object) (*View, result) {
	stack := s.stacks[user]
	switch {
	case len(stack) == 0:
		return nil, refuse("not_found")
	case len(stack) == mostViews:
		return nil, refuse("push_limit_reached")
	}
	v := &View{ID: s.id("V"), User: user, root: stack[0].ID, before: stack[len(stack)-1].ID}
	s.fill(v, view)
	s.stacks[user] = append(stack, v)
	s.notify()
	return v, nil
}

func (s *Server) updateView(a args) result {
	view, refused := readView(a["view"])
	if refused != nil {
		return refused
	}
	v := s.view(func(v *View) bool {
		return v.ID == a["view_id"] ||
			a["view_id"] == "" && a["external_id"] != "" && v.external == a["external_id"]
	})
	switch {
	case v == nil:
		return refuse("not_found")
	case a["hash"] != "" && a["hash"] != v.Hash:
		return refuse("hash_conflict")
	}
	s.fill(v, view)
	s.notify()
	return result{"ok": true, "view": s.viewPayload(v)}
}

// view finds an open modal. The lock is held.
func (s *Server) view(is func(*View) bool) *View {
	for _, stack := range s.stacks {
		if i := slices.IndexFunc(stack, is); i >= 0 {
			return stack[i]
		}
	}
	return nil
}

// fill gives a modal the content that the app has sent. What a person has put into
// a block stays where the block and its element are still there. The lock is held.
func (s *Server) fill(v *View, view object) {
	text := func(name string) string {
		text, _ := field(view[name], "text").(string)
		return text
	}
	word := func(name string) string {
		word, _ := view[name].(string)
		return word
	}
	blocks, _ := view["blocks"].([]any)
	name(blocks)
	v.Blocks, _ = json.Marshal(blocks) // it was JSON before
	v.Title, v.Submit, v.Close = text("title"), text("submit"), text("close")
	v.Callback, v.Metadata = word("callback_id"), word("private_metadata")
	v.external = word("external_id")
	v.notifyOnClose, _ = view["notify_on_close"].(bool)
	v.clearOnClose, _ = view["clear_on_close"].(bool)
	v.Hash = s.ts() + "." + rand.Text()[:8]
	v.Errors, v.Trouble = nil, ""
	old := v.Values
	v.Values = map[string]map[string]any{}
	for _, b := range blocks {
		id, _ := field(b, "block_id").(string)
		for _, e := range elements(b) {
			action, _ := e["action_id"].(string)
			value := initialValue(e)
			if kept, ok := old[id][action]; ok && field(kept, "type") == e["type"] {
				value = kept.(object)
			}
			if value == nil {
				continue // a button has none
			}
			if v.Values[id] == nil {
				v.Values[id] = map[string]any{}
			}
			v.Values[id][action] = value
		}
	}
}

// initialValue is what stands in an element from the start, in the form that it
// has in a view's state; nil if it never holds anything.
func initialValue(e object) object {
	value := object{"type": e["type"]}
	switch e["type"] {
	case "static_select", "radio_buttons":
		value["selected_option"] = e["initial_option"]
	case "checkboxes":
		value["selected_options"] = e["initial_options"]
		if e["initial_options"] == nil {
			value["selected_options"] = []any{}
		}
	case "plain_text_input":
		value["value"] = e["initial_value"]
	default:
		return nil
	}
	return value
}

// viewPayload is a modal as the app gets to see it.
func (s *Server) viewPayload(v *View) map[string]any {
	plain := func(text string) any {
		if text == "" {
			return nil
		}
		return map[string]any{"type": "plain_text", "text": text, "emoji": true}
	}
	return map[string]any{
		"id": v.ID, "team_id": Workspace, "type": "modal", "hash": v.Hash,
		"callback_id": v.Callback, "private_metadata": v.Metadata, "external_id": v.external,
		"title": plain(v.Title), "submit": plain(v.Submit), "close": plain(v.Close),
		"blocks": v.Blocks, "state": map[string]any{"values": v.Values},
		"root_view_id": v.root, "previous_view_id": v.before, "app_id": AppID, "bot_id": BotID,
		"app_installed_team_id": Workspace, "notify_on_close": v.notifyOnClose,
		"clear_on_close": v.clearOnClose,
	}
}

// closeView takes a modal away, and those on top of it. The lock is held.
func (s *Server) closeView(v *View) {
	stack := s.stacks[v.User]
	if i := slices.Index(stack, v); i >= 0 {
		s.stacks[v.User] = stack[:i]
		s.notify()
	}
}
