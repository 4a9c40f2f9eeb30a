package slack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

func telling(how request.Telling) func(*request.Flow, *rules.Document, *Settings) {
	return func(f *request.Flow, d *rules.Document, _ *Settings) {
		f.TellApprovers = how
		d.BackupApprovers, d.BackupAfterSeconds = []string{dave}, 900
		d.ApproveWhen = `approver.email != "carol@example.com"`
	}
}

// TestApproversAreTold checks that those who could approve a request hear of it, as the flow wants
// it, and nobody else does.
func TestApproversAreTold(t *testing.T) {
	for how, want := range map[request.Telling]struct{ mentioned, written bool }{
		"": {true, false}, request.TellMention: {true, false}, request.TellMessage: {false, true},
		request.TellBoth: {true, true}, request.TellNone: {false, false},
	} {
		t.Run(string(how), func(t *testing.T) {
			w := newWorld(t, telling(how))
			r := w.submit(t)
			for range 3 { // a record may be delivered again
				w.deliver(t, r.ID)
			}
			posted := shown(t, w.api.to(channel)[0].Blocks)
			assert.Equal(t, want.mentioned, strings.Contains(posted, "Asked: @"+bobID), posted)
			told := w.api.told(t, bobID)
			if !want.written {
				assert.Empty(t, told)
			} else {
				require.Len(t, told, 1, "once")
				assert.Regexp(t, `(?s)alice@example.com asks for readonly in the flow postgres for 30 `+
					`minutes:\nLook at order 4711\n.*Waits for approval.*Approve\nDeny`, told[0])
			}
			for _, other := range []string{carolID, daveID, malloID} {
				assert.NotContains(t, posted, "@"+other, "they could not approve it")
				assert.Empty(t, w.api.to(other))
			}

			w.clock.Advance(15 * time.Minute)
			for range 2 {
				require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
			}
			assert.Equal(t, want.written, len(w.api.to(daveID)) == 1, "the back-ups, in their time")
			if want.written {
				assert.Len(t, w.api.to(bobID), 1, "not again")
			}
			assert.Equal(t, want.mentioned,
				strings.Contains(shown(t, w.api.to(channel)[1].Blocks), "@"+daveID))

			w.click(t, bobID, approveButton, r.ID)
			w.work(t)
			w.deliver(t, r.ID)
			assert.NotContains(t, shown(t, w.api.to(channel)[0].Blocks), "Asked:")
			for _, text := range append(w.api.told(t, bobID), w.api.told(t, daveID)...) {
				assert.NotContains(t, text, "Deny", "there is nothing left to decide")
				assert.Regexp(t, `Decided\n• bob@example.com approved it 2026-03-03 14:15 UTC`, text)
			}
			updates := func() (n int) {
				for _, p := range append(w.api.to(bobID), w.api.to(daveID)...) {
					n += p.Updates
				}
				return n
			}
			before := updates()
			w.move(t, r.ID, request.Active, request.Revoking, request.Done)
			w.deliver(t, r.ID)
			assert.Equal(t, before, updates(), "what is decided need not be told again")
		})
	}
}

// TestNobodyIsAskedForWhatTheRulesDecide checks that approvers are left alone then.
func TestNobodyIsAskedForWhatTheRulesDecide(t *testing.T) {
	w := newWorld(t, func(f *request.Flow, d *rules.Document, _ *Settings) {
		f.TellApprovers = request.TellBoth
		d.ApproveAtOnce = []rules.Condition{{Name: "all", When: "true"}}
	})
	r := w.submit(t)
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.to(bobID))
	assert.NotContains(t, shown(t, w.api.to(channel)[0].Blocks), "@"+bobID)
}

// TestDirectMessagesLoseTheirButtons checks that nothing offers to do what cannot be done any more.
func TestDirectMessagesLoseTheirButtons(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved, request.Active)
	w.deliver(t, r.ID)
	w.clock.Advance(21 * time.Minute)
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	with := 0
	for _, text := range w.api.told(t, aliceID) {
		if strings.Contains(text, "Extend\n") || strings.HasSuffix(text, "Extend") ||
			strings.Contains(text, "Revoke") {
			with++
		}
	}
	require.Equal(t, 2, with, "that it is active, and that it ends soon")

	w.move(t, r.ID, request.Revoking)
	w.api.fail("chat.update", fault{}, fault{status: http.StatusServiceUnavailable})
	require.Error(t, w.tryDeliver(t, r.ID), "it is delivered again")
	w.move(t, r.ID, request.Done)
	w.deliver(t, r.ID)
	said := w.api.told(t, aliceID)
	for _, text := range said {
		assert.NotContains(t, text, "Revoke")
		assert.NotContains(t, text, "Extend\n")
	}
	assert.Contains(t, strings.Join(said, "\n"), "You had readonly (Read the orders) from "+
		"2026-03-03 14:00 UTC. Ended 2026-03-03 14:21 UTC: the time is over")
}

// TestTheListIsForWhoAsks checks that what waits for a person can be told apart and decided there.
func TestTheListIsForWhoAsks(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) { d.Approvals = 2 })
	var ids []string
	for i := range mostToDecide + 1 {
		r := w.submit(t, request.Submission{
			Flow: "postgres", Target: "readonly", Reason: fmt.Sprintf("Order %d\nis odd", i),
		})
		w.deliver(t, r.ID)
		w.clock.Advance(time.Minute)
		ids = append(ids, r.ID)
	}
	answer := w.command(t, bobID, "list")
	assert.Less(t, strings.Index(answer, "What waits for you"), strings.Index(answer, "Who has what"))
	for i := range mostToDecide {
		assert.Regexp(t, fmt.Sprintf(`alice@example.com asked for readonly .* for 30 minutes, at `+
			`2026-03-03 14:%02d UTC\. It waits until .*: 0 of 2 approvals\. See it in the channel\n`+
			`Order %[1]d is odd\nApprove\nDeny`, i), answer)
	}
	assert.NotContains(t, answer, "Order 8")
	response := w.Handler.Handle(t.Context(), w.event(commandsPath, commandForm(bobID, "list")))
	for _, post := range w.api.to(channel)[:mostToDecide] {
		assert.Contains(t, response.Body, "https://sym.slack.com/archives/"+channel+"/p"+post.TS)
	}
	assert.Contains(t, answer, "There are more.")
	assert.NotContains(t, w.command(t, aliceID, "list"), "What waits for you")

	w.api.fail("chat.getPermalink", fault{err: "message_not_found"})
	assert.Contains(t, w.command(t, bobID, "list"), "Order 0", "without one of the links")

	payload := w.clickPayload(bobID, approveButton, ids[0])
	payload["container"].(map[string]any)["is_ephemeral"] = true
	require.Empty(t, w.interact(t, payload))
	w.work(t)
	assert.Equal(t, []string{"You approved the request of alice@example.com for readonly. It has 1 of " +
		"2 approvals and waits for others."}, w.api.whispered(t, bobID))
	assert.NotContains(t, w.command(t, bobID, "list"), "Order 0", "it does not wait for bob any more")
	assert.Contains(t, w.command(t, carolID, "list"), "Order 0")
}

// TestAFailedRequestIsHeldByNobody checks that the list shows nothing of what is over, though its
// review is to come.
func TestAFailedRequestIsHeldByNobody(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.BreakGlass = &rules.BreakGlass{People: []string{alice}}
	})
	r := w.submit(t, request.Submission{
		Flow: "postgres", Target: "admin", Reason: "Order 1", BreakGlass: true,
	})
	w.move(t, r.ID, request.Failed)
	answer := w.command(t, bobID, "list")
	assert.Contains(t, answer, "Nobody has anything now.")
	assert.Regexp(t, `by broken glass\. It waits for its review\nOrder 1\nReview`, answer)
}
