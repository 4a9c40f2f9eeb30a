package slack

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// change writes something into a request beside its state.
func (w *world) change(t *testing.T, id string, to request.State, do func(*request.Request)) {
	t.Helper()
	change := w.get(t, id).Change(to, request.Act{
		Action: string(to), By: request.ByWorkflow, At: w.clock.Now(), Rule: request.RuleRevoked,
	})
	do(&change.Request)
	require.NoError(t, w.store.Apply(t.Context(), change))
	w.deliver(t, id)
}

// previewer foresees what the test says, or waits until the time for it is over.
type previewer struct {
	foreseen request.Preview
	err      error
	hangs    bool
}

func (p previewer) Preview(ctx context.Context, _ request.Request) (request.Preview, error) {
	if p.hangs {
		<-ctx.Done()
		return request.Preview{}, ctx.Err()
	}
	return p.foreseen, p.err
}

// TestWhatCannotBeGranted is said in the modal, or after it where the function was too slow.
func TestWhatCannotBeGranted(t *testing.T) {
	const words = "The database user alice belongs to alice@old.example.com."
	refused := previewer{err: request.Refuse(nil, request.CannotBeGranted, words)}
	ask := map[string]any{reasonBlock: "Look at order 4711"}

	w := newWorld(t)
	w.service.Previewer = refused
	w.command(t, aliceID, "req")
	assert.Equal(t, map[string]string{targetBlock: words}, w.fill(t, aliceID, ask))
	assert.Empty(t, w.later.payloads)

	w.service.Previewer = previewer{hangs: true}
	assert.Nil(t, w.fill(t, aliceID, ask), "a slow function keeps nobody from asking")
	w.service.Previewer = refused
	w.work(t)
	assert.Empty(t, w.requests(t))
	assert.Equal(t, []string{words}, w.api.told(t, aliceID), "it has answered since")
}

// TestNothingWorksBeforeSetRole has a database user who does not inherit the role.
func TestNothingWorksBeforeSetRole(t *testing.T) {
	w := newWorld(t)
	w.service.Previewer = previewer{foreseen: request.Preview{
		NeedsSetRole: true, CouldLeave: []string{
			"It may create tables in public.", "It may pass on SELECT.", "Three.", "Four.",
		},
	}}
	r := w.submit(t)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks), "Could leave behind:\n• It may create tables "+
		"in public.\n• It may pass on SELECT.\n• Three.\n• and 1 more")
	w.move(t, r.ID, request.Approved, request.Active)
	w.deliver(t, r.ID)
	assert.Contains(t, shown(t, w.message(t).Blocks),
		`Active until 2026-03-03 14:30 UTC; run SET ROLE "readonly"; before using it`)
	all := w.api.told(t, aliceID)
	last := all[len(all)-1]
	assert.Contains(t, last, `Connect as you always do, and run SET ROLE "readonly"; first`)
	assert.NotContains(t, last, "at once")
}

// TestWhatWasLeftBehind is told to the channel and to the requester.
func TestWhatWasLeftBehind(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved, request.Active, request.Revoking)
	w.change(t, r.ID, request.Done, func(r *request.Request) {
		r.LeftBehind = []request.Leftover{
			{Kind: "owned", What: "table public.<!channel>"},
			{Kind: "privilege", What: "SELECT on public.orders to PUBLIC", TakenBack: true},
			{Kind: "owned", What: "view a"}, {Kind: "owned", What: "view b"},
		}
		r.LeftBehindMore, r.NotLookedFor = 2, "One database did not answer."
	})
	const says = "Left behind: table public.<!channel>; SELECT on public.orders to PUBLIC (taken " +
		"back); view a; and 3 more\nIt is not known whether anything was left behind: One " +
		"database did not answer."
	assert.Contains(t, shown(t, w.message(t).Blocks), says)
	all := w.api.told(t, aliceID)
	assert.Contains(t, all[len(all)-1], says)
}

// TestWithdrawingWhatIsApproved clicks on it while it cannot be granted.
func TestWithdrawingWhatIsApproved(t *testing.T) {
	for _, user := range []string{aliceID, bobID} {
		for _, button := range []string{revokeButton, denyButton} {
			w := newWorld(t)
			r := w.submit(t)
			w.move(t, r.ID, request.Approved)
			w.deliver(t, r.ID)
			w.click(t, user, button, r.ID)
			w.work(t)
			require.Equal(t, request.Revoking, w.get(t, r.ID).State)
			w.deliver(t, r.ID)
			text := shown(t, w.message(t).Blocks)
			assert.Contains(t, text, "Being withdrawn: the role will not be granted")
			assert.Contains(t, text, "@example.com withdrew it")
			w.change(t, r.ID, request.Done, func(*request.Request) {})
			text = shown(t, w.message(t).Blocks)
			assert.Contains(t, text, "Withdrawn before anything was granted")
			assert.NotContains(t, text, "Ended")
			all := w.api.told(t, aliceID)
			assert.Contains(t, all[len(all)-1],
				"Withdrawn: readonly in the flow postgres. Nothing was granted.")
		}
	}
}

// TestAnAddressThatHasChanged lets who asked end it, by their account.
func TestAnAddressThatHasChanged(t *testing.T) {
	w := newWorld(t)
	w.command(t, aliceID, "req")
	require.Nil(t, w.fill(t, aliceID, map[string]any{reasonBlock: "Look at order 4711"}))
	w.work(t)
	r := w.requests(t)[0]
	assert.Equal(t, "slack:"+aliceID, r.Account)
	w.api.users[aliceID] = account(aliceID, "alice@new.example.com")
	w.clock.Advance(remember)

	w.click(t, aliceID, denyButton, r.ID)
	assert.Contains(t, w.api.modal(t)["title"].(map[string]any)["text"], "Withdraw")
	w.move(t, r.ID, request.Approved, request.Active)
	w.click(t, aliceID, revokeButton, r.ID)
	w.work(t)
	assert.Equal(t, request.Revoking, w.get(t, r.ID).State)
	assert.Equal(t, request.RuleRequester, w.get(t, r.ID).Revocation.Rule)

	// It never approves, not even where the new address is an approver's.
	w = newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.Approvers = []string{"alice@new.example.com"}
	})
	w.command(t, aliceID, "req")
	require.Nil(t, w.fill(t, aliceID, map[string]any{reasonBlock: "Look at order 4711"}))
	w.work(t)
	w.api.users[aliceID] = account(aliceID, "alice@new.example.com")
	w.clock.Advance(remember)
	w.click(t, aliceID, approveButton, w.requests(t)[0].ID)
	w.work(t)
	assert.Equal(t, request.Requested, w.requests(t)[0].State)
}
