package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// element is what a modal offers in the block with a name, and the block's id.
func offered(view map[string]any, name string) (id string, e map[string]any) {
	for _, b := range view["blocks"].([]any) {
		block := b.(map[string]any)
		if id, _ := block["block_id"].(string); id == name || strings.HasPrefix(id, name+":") {
			return id, block["element"].(map[string]any)
		}
	}
	return "", nil
}

// options are the texts that a menu offers, with the chosen one marked.
func options(view map[string]any, name string) []string {
	_, e := offered(view, name)
	textOf := func(option any) string {
		return option.(map[string]any)["text"].(map[string]any)["text"].(string)
	}
	all, _ := e["options"].([]any)
	if groups, ok := e["option_groups"].([]any); ok {
		for _, g := range groups {
			all = append(all, g.(map[string]any)["options"].([]any)...)
		}
	}
	var texts []string
	for _, o := range all {
		text := textOf(o)
		if e["initial_option"] != nil && textOf(e["initial_option"]) == text {
			text = "> " + text
		}
		texts = append(texts, text)
	}
	return texts
}

func TestTheModalOffersWhatThereIs(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req"))
	view := w.api.modal(t)
	assert.Equal(t, "modal", view["type"])
	assert.Equal(t, []string{"> Orders database (postgres)"}, options(view, flowBlock))
	assert.Equal(t, []string{"> Read the orders (readonly)", "admin"}, options(view, targetBlock))
	assert.Equal(t, []string{"5 minutes", "15 minutes", "> 30 minutes", "1 hour", "2 hours",
		"4 hours"}, options(view, durationBlock))
	_, reason := offered(view, reasonBlock)
	assert.Equal(t, true, reason["multiline"])
	assert.EqualValues(t, request.MaxReason, reason["max_length"])
	_, glass := offered(view, breakGlassBlock)
	assert.Nil(t, glass, "nobody may break it")
}

func TestChoicesChangeWithTheTarget(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req POSTGRES"))
	before := w.api.modal(t)
	w.pick(t, aliceID, targetBlock, "postgres-admin")
	after := w.api.modal(t)
	assert.Equal(t, before["id"], after["id"], "the same modal")
	assert.Equal(t, []string{"Read the orders (readonly)", "> admin"}, options(after, targetBlock))
	assert.Equal(t, []string{"15 seconds", "30 seconds", "1 minute", "2 minutes", "> 5 minutes",
		"10 minutes"}, options(after, durationBlock))

	// Slack keeps what is in a block whose id stays: the reason, and not the duration.
	idBefore, _ := offered(before, reasonBlock)
	idAfter, _ := offered(after, reasonBlock)
	assert.Equal(t, idBefore, idAfter)
	idBefore, _ = offered(before, durationBlock)
	idAfter, _ = offered(after, durationBlock)
	assert.NotEqual(t, idBefore, idAfter)

	assert.Nil(t, w.fill(t, aliceID, map[string]any{reasonBlock: "Fix order 4711"}))
	w.work(t)
	require.Len(t, w.requests(t), 1)
	r := w.requests(t)[0]
	assert.Equal(t, "postgres-admin", r.Target.Name)
	assert.Equal(t, 5*time.Minute, r.Duration)
}

// TestClicksThatOvertakeEachOther change the modal from an old state of it.
func TestClicksThatOvertakeEachOther(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req"))
	w.api.fail("views.update", fault{err: "hash_conflict"})
	w.pick(t, aliceID, targetBlock, "postgres-admin")
	assert.Empty(t, w.api.told(t, aliceID), "the later click changes it")
	w.api.fail("views.update", fault{err: "internal_error"})
	w.pick(t, aliceID, targetBlock, "postgres-admin")
	assert.Contains(t, w.api.told(t, aliceID)[0], "Something failed inside")
}

func TestSeveralFlows(t *testing.T) {
	w := newWorld(t)
	first, err := w.service.Offered(t.Context())
	require.NoError(t, err)
	second := first[0]
	second.Name, second.Label = "warehouse", ""
	second.Targets = []request.Target{{Name: "warehouse-etl", RoleName: "etl",
		DefaultDuration: time.Hour, MaxDuration: 90 * time.Minute}}
	second.TargetRules = map[string]*rules.Rules{
		"warehouse-etl": first[0].TargetRules["postgres-admin"],
	}
	w.service.Flows = fixed{first[0], second}

	require.Empty(t, w.command(t, aliceID, "req"))
	w.pick(t, aliceID, flowBlock, "warehouse")
	view := w.api.modal(t)
	assert.Equal(t, []string{"Orders database (postgres)", "> warehouse"}, options(view, flowBlock))
	assert.Equal(t, []string{"> etl"}, options(view, targetBlock))
	assert.Equal(t, []string{"5 minutes", "15 minutes", "30 minutes", "> 1 hour",
		"1 hour 30 minutes"}, options(view, durationBlock))

	require.Empty(t, w.command(t, aliceID, "req warehouse"))
	assert.Equal(t, []string{"Orders database (postgres)", "> warehouse"},
		options(w.api.modal(t), flowBlock))
}

// fixed are flows.
type fixed []request.Flow

func (f fixed) Flows(context.Context) ([]request.Flow, error) { return f, nil }

func TestManyTargets(t *testing.T) {
	w := newWorld(t, func(f *request.Flow, _ *rules.Document, _ *Settings) {
		for i := range 250 {
			f.Targets = append(f.Targets, request.Target{
				Name: fmt.Sprintf("postgres-r%d", i), RoleName: fmt.Sprintf("r%d", i),
				Label:           strings.Repeat("ä", 200),
				DefaultDuration: time.Minute, MaxDuration: time.Minute,
			})
		}
	})
	require.Empty(t, w.command(t, aliceID, "req"))
	view := w.api.modal(t)
	assert.Len(t, options(view, targetBlock), 252)
	_, e := offered(view, targetBlock)
	assert.Nil(t, e["options"], "both are not possible")
	for _, g := range e["option_groups"].([]any) {
		assert.LessOrEqual(t, len(g.(map[string]any)["options"].([]any)), mostOptions)
	}
	checkLimits(t, view)
}

func TestErrorsStandInTheModal(t *testing.T) {
	tests := []struct {
		name   string
		put    map[string]any
		block  string
		prefix string
	}{
		{"a flow that is not there", map[string]any{flowBlock: "mysql"}, flowBlock,
			`There is no flow "mysql" here.`},
		{"a target that is not there", map[string]any{targetBlock: "postgres-root"}, targetBlock,
			`The flow "postgres" has no target "postgres-root".`},
		{"a duration that was not offered", map[string]any{durationBlock: "999999"}, durationBlock,
			"The target \"postgres-readonly\" allows at most 4 hours (14400 seconds)."},
		{"a duration that is none", map[string]any{durationBlock: "an hour"}, durationBlock,
			"The duration has to be a whole number"},
		{"a duration beyond all", map[string]any{durationBlock: "99999999999999999999"},
			durationBlock, "The duration has to be a whole number"},
		{"a negative duration", map[string]any{durationBlock: "-5"}, durationBlock,
			"The duration has to be a whole number"},
		{"no reason", map[string]any{reasonBlock: " \n\u200b"}, reasonBlock,
			"The request gives no reason."},
		{"ten thousand characters", map[string]any{reasonBlock: strings.Repeat("ä", 10_000)},
			reasonBlock, "The reason has 10000 characters, and 1000 is the most."},
		{"control characters", map[string]any{reasonBlock: "a\x00b"}, reasonBlock,
			"The reason has the character U+0000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			require.Empty(t, w.command(t, aliceID, "req"))
			put := map[string]any{reasonBlock: "Look at order 4711"}
			for name, value := range test.put {
				put[name] = value
			}
			errs := w.fill(t, aliceID, put)
			require.Len(t, errs, 1)
			assert.True(t, strings.HasPrefix(errs[test.block], test.prefix), "%v", errs)
			assert.Empty(t, w.later.payloads)
			assert.Empty(t, w.requests(t))
		})
	}
}

func TestWhoSubmitsAModal(t *testing.T) {
	w := newWorld(t)
	w.api.users["U0GUEST"] = account("U0GUEST", "guest@example.com", set("is_restricted", true))
	require.Empty(t, w.command(t, aliceID, "req"))
	errs := w.fill(t, "U0GUEST", map[string]any{reasonBlock: "x"})
	assert.Contains(t, errs[targetBlock], "is a guest's")
	assert.Empty(t, w.later.payloads)

	payload := modalPayload(t, w.api.modal(t), aliceID, "view_submission", nil)
	payload["team"] = map[string]any{"id": "T0OTHER"}
	assert.Contains(t, w.interact(t, payload), "not the one that the Runtime belongs to")
}

// TestAModalIsOneRequest sends the same modal again and again, as Slack or somebody else may.
func TestAModalIsOneRequest(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req"))
	put := map[string]any{reasonBlock: "Look at order 4711"}
	for range 3 {
		assert.Nil(t, w.fill(t, aliceID, put))
	}
	assert.Len(t, w.later.payloads, 3)
	w.work(t)
	require.Len(t, w.requests(t), 1)
	assert.Equal(t, alice, w.requests(t)[0].Requester)
	assert.Empty(t, w.api.told(t, aliceID))

	// Another modal with the same in it is another request.
	require.Empty(t, w.command(t, aliceID, "req"))
	assert.Nil(t, w.fill(t, aliceID, put))
	w.work(t)
	assert.Len(t, w.requests(t), 2)
}

func TestLateFailuresComeAsDirectMessages(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req"))
	assert.Nil(t, w.fill(t, aliceID, map[string]any{reasonBlock: "Look at order 4711"}))
	w.service.Flows = fixed{} // removed in between
	w.work(t)
	require.Len(t, w.api.told(t, aliceID), 1)
	assert.Contains(t, w.api.told(t, aliceID)[0], `There is no flow "postgres" here.`)
}

// TestACheckThatTakesTooLong leaves the check to when the request is made.
func TestACheckThatTakesTooLong(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.command(t, aliceID, "req"))
	w.Handler.Service = slow{w.service}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err := w.Handler.people.email(t.Context(), aliceID)
	require.NoError(t, err)
	form := interactionForm(modalPayload(t, w.api.modal(t), aliceID, "view_submission",
		map[string]any{reasonBlock: "x"}))
	response := w.Handler.Handle(ctx, w.event(interactionsPath, form))
	assert.Empty(t, response.Body)
	assert.Len(t, w.later.payloads, 1)
}

// slow is a service that checks until the time is over.
type slow struct{ Service }

func (slow) Check(ctx context.Context, _ string, _ request.Submission) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestWorkThatCannotBePutOff(t *testing.T) {
	w := newWorld(t)
	w.later.err = errors.New("TooManyRequestsException")
	require.Empty(t, w.command(t, aliceID, "req"))
	errs := w.fill(t, aliceID, map[string]any{reasonBlock: "x"})
	assert.Contains(t, errs[targetBlock], "Something failed inside")

	r := w.submit(t)
	w.click(t, bobID, approveButton, r.ID)
	require.Len(t, w.api.whispered(t, bobID), 1)
	assert.Contains(t, w.api.whispered(t, bobID)[0], "Something failed inside")
	assert.Equal(t, request.Requested, w.get(t, r.ID).State)
}

// checkLimits walks through what is sent to Slack, and finds what Slack would refuse.
func checkLimits(t *testing.T, sent any) {
	t.Helper()
	encoded, err := json.Marshal(sent)
	require.NoError(t, err)
	var all any
	require.NoError(t, json.Unmarshal(encoded, &all))
	length := func(v any) int { return len(utf16.Encode([]rune(v.(string)))) }
	var walk func(any, string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case []any:
			for i, item := range v {
				walk(item, fmt.Sprintf("%s[%d]", path, i))
			}
		case map[string]any:
			text, hasText := v["text"].(string)
			if hasText {
				assert.NotEmpty(t, text, path)
				most := mostText
				switch {
				case strings.HasSuffix(path, "].text") && strings.Contains(path, "options["):
					most = mostOption
				case strings.HasSuffix(path, ".confirm.title"):
					most = 100
				case strings.HasSuffix(path, ".confirm.text"):
					most = 300
				case strings.HasSuffix(path, ".confirm.confirm"),
					strings.HasSuffix(path, ".confirm.deny"):
					most = 30
				case strings.HasSuffix(path, ".title"), strings.HasSuffix(path, ".submit"),
					strings.HasSuffix(path, ".close"):
					most = 24
				}
				if v["type"] == "mrkdwn" {
					assert.Contains(t, text, "Access is given", "only our own words have markup")
				}
				assert.LessOrEqual(t, length(text), most, path)
			}
			switch v["type"] {
			case "header":
				assert.LessOrEqual(t, length(v["text"].(map[string]any)["text"]), mostHeader, path)
			case "button":
				assert.LessOrEqual(t, length(v["value"]), 2000, path)
			}
			if id, ok := v["block_id"]; ok {
				assert.LessOrEqual(t, length(id), 255, path)
			}
			if options, ok := v["options"].([]any); ok {
				assert.LessOrEqual(t, len(options), mostOptions, path)
			}
			if initial, ok := v["initial_value"]; ok && v["max_length"] != nil {
				assert.LessOrEqual(t, float64(length(initial)), v["max_length"], path)
			}
			if metadata, ok := v["private_metadata"]; ok {
				assert.LessOrEqual(t, length(metadata), 3000, path)
			}
			for key, item := range v {
				walk(item, path+"."+key)
			}
		}
	}
	walk(all, "")
}
