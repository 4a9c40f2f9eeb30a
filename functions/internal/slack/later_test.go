package slack

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
)

func TestApprovingWithAClick(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.deliver(t, r.ID)
	w.click(t, bobID, approveButton, r.ID)
	assert.Equal(t, request.Requested, w.get(t, r.ID).State, "it is done after the reply")
	w.work(t)
	got := w.get(t, r.ID)
	assert.Equal(t, request.Approved, got.State)
	assert.Equal(t, bob, got.Decision.By)
	assert.Empty(t, w.api.whispered(t, bobID), "the message says it")

	// The same click once more, by Slack or by Lambda, changes nothing and says nothing.
	w.click(t, bobID, approveButton, r.ID)
	w.click(t, bobID, approveButton, r.ID)
	w.work(t)
	assert.Equal(t, got.Version, w.get(t, r.ID).Version)
	assert.Empty(t, w.api.whispered(t, bobID))
}

// TestClicksThatAreRefused are told to who clicked, and to nobody else.
func TestClicksThatAreRefused(t *testing.T) {
	tests := []struct {
		name, user, button string
		before             func(*testing.T, *world, string)
		says               string
	}{
		{"a stranger approves", malloID, approveButton, nil,
			"You (mallo@example.com) are not an approver of the flow"},
		{"the requester approves", aliceID, approveButton, nil, "You asked for this access yourself"},
		{"a guest approves", "U0GUEST", approveButton, nil, "Your Slack account is a guest's."},
		{"somebody unknown approves", "U0NOBODY", approveButton, nil, "does not know your account"},
		{"approved too late", bobID, approveButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Expired)
		}, "expired at 2026-03-03 14:00:00 UTC"},
		{"approved after its time, before anybody saw", bobID, approveButton,
			func(_ *testing.T, w *world, _ string) { w.clock.Advance(2 * time.Hour) }, "expired at"},
		{"approved after a denial", bobID, approveButton, func(t *testing.T, w *world, id string) {
			_, err := w.service.Deny(t.Context(), carol, id, "")
			require.NoError(t, err)
		}, "was denied by carol@example.com"},
		{"denied after an approval", bobID, denyButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active)
		}, "and a decision is final"},
		{"a stranger revokes", malloID, revokeButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active)
		}, "You (mallo@example.com) can neither revoke the access"},
		{"revoked when it is over", bobID, revokeButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active, request.Revoking, request.Done)
		}, "has ended already"},
		{"extended by another", bobID, extendButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active)
		}, "is not yours: only alice@example.com can extend it"},
		{"extended when it is over", aliceID, extendButton, func(t *testing.T, w *world, id string) {
			w.move(t, id, request.Approved, request.Active, request.Revoking, request.Done)
		}, "only access that is active can be extended"},
		{"reviewed without broken glass", bobID, reviewButton, nil, "has no review to come"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.api.users["U0GUEST"] = account("U0GUEST", "guest@example.com",
				set("is_restricted", true))
			r := w.submit(t)
			if test.before != nil {
				test.before(t, w, r.ID)
			}
			before := w.get(t, r.ID)
			w.click(t, test.user, test.button, r.ID)
			w.work(t)
			require.Len(t, w.api.whispered(t, test.user), 1)
			assert.Contains(t, w.api.whispered(t, test.user)[0], test.says)
			assert.Empty(t, w.api.posts, "to nobody else")
			assert.Zero(t, w.api.opened())
			after := w.get(t, r.ID)
			if after.State != request.Expired {
				assert.Equal(t, before.Version, after.Version)
			}
			assert.NotEqual(t, request.Approved, after.State)
		})
	}
}

func TestClicksOnWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"", "request-99", "<!channel>", "../../requests"} {
		for _, button := range []string{approveButton, denyButton, revokeButton, extendButton,
			reviewButton} {
			w.click(t, bobID, button, id)
		}
	}
	w.work(t)
	said := w.api.whispered(t, bobID)
	require.Len(t, said, 20)
	for _, sentence := range said {
		assert.Contains(t, sentence, "There is no request ")
	}
	w.click(t, bobID, "another_apps_button", "x")
	assert.Empty(t, w.later.payloads)
}

// TestTwoApproversAtOnce click in the same moment. One decision wins, and the other is told whose.
func TestTwoApproversAtOnce(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.click(t, bobID, approveButton, r.ID)
	w.click(t, carolID, approveButton, r.ID)
	var all sync.WaitGroup
	for _, payload := range w.later.take() {
		var p struct {
			Slack json.RawMessage `json:"slack"`
		}
		require.NoError(t, json.Unmarshal(payload, &p))
		all.Go(func() { assert.NoError(t, w.Later(t.Context(), p.Slack)) })
	}
	all.Wait()
	got := w.get(t, r.ID)
	assert.Equal(t, request.Approved, got.State)
	assert.Len(t, got.Approvals, 1)
	won, lost := bobID, carolID
	if got.Decision.By == carol {
		won, lost = carolID, bobID
	}
	assert.Empty(t, w.api.whispered(t, won))
	require.Len(t, w.api.whispered(t, lost), 1)
	assert.Contains(t, w.api.whispered(t, lost)[0], "was approved by "+got.Decision.By)
}

func TestDenyingWithAReason(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.click(t, bobID, denyButton, r.ID)
	view := w.api.modal(t)
	blocks, err := json.Marshal(view["blocks"])
	require.NoError(t, err)
	assert.Contains(t, shown(t, blocks), "alice@example.com asks for readonly in the flow postgres "+
		"for 30 minutes:\nLook at order 4711")
	assert.Nil(t, w.fill(t, bobID, map[string]any{reasonBlock: "Ask for less, and say why"}))
	assert.Nil(t, w.fill(t, bobID, map[string]any{reasonBlock: "Ask for less, and say why"}))
	w.work(t)
	got := w.get(t, r.ID)
	assert.Equal(t, request.Denied, got.State)
	assert.Equal(t, "Ask for less, and say why", got.Decision.Reason)
	w.deliver(t, r.ID)
	assert.Equal(t, []string{"Denied: readonly in the flow postgres\n• bob@example.com denied it " +
		"2026-03-03 14:00 UTC, by the rule approver\nAsk for less, and say why\nRequest request-1"},
		w.api.told(t, aliceID))
	assert.Empty(t, w.api.whispered(t, bobID), "twice is once")
}

// TestAModalOfAnotherPerson is authorised when it is submitted, not when it was opened.
func TestAModalOfAnotherPerson(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.click(t, bobID, denyButton, r.ID)
	assert.Nil(t, w.fill(t, malloID, map[string]any{reasonBlock: "Mine"}))
	w.work(t)
	assert.Equal(t, request.Requested, w.get(t, r.ID).State)
	require.Len(t, w.api.answers, 1)
}

func TestWithdrawing(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.click(t, aliceID, denyButton, r.ID)
	assert.Contains(t, w.api.modal(t)["title"].(map[string]any)["text"], "Withdraw")
	assert.Nil(t, w.fill(t, aliceID, nil))
	w.work(t)
	assert.Equal(t, request.Denied, w.get(t, r.ID).State)
	w.deliver(t, r.ID)
	assert.Empty(t, w.api.told(t, aliceID), "they know")
}

func TestExtendingIsANewRequest(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved, request.Active)
	w.click(t, aliceID, extendButton, r.ID)
	assert.Equal(t, []string{"5 minutes", "15 minutes", "> 30 minutes", "1 hour", "2 hours",
		"4 hours"}, options(w.api.modal(t), durationBlock))
	_, reason := offered(w.api.modal(t), reasonBlock)
	assert.Equal(t, "Look at order 4711", reason["initial_value"])
	put := map[string]any{durationBlock: "999999"}
	assert.Contains(t, w.fill(t, aliceID, put)[durationBlock], "at most")
	for range 2 {
		assert.Nil(t, w.fill(t, aliceID, map[string]any{
			durationBlock: "3600", reasonBlock: "And at order 4712"}))
	}
	w.work(t)
	all := w.requests(t)
	require.Len(t, all, 2, "however often it is sent")
	extension := all[0]
	if extension.ID == r.ID {
		extension = all[1]
	}
	assert.Equal(t, r.ID, extension.Extends)
	assert.Equal(t, request.Requested, extension.State)
	assert.Equal(t, time.Hour, extension.Duration)
	assert.Equal(t, "And at order 4712", extension.Reason)

	// It has ended while the modal was open.
	w.click(t, aliceID, extendButton, r.ID)
	w.move(t, r.ID, request.Revoking, request.Done)
	errs := w.fill(t, aliceID, map[string]any{reasonBlock: "Too late"})
	assert.Contains(t, errs[reasonBlock], "only access that is active can be extended")
}

func TestRevokingWithAClick(t *testing.T) {
	for _, user := range []string{aliceID, bobID} {
		w := newWorld(t)
		r := w.submit(t)
		w.move(t, r.ID, request.Approved, request.Active)
		w.click(t, user, revokeButton, r.ID)
		w.click(t, user, revokeButton, r.ID)
		w.work(t)
		assert.Equal(t, request.Revoking, w.get(t, r.ID).State)
		assert.Empty(t, w.api.whispered(t, user))
		w.move(t, r.ID, request.Done)
		w.click(t, user, revokeButton, r.ID)
		w.work(t)
		assert.Empty(t, w.api.whispered(t, user), "it was them")
	}
}

// TestTellingWhoClicked says it in a direct message where the place of the click is gone, and has
// it done again where neither can be reached.
func TestTellingWhoClicked(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.click(t, malloID, approveButton, r.ID)
	w.api.fail("respond", fault{status: 404})
	w.work(t)
	assert.Empty(t, w.api.whispered(t, malloID))
	require.Len(t, w.api.told(t, malloID), 1)
	assert.Contains(t, w.api.told(t, malloID)[0], "not an approver")
	assert.NotContains(t, w.log.String(), "/respond/", "the address is a secret")

	w.click(t, malloID, approveButton, r.ID)
	payload := w.later.take()[0]
	var p struct {
		Slack json.RawMessage `json:"slack"`
	}
	require.NoError(t, json.Unmarshal(payload, &p))
	w.api.fail("respond", fault{status: 500})
	w.api.fail("chat.postMessage", fault{status: 503})
	assert.Error(t, w.Later(t.Context(), p.Slack), "nobody has been told")
	w.api.fail("respond", fault{status: 404})
	w.api.fail("chat.postMessage", fault{err: "messages_tab_disabled"})
	assert.NoError(t, w.Later(t.Context(), p.Slack), "nobody ever will be")
	assert.NoError(t, w.Later(t.Context(), p.Slack))
	assert.Len(t, w.api.whispered(t, malloID), 1)
}

// TestAnswersElsewhere are not given: the click names an address that is not Slack's, or one that
// breaks off.
func TestAnswersElsewhere(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		assert.Fail(t, "it was told to somebody else")
	}))
	t.Cleanup(elsewhere.Close)
	payload := w.clickPayload(malloID, approveButton, r.ID)
	payload["response_url"] = elsewhere.URL + "/respond/secret"
	assert.Empty(t, w.interact(t, payload))
	w.work(t)
	assert.Len(t, w.api.told(t, malloID), 1, "in a direct message instead")

	w.api.fail("respond", fault{status: -1})
	w.click(t, malloID, approveButton, r.ID)
	w.work(t)
	assert.Len(t, w.api.told(t, malloID), 2)
	assert.Contains(t, w.log.String(), "could not be answered in its place")
	assert.NotContains(t, w.log.String(), "/respond/", "the address is a secret")
}

func TestTasksThatAreNone(t *testing.T) {
	w := newWorld(t)
	assert.Error(t, w.Later(t.Context(), json.RawMessage(`[]`)))
	require.NoError(t, w.Later(t.Context(), json.RawMessage(`{"do":"dance","user":"U0ALICE"}`)))
	assert.Contains(t, w.api.told(t, aliceID)[0], "Something failed inside")
	require.NoError(t, w.Later(t.Context(), json.RawMessage(`{"do":"approve","user":"me"}`)))
}

// TestAFailureInside is told to who clicked, and to whoever can do something about it.
func TestAFailureInside(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved, request.Active)
	w.click(t, aliceID, revokeButton, r.ID)
	w.store.Fail = func(string) error { return errors.New("AccessDenied: the ARN of a table") }
	w.work(t)
	require.Len(t, w.api.whispered(t, aliceID), 1)
	assert.Contains(t, w.api.whispered(t, aliceID)[0], "give the maintainer this call ID: call-1.")
	require.Len(t, w.troubles, 1)
	assert.Equal(t, request.Trouble{
		What: "What somebody did in Slack (revoke) failed inside the Runtime.", Whom: alice,
		Do: "See whether it took effect: they have been told to try again. The Runtime's log has " +
			"the cause, at the call call-1.", RequestID: r.ID,
	}, w.troubles[0])
	assert.NotContains(t, w.api.whispered(t, aliceID)[0], "ARN")
}
