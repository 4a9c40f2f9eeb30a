package slack

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf16"
)

// Slack's limits, in characters or in number.
// See https://docs.slack.dev/reference/block-kit and https://docs.slack.dev/reference/views.
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxID            = 255
	maxTextObject    = 3000
	maxHeader        = 150
	maxFields        = 10
	maxField         = 2000
	maxContext       = 10
	maxActions       = 25
	maxLabel         = 2000
	maxPlaceholder   = 150
	maxOptions       = 100
	maxChoices       = 10 // checkboxes and radio buttons
	maxOptionText    = 75
	maxOptionValue   = 150
	maxButtonText    = 75
	maxButtonValue   = 2000
	maxURL           = 3000
	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmButton = 30
	maxInput         = 3000
	maxViewTitle     = 24
	maxMetadata      = 3000
	maxView          = 250_000 // bytes
)

type object = map[string]any

// length is how long a text is to Slack: in UTF-16, which is the strictest reading
// of what it calls characters.
func length(text string) int { return len(utf16.Encode([]rune(text))) }

// checker finds what Slack would refuse, and says it in Slack's words.
type checker struct {
	problems []string
	blockIDs map[string]bool
	modal    bool // what is checked is a modal, which may have inputs
}

// checkMessage checks the blocks of a message.
func checkMessage(blocks []any) []string {
	c := checker{blockIDs: map[string]bool{}}
	c.blocks(blocks, "/blocks", maxMessageBlocks)
	return c.problems
}

// checkView checks a modal.
func checkView(view object) []string {
	c := checker{blockIDs: map[string]bool{}, modal: true}
	if view["type"] != "modal" {
		c.problem("/view/type", "must be a valid enum value")
	}
	c.text(view["title"], "/view/title", maxViewTitle, plainOnly)
	for _, name := range []string{"submit", "close"} {
		if view[name] != nil {
			c.text(view[name], "/view/"+name, maxViewTitle, plainOnly)
		}
	}
	c.string(view["private_metadata"], "/view/private_metadata", 0, maxMetadata)
	c.string(view["callback_id"], "/view/callback_id", 0, maxID)
	c.string(view["external_id"], "/view/external_id", 0, maxID)
	blocks, ok := view["blocks"].([]any)
	if !ok {
		c.problem("/view", "missing required field: blocks")
		return c.problems
	}
	c.blocks(blocks, "/view/blocks", maxViewBlocks)
	if view["submit"] == nil && slices.ContainsFunc(blocks, isInput) {
		c.problem("/view", "missing required field: submit")
	}
	return c.problems
}

func isInput(block any) bool { return field(block, "type") == "input" }

func (c *checker) problem(pointer, format string, values ...any) {
	c.problems = append(c.problems,
		fmt.Sprintf(format, values...)+" [json-pointer:"+pointer+"]")
}

func (c *checker) blocks(blocks []any, pointer string, most int) {
	c.count(len(blocks), pointer, 0, most)
	for i, b := range blocks {
		c.block(b, fmt.Sprintf("%s/%d", pointer, i))
	}
}

func (c *checker) count(n int, pointer string, least, most int) {
	if n > most {
		c.problem(pointer, "no more than %d items allowed", most)
	}
	if n < least {
		c.problem(pointer, "no fewer than %d items allowed", least)
	}
}

func (c *checker) block(block any, pointer string) {
	b, ok := block.(object)
	if !ok {
		c.problem(pointer, "must provide an object")
		return
	}
	c.string(b["block_id"], pointer+"/block_id", 0, maxID)
	if id, _ := b["block_id"].(string); id != "" {
		if c.blockIDs[id] {
			c.problem(pointer+"/block_id", "`block_id` already exists for another block")
		}
		c.blockIDs[id] = true
	}
	actions := map[string]bool{} // unique in a block
	switch b["type"] {
	case "divider":
	case "header":
		c.text(b["text"], pointer+"/text", maxHeader, plainOnly)
	case "section":
		c.section(b, pointer, actions)
	case "context":
		for i, e := range c.items(b["elements"], pointer+"/elements", 1, maxContext) {
			c.text(e, fmt.Sprintf("%s/elements/%d", pointer, i), maxTextObject, anyText)
		}
	case "actions":
		for i, e := range c.items(b["elements"], pointer+"/elements", 1, maxActions) {
			c.element(e, fmt.Sprintf("%s/elements/%d", pointer, i), actions, "button")
		}
	case "input":
		if !c.modal {
			c.problem(pointer+"/type", "unsupported type: input")
		}
		c.text(b["label"], pointer+"/label", maxLabel, plainOnly)
		if b["hint"] != nil {
			c.text(b["hint"], pointer+"/hint", maxLabel, plainOnly)
		}
		c.element(b["element"], pointer+"/element", actions,
			"plain_text_input", "static_select", "checkboxes", "radio_buttons")
	case "rich_text":
		for i, e := range c.items(b["elements"], pointer+"/elements", 0, maxTextObject) {
			c.rich(e, fmt.Sprintf("%s/elements/%d", pointer, i))
		}
	default:
		c.problem(pointer+"/type", "unsupported type: %v", b["type"])
	}
}

func (c *checker) section(b object, pointer string, actions map[string]bool) {
	if b["text"] == nil && b["fields"] == nil {
		c.problem(pointer, "missing required field: text")
	}
	if b["text"] != nil {
		c.text(b["text"], pointer+"/text", maxTextObject, anyText)
	}
	if b["fields"] != nil {
		for i, f := range c.items(b["fields"], pointer+"/fields", 1, maxFields) {
			c.text(f, fmt.Sprintf("%s/fields/%d", pointer, i), maxField, anyText)
		}
	}
	if b["accessory"] != nil {
		c.element(b["accessory"], pointer+"/accessory", actions, "button")
	}
}

func (c *checker) items(list any, pointer string, least, most int) []any {
	items, ok := list.([]any)
	if !ok {
		c.problem(pointer, "must provide an array")
		return nil
	}
	c.count(len(items), pointer, least, most)
	return items
}

// string checks a text that may be absent.
func (c *checker) string(value any, pointer string, least, most int) {
	if value == nil {
		if least > 0 {
			c.problem(pointer, "missing required field")
		}
		return
	}
	text, ok := value.(string)
	switch n := length(text); {
	case !ok:
		c.problem(pointer, "must be a string")
	case n > most:
		c.problem(pointer, "must be less than %d characters", most+1)
	case n < least:
		c.problem(pointer, "must be more than %d characters", least-1)
	}
}

var (
	plainOnly = []string{"plain_text"}
	anyText   = []string{"plain_text", "mrkdwn"}
)

func (c *checker) text(value any, pointer string, most int, types []string) {
	t, ok := value.(object)
	if !ok {
		c.problem(pointer, "missing required field")
		return
	}
	if kind, _ := t["type"].(string); !slices.Contains(types, kind) {
		c.problem(pointer+"/type", "unsupported type: %v", t["type"])
	}
	c.string(t["text"], pointer+"/text", 1, most)
}

func (c *checker) element(
	value any, pointer string, actions map[string]bool, allowed ...string,
) {
	e, ok := value.(object)
	if !ok {
		c.problem(pointer, "must provide an object")
		return
	}
	kind, _ := e["type"].(string)
	if !slices.Contains(allowed, kind) {
		c.problem(pointer+"/type", "unsupported type: %s", kind)
		return
	}
	c.string(e["action_id"], pointer+"/action_id", 0, maxID)
	if id, _ := e["action_id"].(string); id != "" {
		if actions[id] {
			c.problem(pointer+"/action_id", "`action_id` already exists for another element")
		}
		actions[id] = true
	}
	if e["placeholder"] != nil {
		c.text(e["placeholder"], pointer+"/placeholder", maxPlaceholder, plainOnly)
	}
	if e["confirm"] != nil {
		c.confirm(e["confirm"], pointer+"/confirm")
	}
	switch kind {
	case "button":
		c.text(e["text"], pointer+"/text", maxButtonText, plainOnly)
		c.string(e["value"], pointer+"/value", 0, maxButtonValue)
		c.string(e["url"], pointer+"/url", 0, maxURL)
		if s := e["style"]; s != nil && s != "primary" && s != "danger" {
			c.problem(pointer+"/style", "must be a valid enum value")
		}
	case "static_select":
		c.choices(e, pointer, maxOptions)
		c.initial(e, pointer, "initial_option")
	case "radio_buttons":
		c.choices(e, pointer, maxChoices)
		c.initial(e, pointer, "initial_option")
	case "checkboxes":
		c.choices(e, pointer, maxChoices)
		c.initial(e, pointer, "initial_options")
	case "plain_text_input":
		c.string(e["initial_value"], pointer+"/initial_value", 0, maxInput)
		for _, name := range []string{"min_length", "max_length"} {
			if n, ok := e[name].(float64); e[name] != nil && (!ok || n < 0 || n > maxInput) {
				c.problem(pointer+"/"+name, "must be between 0 and %d", maxInput)
			}
		}
	}
}

func (c *checker) confirm(value any, pointer string) {
	dialog, ok := value.(object)
	if !ok {
		c.problem(pointer, "must provide an object")
		return
	}
	c.text(dialog["title"], pointer+"/title", maxConfirmTitle, plainOnly)
	c.text(dialog["text"], pointer+"/text", maxConfirmText, anyText)
	c.text(dialog["confirm"], pointer+"/confirm", maxConfirmButton, plainOnly)
	c.text(dialog["deny"], pointer+"/deny", maxConfirmButton, plainOnly)
}

// choices checks the options of an element, alone or in groups.
func (c *checker) choices(e object, pointer string, most int) {
	if e["option_groups"] == nil {
		c.options(e["options"], pointer+"/options", most)
		return
	}
	if e["options"] != nil {
		c.problem(pointer, "must have either options or option_groups")
	}
	for i, g := range c.items(e["option_groups"], pointer+"/option_groups", 1, most) {
		at := fmt.Sprintf("%s/option_groups/%d", pointer, i)
		c.text(field(g, "label"), at+"/label", maxOptionText, plainOnly)
		c.options(field(g, "options"), at+"/options", most)
	}
}

func (c *checker) options(list any, pointer string, most int) {
	for i, o := range c.items(list, pointer, 1, most) {
		at := fmt.Sprintf("%s/%d", pointer, i)
		c.text(field(o, "text"), at+"/text", maxOptionText, anyText)
		c.string(field(o, "value"), at+"/value", 1, maxOptionValue)
		if d := field(o, "description"); d != nil {
			c.text(d, at+"/description", maxOptionText, anyText)
		}
	}
}

// initial checks that what is chosen from the start is offered.
func (c *checker) initial(e object, pointer, name string) {
	chosen, isList := e[name].([]any)
	if !isList && e[name] != nil {
		chosen = []any{e[name]}
	}
	for _, option := range chosen {
		if !slices.ContainsFunc(offered(e), func(o any) bool {
			return reflect.DeepEqual(o, option)
		}) {
			c.problem(pointer+"/"+name, "must match one of the provided options")
		}
	}
}

// rich checks the parts of rich text.
func (c *checker) rich(value any, pointer string) {
	e, ok := value.(object)
	if !ok {
		c.problem(pointer, "must provide an object")
		return
	}
	var inner func(any, string)
	switch e["type"] {
	case "rich_text_section", "rich_text_quote", "rich_text_preformatted":
		inner = c.richInline
	case "rich_text_list":
		inner = c.rich
		if e["style"] != "bullet" && e["style"] != "ordered" {
			c.problem(pointer+"/style", "must be a valid enum value")
		}
	default:
		c.problem(pointer+"/type", "unsupported type: %v", e["type"])
		return
	}
	for i, item := range c.items(e["elements"], pointer+"/elements", 0, maxTextObject) {
		inner(item, fmt.Sprintf("%s/elements/%d", pointer, i))
	}
}

func (c *checker) richInline(value any, pointer string) {
	e, _ := value.(object)
	need := map[string]string{
		"text": "text", "link": "url", "user": "user_id", "channel": "channel_id",
		"emoji": "name", "broadcast": "range", "date": "format",
	}
	kind, _ := e["type"].(string)
	name, known := need[kind]
	if !known {
		c.problem(pointer+"/type", "unsupported type: %s", kind)
		return
	}
	if text, _ := e[name].(string); text == "" {
		c.problem(pointer+"/"+name, "must be more than 0 characters")
	}
	if _, ok := e["timestamp"].(float64); kind == "date" && !ok {
		c.problem(pointer+"/timestamp", "missing required field: timestamp")
	}
}

// field is a member of what may be an object.
func field(of any, name string) any {
	o, _ := of.(object)
	return o[name]
}

// offered are the options of an element, also those in groups.
func offered(e object) []any {
	all, _ := e["options"].([]any)
	groups, _ := e["option_groups"].([]any)
	for _, g := range groups {
		options, _ := field(g, "options").([]any)
		all = append(slices.Clone(all), options...)
	}
	return all
}

// elements are those of a block that a person can use.
func elements(block any) []object {
	var all []object
	add := func(v any) {
		if e, ok := v.(object); ok && e["type"] != "mrkdwn" && e["type"] != "plain_text" {
			all = append(all, e)
		}
	}
	switch field(block, "type") {
	case "actions":
		list, _ := field(block, "elements").([]any)
		for _, e := range list {
			add(e)
		}
	case "input":
		add(field(block, "element"))
	case "section":
		add(field(block, "accessory"))
	}
	return all
}

// name gives an id to every block and every element that has none, as Slack does.
func name(blocks []any) {
	for _, b := range blocks {
		block := b.(object)
		if id, _ := block["block_id"].(string); id == "" {
			block["block_id"] = rand.Text()[:5]
		}
		for _, e := range elements(b) {
			if id, _ := e["action_id"].(string); id == "" {
				e["action_id"] = rand.Text()[:5]
			}
		}
	}
}

// parse reads blocks that have been checked.
func parse(raw json.RawMessage) []any {
	var blocks []any
	_ = json.Unmarshal(raw, &blocks) // an empty one has none
	return blocks
}
