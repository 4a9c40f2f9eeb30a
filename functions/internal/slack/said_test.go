package slack

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// chosen is what the form that was opened last has chosen, by the names of its blocks.
func (w *world) chosen(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, b := range w.api.modal(t)["blocks"].([]any) {
		block := b.(map[string]any)
		element, _ := block["element"].(map[string]any)
		if option, ok := element["initial_option"].(map[string]any); ok {
			name, _, _ := strings.Cut(block["block_id"].(string), ":")
			all[name] = option["value"].(string)
		}
	}
	return all
}

func TestTheCommandFindsTargets(t *testing.T) {
	w := newWorld(t)
	for said, target := range map[string]string{
		"readonly": "postgres-readonly", "ADMIN": "postgres-admin",
		"postgres-admin": "postgres-admin", "postgres admin": "postgres-admin",
		"postgres": "postgres-readonly", "": "postgres-readonly",
	} {
		require.Empty(t, w.command(t, aliceID, "req "+said), said)
		assert.Equal(t, "postgres", w.chosen(t)[flowBlock], said)
		assert.Equal(t, target, w.chosen(t)[targetBlock], said)
	}
	assert.Contains(t, w.command(t, aliceID, "req mysql admin"), `no flow or target "mysql admin"`)

	one := request.Flow{Name: "one", Targets: []request.Target{{Name: "one-app", RoleName: "app"}}}
	two := request.Flow{Name: "two", Targets: []request.Target{{Name: "two-app", RoleName: "app"}}}
	_, err := choose([]request.Flow{one, two}, alice, "app")
	assert.ErrorContains(t, err, `"app" can be several targets. Add the flow and the target: one `+
		`one-app, or two two-app.`)
	c, err := choose([]request.Flow{one, two}, alice, "two app")
	require.NoError(t, err)
	assert.Equal(t, "two-app", c.target.Name)
}

// TestLongLabelsKeepTheRole checks that no menu offers two targets that read the same.
func TestLongLabelsKeepTheRole(t *testing.T) {
	long := strings.Repeat("Reads every table of the orders database, ", 3)
	label := labelled(long, "readonly")
	assert.LessOrEqual(t, len([]rune(label)), mostOption)
	assert.Regexp(t, `^Reads every table .*… \(readonly\)$`, label)
	role := strings.Repeat("r", 63)
	assert.Equal(t, "Reads ev… ("+role+")", labelled(long, role))
	assert.Equal(t, "Read only (readonly)", labelled("Read only", "readonly"))
}

func TestAStrangerIsToldHowToBecomeKnown(t *testing.T) {
	w := newWorld(t)
	w.api.users["U0GUEST"] = account("U0GUEST", "guest@example.com", set("is_restricted", true))
	answer := w.command(t, "U0GUEST", "list")
	assert.Contains(t, answer, "Ask the Runtime's maintainer to add you to slack_users in Terraform")
	assert.Contains(t, answer, "Your Slack user ID is U0GUEST.")
}

// TestASecondClickIsAnswered checks that who decides again is told how it stands, instead of
// nothing.
func TestASecondClickIsAnswered(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) { d.Approvals = 2 })
	r := w.submit(t)
	w.click(t, bobID, approveButton, r.ID)
	w.work(t)
	assert.Empty(t, w.api.whispered(t, bobID), "the message shows it")
	w.clock.Advance(time.Minute)
	w.click(t, bobID, approveButton, r.ID)
	w.work(t)
	assert.Equal(t, []string{"You approved the request of alice@example.com for readonly already, at 2026-03-03 14:00 UTC. It has 1 " +
		"of 2 approvals and waits for others."}, w.api.whispered(t, bobID))

	w.click(t, carolID, approveButton, r.ID)
	w.work(t)
	w.clock.Advance(time.Minute)
	w.click(t, carolID, approveButton, r.ID)
	w.work(t)
	assert.Equal(t, []string{"You approved the request of alice@example.com for readonly already, at 2026-03-03 14:01 UTC. It is " +
		"approved now."}, w.api.whispered(t, carolID))

	w.move(t, r.ID, request.Active)
	for range 2 {
		w.click(t, aliceID, revokeButton, r.ID)
		w.work(t)
		w.clock.Advance(time.Minute)
	}
	assert.Equal(t, []string{"You ended the request of alice@example.com for readonly already, at 2026-03-03 14:02 UTC. It is " +
		"revoking now."}, w.api.whispered(t, aliceID))
}

// TestNoFormForThoseWhoMayNot checks that nobody writes a reason for what they may not do.
func TestNoFormForThoseWhoMayNot(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, d *rules.Document, _ *Settings) {
		d.BreakGlass = &rules.BreakGlass{People: []string{alice}}
	})
	r := w.submit(t)
	w.click(t, malloID, denyButton, r.ID)
	assert.Contains(t, strings.Join(w.api.whispered(t, malloID), " "), "are not an approver")

	broken := w.submit(t, request.Submission{Flow: "postgres", Target: "admin", Reason: "x",
		BreakGlass: true})
	w.move(t, broken.ID, request.Active)
	w.click(t, malloID, reviewButton, broken.ID)
	assert.Contains(t, w.api.whispered(t, malloID)[1], "are not an approver")
	w.click(t, aliceID, reviewButton, broken.ID)
	assert.Contains(t, strings.Join(w.api.whispered(t, aliceID), " "), "somebody else has to review")
	assert.Zero(t, w.api.opened())

	w.click(t, bobID, denyButton, r.ID)
	w.click(t, bobID, reviewButton, broken.ID)
	assert.Equal(t, 2, w.api.opened())
}

// TestTheRequesterLearnsWhyARequestIsStuck checks that they are told once, and that the channel
// and the list show it.
func TestTheRequesterLearnsWhyARequestIsStuck(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved)
	w.deliver(t, r.ID)
	before := len(w.api.to(aliceID))
	fails := func(step, reason string) {
		t.Helper()
		require.NoError(t, w.store.KeepFailure(t.Context(), r.ID, request.Failure{
			Step: step, Reason: reason, At: w.clock.Now(),
		}))
	}
	fails(request.StepEscalate, "The database cannot be reached.")
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	assert.Len(t, w.api.to(aliceID), before, "it may still pass")

	w.clock.Advance(stuckAfter)
	for range 3 {
		require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	}
	told := w.api.told(t, aliceID)
	require.Len(t, told, before+1, "once")
	assert.Contains(t, told[before], "readonly in the flow postgres: Approved, but not granted yet. "+
		"The last try, at 2026-03-03 14:00 UTC, failed: The database cannot be reached. It is tried "+
		"again.")
	assert.Contains(t, told[before], "Withdraw")
	assert.Contains(t, shown(t, w.api.to(channel)[0].Blocks), "The database cannot be reached.")
	assert.Contains(t, w.command(t, aliceID, "list"), "The database cannot be reached.")

	w.move(t, r.ID, request.Active, request.Revoking)
	w.deliver(t, r.ID)
	assert.NotContains(t, shown(t, w.api.to(channel)[0].Blocks), "cannot be reached", "that is over")
	w.clock.Advance(stuckAfter)
	fails(request.StepDeescalate, "The database is busy.")
	require.NoError(t, w.Remind(t.Context(), w.clock.Now()))
	told = w.api.told(t, aliceID)
	assert.Contains(t, told[len(told)-1], "Ending: the role could not be taken away yet. The last "+
		"try, at 2026-03-03 14:02 UTC, failed: The database is busy.")
	assert.Contains(t, w.command(t, bobID, "list"), "The database is busy.")
}

// TestTheQuestionBeforeRevoking promises no more than revoking does: another request may give the
// same role.
func TestTheQuestionBeforeRevoking(t *testing.T) {
	w := newWorld(t)
	r := w.submit(t)
	w.move(t, r.ID, request.Approved, request.Active)
	w.deliver(t, r.ID)
	blocks, err := json.Marshal(w.api.to(channel)[0].Blocks)
	require.NoError(t, err)
	assert.Contains(t, string(blocks), "they keep it until that one ends")
}
