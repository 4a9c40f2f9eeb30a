package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// message is the one message of a request in the channel.
func (w *world) message(t *testing.T) post {
	t.Helper()
	all := w.api.to(channel)
	require.Len(t, all, 1)
	return all[0]
}

// buttonsIn are the buttons of a message, each as its action id and its value.
func buttonsIn(t *testing.T, blocks json.RawMessage) []string {
	t.Helper()
	var all []struct {
		Type     string `json:"type"`
		Elements []struct {
			Action string `json:"action_id"`
			Value  string `json:"value"`
		} `json:"elements"`
	}
	if len(blocks) == 0 {
		return nil
	}
	require.NoError(t, json.Unmarshal(blocks, &all))
	var found []string
	for _, b := range all {
		for _, e := range b.Elements {
			if b.Type == "actions" {
				found = append(found, e.Action+" "+e.Value)
			}
		}
	}
	return found
}

// TestTheMessageFollowsTheRequest looks at the one message in each of the states.
func TestTheMessageFollowsTheRequest(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	look := func(buttons ...string) string {
		w.deliver(t, r.ID)
		m := w.message(t)
		for i, b := range buttons {
			buttons[i] = b + " " + r.ID
		}
		assert.Equal(t, buttons, buttonsIn(t, m.Blocks))
		text := shown(t, m.Blocks)
		for _, always := range []string{
			"Access request: readonly", "Who: @U0ALICE (alice@example.com)",
			"What: Read the orders, the role readonly in the flow postgres",
			"How long: 30 minutes", "Why:\nLook at order 4711",
			"Rule: One of bob@example.com or carol@example.com approves it.",
			"Request " + r.ID,
		} {
			assert.Contains(t, text, always)
		}
		return text
	}
	text := look(approveButton, denyButton)
	assert.Contains(t, text, "Waits for approval until 2026-03-03 15:00 UTC")
	assert.Equal(t, "requested: alice@example.com asks for readonly for 30 minutes: "+
		"Look at order 4711", w.message(t).Text)

	_, err := w.service.Approve(t.Context(), bob, r.ID, "")
	require.NoError(t, err)
	text = look(revokeButton)
	assert.Contains(t, text, "Approved: the role is being granted")
	assert.Contains(t, text, "• bob@example.com approved it 2026-03-03 14:00 UTC, by the rule "+
		"approver")

	w.move(t, r.ID, request.Active)
	text = look(revokeButton)
	assert.Contains(t, text, "Active until 2026-03-03 14:30 UTC")
	assert.Contains(t, text, "bob@example.com approved it")

	w.clock.Advance(10 * time.Minute)
	_, err = w.service.Revoke(t.Context(), bob, r.ID, "not any more")
	require.NoError(t, err)
	assert.Contains(t, look(), "Ending: the role is being taken away")
	w.move(t, r.ID, request.Done)
	text = look()
	assert.Contains(t, text, "Ended 2026-03-03 14:10 UTC: revoked before its time")
	assert.Contains(t, text, "• bob@example.com revoked it 2026-03-03 14:10 UTC, by the rule "+
		"approver: “not any more”")
	assert.Contains(t, text, "bob@example.com approved it")
}

func TestOtherEndsOfTheMessage(t *testing.T) {
	tests := []struct {
		name string
		end  func(*testing.T, *world, string)
		says string
	}{
		{"denied", func(t *testing.T, w *world, id string) {
			_, err := w.service.Deny(t.Context(), bob, id, "Ask for less")
			require.NoError(t, err)
		}, "Denied\n• bob@example.com denied it 2026-03-03 14:00 UTC, by the rule approver: " +
			"“Ask for less”"},
		{"withdrawn", func(t *testing.T, w *world, id string) {
			_, err := w.service.Deny(t.Context(), alice, id, "")
			require.NoError(t, err)
		}, "Withdrawn\n• alice@example.com withdrew it"},
		{"expired", func(t *testing.T, w *world, id string) { w.move(t, id, request.Expired) },
			"Expired: Nobody decided in the time that the flow gives."},
		{"failed", func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Failed)
		}, "Failed: The role was refused."},
		{"over", func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active, request.Revoking, request.Done)
		}, "Ended 2026-03-03 14:00 UTC: the time is over"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.submit(t)
			w.deliver(t, r.ID)
			require.NotEmpty(t, buttonsIn(t, w.message(t).Blocks))
			test.end(t, w, r.ID)
			w.deliver(t, r.ID)
			assert.Contains(t, shown(t, w.message(t).Blocks), test.says)
			assert.Empty(t, buttonsIn(t, w.message(t).Blocks), "there is nothing to do any more")
		})
	}
}

func TestSeveralApprovalsAreCounted(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) { d.Approvals = 2 })
	r := w.submit(t)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), "until 2026-03-03 15:00 UTC: 0 of 2 given")
	_, err := w.service.Approve(t.Context(), bob, r.ID, "")
	require.NoError(t, err)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), ": 1 of 2 given, by bob@example.com")
	assert.Len(t, buttonsIn(t, w.message(t).Blocks), 2)
	assert.Empty(t, w.api.told(t, aliceID), "it is not approved yet")
	_, err = w.service.Approve(t.Context(), carol, r.ID, "fine")
	require.NoError(t, err)
	w.deliver(t, r.ID)
	text := shown(t, w.message(t).Blocks)
	assert.Contains(t, text, "• bob@example.com approved it")
	assert.Contains(t, text, "• carol@example.com approved it 2026-03-03 14:00 UTC, by the rule "+
		"approver (carol@example.com is an approver): “fine”")
}

func TestTheRuleThatMatchedIsInTheMessage(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.ApproveAtOnce = []rules.Condition{{
			Name: "short", When: `request.duration <= duration("30m")`,
		}}
	})
	r := w.submit(t)
	require.Equal(t, request.Approved, r.State)
	w.deliver(t, r.ID)
	for _, text := range []string{shown(t, w.message(t).Blocks), w.api.told(t, aliceID)[0]} {
		assert.Contains(t, text, "• The rules approved it 2026-03-03 14:00 UTC, by the rule "+
			`approve_at_once "short" (request.duration <= duration("30m") is true, where `+
			"request.duration = 30m)")
	}
}

// TestADenialByARule is nobody's business in the channel.
func TestADenialByARule(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.Deny = []rules.Denial{{
			Name: "frozen", When: `request.role == "admin"`, Message: "No changes this week.",
		}}
	})
	require.Empty(t, w.command(t, aliceID, "req"))
	w.pick(t, aliceID, targetBlock, "postgres-admin")
	errs := w.fill(t, aliceID, map[string]any{reasonBlock: "Fix it"})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[targetBlock],
		`The rule deny "frozen" denies this request: No changes this week.`)

	w.work(t) // it is written down all the same
	require.Len(t, w.requests(t), 1)
	r := w.requests(t)[0]
	assert.Equal(t, request.Denied, r.State)
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.to(channel))
	require.Len(t, w.api.told(t, aliceID), 1)
	assert.Contains(t, w.api.told(t, aliceID)[0], "Denied: admin in the flow postgres\n")
	assert.Contains(t, w.api.told(t, aliceID)[0],
		`by the rule deny "frozen" (request.role == "admin" is true`)
	assert.Contains(t, w.api.told(t, aliceID)[0], "No changes this week.")
}

func glass(_ *request.Flow, d *rules.Document, _ *Settings) {
	d.BreakGlass = &rules.BreakGlass{People: []string{alice}, MaxDurationSeconds: 1800}
}

func TestBrokenGlassIsLoudAndReviewed(t *testing.T) {
	w := newWorld(t, glass)
	require.Empty(t, w.command(t, aliceID, "req"))
	_, boxes := offered(w.api.modal(t), breakGlassBlock)
	require.NotNil(t, boxes)
	assert.Contains(t, fmt.Sprint(boxes["options"]), "At once, at most 30 minutes.")
	assert.Nil(t, w.fill(t, aliceID, map[string]any{
		reasonBlock: "Everything burns", breakGlassBlock: true,
	}))
	w.work(t)
	r := w.requests(t)[0]
	require.Equal(t, request.Approved, r.State)
	w.deliver(t, r.ID)
	m := w.message(t)
	text := shown(t, m.Blocks)
	assert.Contains(t, text, "🚨 Break-glass: readonly")
	assert.Contains(t, text, "<!channel> Access is given *without waiting for anybody*.")
	assert.Contains(t, text, "• The rules granted it at once")
	assert.Contains(t, text, "Waits for its review by somebody who may approve it, other than "+
		"alice@example.com")
	assert.Contains(t, m.Text, "alice@example.com broke the glass for readonly")
	assert.Contains(t, w.api.told(t, aliceID)[0], "somebody who may approve it will review")

	w.move(t, r.ID, request.Active)
	w.deliver(t, r.ID)
	assert.Equal(t, []string{revokeButton + " " + r.ID, reviewButton + " " + r.ID},
		buttonsIn(t, w.message(t).Blocks))
	w.move(t, r.ID, request.Revoking, request.Done)

	// A day later it is brought to mind, once.
	w.clock.Advance(request.ReviewEvery)
	due := w.get(t, r.ID)
	require.NoError(t, w.store.Apply(t.Context(), due.Note(request.Act{
		Action: request.ActionRemind, By: request.ByWorkflow, At: w.clock.Now(),
		Rule: request.RuleReviewDue,
	})))
	w.deliver(t, r.ID)
	w.deliver(t, r.ID)
	require.Len(t, w.api.to(channel), 2)
	reminded := w.api.to(channel)[1]
	assert.Equal(t, m.TS, reminded.Thread)
	assert.True(t, reminded.Broadcast)
	assert.Contains(t, shown(t, reminded.Blocks), "Not reviewed yet: alice@example.com broke")
	assert.Equal(t, []string{reviewButton + " " + r.ID}, buttonsIn(t, reminded.Blocks))

	// The review is a modal with a note, and not for who broke it.
	w.click(t, aliceID, reviewButton, r.ID)
	assert.Nil(t, w.fill(t, aliceID, map[string]any{reasonBlock: "It was fine"}))
	w.work(t)
	assert.Contains(t, w.api.whispered(t, aliceID)[0], "You broke the glass yourself")
	w.click(t, bobID, reviewButton, r.ID)
	assert.Contains(t, w.fill(t, bobID, map[string]any{reasonBlock: " "})[reasonBlock], "Say in a")
	assert.Nil(t, w.fill(t, bobID, map[string]any{reasonBlock: "Only order 4711 was read"}))
	w.work(t)
	w.deliver(t, r.ID)
	text = shown(t, w.api.to(channel)[0].Blocks)
	assert.Contains(t, text, "• bob@example.com reviewed it 2026-03-04 14:00 UTC, by the rule "+
		"approver: “Only order 4711 was read”")
	assert.Empty(t, buttonsIn(t, w.api.to(channel)[0].Blocks))

	// The reminder's button is still there, and says so at once.
	opened := w.api.opened()
	w.click(t, carolID, reviewButton, r.ID)
	w.work(t)
	assert.Equal(t, opened, w.api.opened())
	assert.Contains(t, w.api.whispered(t, carolID)[0], "has been reviewed by bob@example.com")
}

func TestAnExtensionSaysWhatItExtends(t *testing.T) {
	w := newWorld(t)
	first := w.submit(t)
	w.move(t, first.ID, request.Approved, request.Active)
	second, err := w.service.Extend(t.Context(), alice, first.ID, request.Extension{})
	require.NoError(t, err)
	w.deliver(t, second.ID)
	m := w.message(t)
	text := shown(t, m.Blocks)
	assert.Contains(t, text, "Extension: readonly")
	assert.Contains(t, text, "asked for while the request "+first.ID+" gave the same access")
	assert.Contains(t, m.Text, "alice@example.com asks to extend readonly")
	assert.Equal(t, []string{approveButton + " " + second.ID, denyButton + " " + second.ID},
		buttonsIn(t, m.Blocks), "it is a new approval, not a right")
}

// TestTheLargestMessage has everything as long as it can be.
func TestTheLargestMessage(t *testing.T) {
	w := newWorld(t)
	for _, r := range w.largest(t) {
		// What Slack would refuse is found when the test ends.
		require.NoError(t, w.Sink.toChannel(t.Context(), r, "", ""))
	}
	assert.Contains(t, shown(t, w.api.to(channel)[0].Blocks), "• and 17 more")
}

// largest is a request in each state, with everything as long as it can be.
func (w *world) largest(t *testing.T) []request.Request {
	r := w.submit(t)
	long := strings.Repeat("🙂", request.MaxReason)
	r.Reason, r.Terms, r.BreakGlass, r.Extends = long, strings.Repeat("t", 9000), true, r.ID
	r.Target.Label, r.Target.RoleName = strings.Repeat("l", 500), strings.Repeat("r", 63)
	act := request.Act{By: strings.Repeat("a", 240) + "@example.com", At: w.clock.Now(),
		Reason: long, Rule: strings.Repeat("n", 64), Because: strings.Repeat("b", 5000)}
	for range 20 {
		r.Approvals = append(r.Approvals, act)
	}
	r.ApprovalsNeeded = 21
	act.Action = request.ActionDeny
	r.Decision, r.Revocation, r.Review = &act, &act, &act
	var all []request.Request
	for _, state := range request.States {
		r.State, r.Failure = state, strings.Repeat("f", 9000)
		all = append(all, r)
	}
	return all
}
