package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLimits holds what Slack refuses against what it takes: each block is put one
// step over the limit.
func TestLimits(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	text := func(n int) string { return fmt.Sprintf(`{"type":"plain_text","text":"%s"}`, x(n)) }
	many := func(n int, each string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = strings.ReplaceAll(each, "#", fmt.Sprint(i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	button := func(label, value int, more string) string {
		return fmt.Sprintf(`[{"type":"actions","elements":[{"type":"button","text":%s,"value":"%s"%s}]}]`,
			text(label), x(value), more)
	}
	option := func(label, value int) string {
		return fmt.Sprintf(`{"text":%s,"value":"%s#"}`, text(label), x(value-3))
	}
	tests := map[string]struct{ good, bad, problem string }{
		"blocks": {many(50, `{"type":"divider"}`), many(51, `{"type":"divider"}`),
			"no more than 50 items allowed [json-pointer:/blocks]"},
		"header": {`[{"type":"header","text":` + text(150) + `}]`,
			`[{"type":"header","text":` + text(151) + `}]`,
			"must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
		"section": {`[{"type":"section","text":` + text(3000) + `}]`,
			`[{"type":"section","text":` + text(3001) + `}]`,
			"must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		"characters outside the first plane": {
			`[{"type":"header","text":{"type":"plain_text","text":"` +
				strings.Repeat("😀", 75) + `"}}]`,
			`[{"type":"header","text":{"type":"plain_text","text":"` +
				strings.Repeat("😀", 76) + `"}}]`,
			"must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
		"empty text": {`[{"type":"section","text":` + text(1) + `}]`,
			`[{"type":"section","text":` + text(0) + `}]`,
			"must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		"fields": {`[{"type":"section","fields":` + many(10, text(2000)) + `}]`,
			`[{"type":"section","fields":` + many(11, text(5)) + `}]`,
			"no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		"context": {`[{"type":"context","elements":` + many(10, text(5)) + `}]`,
			`[{"type":"context","elements":` + many(11, text(5)) + `}]`,
			"no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
		"button text": {button(75, 1, ""), button(76, 1, ""),
			"must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]"},
		"button value": {button(1, 2000, ""), button(1, 2001, ""),
			"must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
		"button style": {button(1, 1, `,"style":"danger"`), button(1, 1, `,"style":"pink"`),
			"must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"},
		"confirm": {
			button(1, 1, `,"confirm":{"title":`+text(100)+`,"text":`+text(300)+`,"confirm":`+
				text(30)+`,"deny":`+text(30)+`}`),
			button(1, 1, `,"confirm":{"title":`+text(101)+`,"text":`+text(300)+`,"confirm":`+
				text(30)+`,"deny":`+text(30)+`}`),
			"must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]"},
		"block_id": {`[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"b"}]`,
			`[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`,
			"`block_id` already exists for another block [json-pointer:/blocks/1/block_id]"},
		"action_id": {
			`[{"type":"actions","elements":[{"type":"button","text":` + text(1) +
				`,"action_id":"a"}]}]`,
			`[{"type":"actions","elements":[{"type":"button","text":` + text(1) +
				`,"action_id":"a"},{"type":"button","text":` + text(1) + `,"action_id":"a"}]}]`,
			"`action_id` already exists for another element [json-pointer:/blocks/0/elements/1/action_id]"},
		"rich text": {
			`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[
				{"type":"text","text":"x"},{"type":"date","timestamp":1,"format":"{time}"}]}]}]`,
			`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[
				{"type":"text","text":""}]}]}]`,
			"must be more than 0 characters [json-pointer:/blocks/0/elements/0/elements/0/text]"},
		"what a message may not have": {`[{"type":"divider"}]`,
			`[{"type":"input","label":` + text(1) + `,"element":{"type":"plain_text_input"}}]`,
			"unsupported type: input [json-pointer:/blocks/0/type]"},
		"what nobody knows": {`[{"type":"divider"}]`, `[{"type":"confetti"}]`,
			"unsupported type: confetti [json-pointer:/blocks/0/type]"},
	}
	read := func(raw string) []any {
		var blocks []any
		require.NoError(t, json.Unmarshal([]byte(raw), &blocks), raw)
		return blocks
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, checkMessage(read(test.good)))
			assert.Equal(t, []string{test.problem}, checkMessage(read(test.bad)))
		})
	}

	view := func(change string, more ...string) object {
		var v object
		raw := `{"type":"modal","title":` + text(24) + `,"submit":` + text(24) + `,"blocks":[{
			"type":"input","block_id":"b","label":` + text(1) + `,"element":` +
			`{"type":"static_select","options":` + many(100, option(75, 150)) + `}}]}`
		require.NoError(t, json.Unmarshal([]byte(raw), &v))
		require.NoError(t, json.Unmarshal([]byte(change), &v))
		for _, name := range more {
			delete(v, name)
		}
		return v
	}
	assert.Empty(t, checkView(view(`{"private_metadata":"`+x(3000)+`","callback_id":"`+x(255)+`"}`)))
	selects := func(options string) string {
		return `{"blocks":[{"type":"input","label":` + text(1) +
			`,"element":{"type":"static_select","options":` + options + `}}]}`
	}
	for change, problem := range map[string]string{
		`{"title":` + text(25) + `}`: "must be less than 25 characters [json-pointer:/view/title/text]",
		`{"private_metadata":"` + x(3001) + `"}`: "must be less than 3001 characters " +
			"[json-pointer:/view/private_metadata]",
		`{"callback_id":"` + x(256) + `"}`: "must be less than 256 characters " +
			"[json-pointer:/view/callback_id]",
		`{"blocks":` + many(101, `{"type":"divider"}`) + `}`: "no more than 100 items allowed " +
			"[json-pointer:/view/blocks]",
		selects(many(101, option(1, 5))): "no more than 100 items allowed " +
			"[json-pointer:/view/blocks/0/element/options]",
		selects(many(1, option(76, 5))): "must be less than 76 characters " +
			"[json-pointer:/view/blocks/0/element/options/0/text/text]",
		selects("[]"): "no fewer than 1 items allowed [json-pointer:/view/blocks/0/element/options]",
		`{"blocks":[{"type":"input","label":` + text(1) + `,"element":{"type":"radio_buttons",
			"options":` + many(1, option(1, 5)) + `,"initial_option":{"value":"z"}}}]}`: "must match " +
			"one of the provided options [json-pointer:/view/blocks/0/element/initial_option]",
	} {
		assert.Equal(t, []string{problem}, checkView(view(change)))
	}
	assert.Equal(t, []string{"missing required field: submit [json-pointer:/view]"},
		checkView(view("{}", "submit")))
}
