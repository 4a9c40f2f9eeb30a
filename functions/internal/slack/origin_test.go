package slack

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

// TestTheOrganisation has people of an Enterprise organisation use every command, button and modal,
// from the Runtime's workspace, from a sibling workspace, and by an app of the whole organisation.
func TestTheOrganisation(t *testing.T) {
	const org = "E0ORG"
	member := func(u map[string]any) {
		u["team_id"] = "T0SIBLING"
		u["enterprise_user"] = map[string]any{
			"enterprise_id": org, "teams": []string{"T0SIBLING", workspace},
		}
	}
	sibling := func(u map[string]any) {
		u["team_id"] = "T0SIBLING"
		u["enterprise_user"] = map[string]any{
			"enterprise_id": org, "teams": []string{"T0SIBLING"},
		}
	}
	const notHere, notOurs = "not the one that the Runtime belongs to", "belongs to another workspace"
	places := []struct {
		name, team, enterprise string
		account                func(map[string]any)
		refusal                string
	}{
		{"the Runtime's workspace", workspace, org, member, ""},
		{"a sibling", "T0SIBLING", org, member, ""},
		{"an app of the organisation's", "", org, member, ""},
		{"a sibling, by an account of the sibling's alone", "T0SIBLING", org, sibling, notOurs},
		{"another organisation's workspace", "T0SIBLING", "E0OTHER", member, notHere},
		{"another workspace of no organisation", "T0SIBLING", "", member, notHere},
		{"an app of another organisation's", "", "E0OTHER", member, "in which workspace"},
		{"nowhere", "", "", member, "in which workspace"},
	}
	for _, place := range places {
		from := func(payload map[string]any) map[string]any {
			payload["team"], payload["enterprise"] = nil, nil
			if place.team != "" {
				payload["team"] = map[string]any{"id": place.team}
			}
			if place.enterprise != "" {
				payload["enterprise"] = map[string]any{"id": place.enterprise}
			}
			return payload
		}
		start := func(t *testing.T) (*world, request.Request) {
			t.Helper()
			w := newWorld(t)
			w.api.users[bobID] = account(bobID, bob, place.account)
			return w, w.submit(t)
		}
		// told checks that nothing was done, and that the person was told so.
		told := func(t *testing.T, w *world, id string) {
			t.Helper()
			w.work(t)
			whispered := w.api.whispered(t, bobID)
			require.Len(t, whispered, 1)
			assert.Contains(t, whispered[0], place.refusal)
			assert.Equal(t, request.Requested, w.get(t, id).State)
		}
		t.Run("a command from "+place.name, func(t *testing.T) {
			w, _ := start(t)
			form := commandForm(bobID, "list")
			form.Set("team_id", place.team)
			form.Set("enterprise_id", place.enterprise)
			body := w.Handler.Handle(t.Context(), w.event(commandsPath, form)).Body
			if place.refusal == "" {
				assert.Contains(t, body, "Who has what now")
			} else {
				assert.Contains(t, body, place.refusal)
			}
		})
		t.Run("an approval from "+place.name, func(t *testing.T) {
			w, r := start(t)
			assert.Empty(t, w.interact(t, from(w.clickPayload(bobID, approveButton, r.ID))))
			if place.refusal != "" {
				told(t, w, r.ID)
				return
			}
			w.work(t)
			assert.Equal(t, request.Approved, w.get(t, r.ID).State)
			assert.Equal(t, bob, w.get(t, r.ID).Decision.By)
		})
		t.Run("a denial from "+place.name, func(t *testing.T) {
			w, r := start(t)
			assert.Empty(t, w.interact(t, from(w.clickPayload(bobID, denyButton, r.ID))))
			if place.refusal != "" {
				told(t, w, r.ID)
				return
			}
			payload := modalPayload(t, w.api.modal(t), bobID, "view_submission", nil)
			assert.Empty(t, w.interact(t, from(payload)))
			w.work(t)
			assert.Equal(t, request.Denied, w.get(t, r.ID).State)
		})
		t.Run("a modal submitted from "+place.name, func(t *testing.T) {
			w, r := start(t)
			w.api.users[bobID] = account(bobID, bob) // the modal was opened in the Runtime's workspace
			w.click(t, bobID, denyButton, r.ID)
			w.api.users[bobID] = account(bobID, bob, place.account)
			w.clock.Advance(remember)
			payload := modalPayload(t, w.api.modal(t), bobID, "view_submission", nil)
			body := w.interact(t, from(payload))
			if place.refusal == "" {
				assert.Empty(t, body)
				return
			}
			w.work(t)
			said := strings.Join(append(w.api.whispered(t, bobID), body), "")
			assert.Contains(t, said, place.refusal)
			assert.Equal(t, request.Requested, w.get(t, r.ID).State)
		})
	}
}

// TestTheTableFromASibling checks that slack_users can name an account that is not a member of the
// workspace if it belongs to the organisation, and that the same id elsewhere does not count.
func TestTheTableFromASibling(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, _ *rules.Document, s *Settings) {
		s.Users = map[string]string{bobID: bob}
	})
	w.api.users[bobID] = account(bobID, "other@example.com", func(u map[string]any) {
		u["team_id"] = "T0SIBLING"
		u["enterprise_user"] = map[string]any{"enterprise_id": "E0ORG", "teams": []string{"T0SIBLING"}}
	})
	r := w.submit(t)
	click := func(enterprise string) request.State {
		payload := w.clickPayload(bobID, approveButton, r.ID)
		payload["team"] = map[string]any{"id": "T0SIBLING"}
		payload["enterprise"] = map[string]any{"id": enterprise}
		assert.Empty(t, w.interact(t, payload))
		w.work(t)
		return w.get(t, r.ID).State
	}
	assert.Equal(t, request.Requested, click("E0OTHER"))
	assert.Equal(t, request.Approved, click("E0ORG"))
}
