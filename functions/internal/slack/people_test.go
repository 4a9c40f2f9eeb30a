package slack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/request"
	"sym-postgres-quickstart/functions/internal/rules"
)

func set(key string, value any) func(map[string]any) {
	return func(u map[string]any) { u[key] = value }
}

func TestWhoIsWho(t *testing.T) {
	const user = "U0SOMEBODY"
	email := func(address string) func(map[string]any) {
		return set("profile", map[string]any{"email": address})
	}
	tests := []struct {
		name     string
		change   func(map[string]any)
		email    string
		sentence string // of the refusal
	}{
		{"a member", set("real_name", "Alice"), alice, ""},
		{"in capitals", email("ALICE@Example.COM"), alice, ""},
		{"a member of an organisation's workspaces", func(u map[string]any) {
			u["team_id"] = "T0OTHER"
			u["enterprise_user"] = map[string]any{"teams": []string{"T0MORE", workspace}}
		}, alice, ""},
		{"a bot", set("is_bot", true), "", "A bot cannot"},
		{"a workflow's bot", set("is_workflow_bot", true), "", "A bot cannot"},
		{"deactivated", set("deleted", true), "", "has been deactivated"},
		{"a guest of several channels", set("is_restricted", true), "", "is a guest's"},
		{"a guest of one channel", set("is_ultra_restricted", true), "", "is a guest's"},
		{"a stranger", set("is_stranger", true), "", "belongs to another workspace"},
		{"of another team", set("team_id", "T0OTHER"), "", "belongs to another workspace"},
		{"of no team", set("team_id", ""), "", "belongs to another workspace"},
		{"invited", set("is_invited_user", true), "", "has not joined yet"},
		{"not confirmed", set("is_email_confirmed", false), "", "is not confirmed"},
		{"confirmation unknown", func(u map[string]any) { delete(u, "is_email_confirmed") }, "",
			"is not confirmed"},
		{"without an address", email(""), "", "shows no e-mail address"},
		{"Cyrillic", email("аlice@example.com"), "", "other than ASCII's"},
		{"a Kelvin sign", email("bo\u212a@example.com"), "", "other than ASCII's"},
		{"full width", email("ａlice@example.com"), "", "other than ASCII's"},
		{"invisible", email("ali\u200bce@example.com"), "", "other than ASCII's"},
		{"no address", email("alice"), "", "or is none: alice."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.api.users[user] = account(user, alice, test.change)
			email, err := w.Handler.people.email(t.Context(), user)
			assert.Equal(t, test.email, email)
			if test.sentence == "" {
				assert.NoError(t, err)
				return
			}
			assert.Contains(t, refusal(err), test.sentence)
			assert.Contains(t, refusal(err), "slack_users", "what to do")
			assert.True(t, isCode(err, UnknownPerson))

			// Nor are they written to.
			delete(w.api.users, aliceID)
			id, err := w.Handler.people.user(t.Context(), alice)
			assert.NoError(t, err)
			assert.Empty(t, id)
		})
	}
}

func TestUnknownAccounts(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"U0NOBODY", "", "alice", "<@U0ALICE>", "U0ALICE,U0BOB", "B0BOT"} {
		email, err := w.Handler.people.email(t.Context(), id)
		assert.Empty(t, email)
		assert.True(t, isCode(err, UnknownPerson), "%q: %v", id, err)
	}
}

func TestTheTableGoesBeforeSlack(t *testing.T) {
	w := newWorld(t, func(_ *request.Flow, _ *rules.Document, s *Settings) {
		s.Users = map[string]string{
			"U0GUEST": "Guest@example.com", // a guest, by name
			malloID:   carol,               // somebody whose Slack address is another
			"W0CAROL": carol,               // and their second account
		}
	})
	w.api.users["U0GUEST"] = account("U0GUEST", "guest@elsewhere.example",
		set("is_restricted", true))
	p := w.Handler.people
	for id, want := range map[string]string{"U0GUEST": "guest@example.com", malloID: carol,
		"W0CAROL": carol, aliceID: alice} {
		email, err := p.email(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, want, email)
	}
	for email, want := range map[string]string{
		"guest@example.com": "U0GUEST",
		carol:               malloID, // the first by its id, every time
		mallo:               "",      // the account with this address is carol's, says the table
		alice:               aliceID,
	} {
		id, err := p.user(t.Context(), email)
		require.NoError(t, err)
		assert.Equal(t, want, id, email)
	}
}

func TestAnswersAreRememberedForMinutes(t *testing.T) {
	w := newWorld(t)
	email := func() string {
		email, err := w.Handler.people.email(t.Context(), aliceID)
		require.NoError(t, err)
		return email
	}
	assert.Equal(t, alice, email())
	w.api.users[aliceID] = account(aliceID, "renamed@example.com")
	w.clock.Advance(remember - time.Second)
	assert.Equal(t, alice, email())
	assert.Len(t, w.api.calls, 1)
	w.clock.Advance(time.Second)
	assert.Equal(t, "renamed@example.com", email())

	// A refusal is not remembered.
	w.api.users["U0NEW"] = account("U0NEW", "new@example.com", set("is_email_confirmed", false))
	_, err := w.Handler.people.email(t.Context(), "U0NEW")
	assert.Error(t, err)
	w.api.users["U0NEW"] = account("U0NEW", "new@example.com")
	_, err = w.Handler.people.email(t.Context(), "U0NEW")
	assert.NoError(t, err)
}

func TestSettingsAreChecked(t *testing.T) {
	tests := []struct{ document, problem string }{
		{``, ""},
		{`{}`, ""},
		{`{"U012AB3CD": "alice@example.com", "W012AB3CD": "Bob@Example.com"}`, ""},
		{`[]`, "no JSON object"},
		{`{"U012AB3CD": 1}`, "is no e-mail address in ASCII"},
		{`{"alice": "alice@example.com"}`, `"alice" is no user id`},
		{`{"U012AB3CD": "аlice@example.com"}`, "is no e-mail address in ASCII"},
		{`{"U012AB3CD": ""}`, "is no e-mail address in ASCII"},
	}
	for _, test := range tests {
		users, err := ParseUsers(test.document)
		if test.problem == "" {
			require.NoError(t, err)
			_, err = New(Settings{Workspace: workspace, Users: users}, Parts{})
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, test.problem)
	}
	_, err := New(Settings{}, Parts{})
	assert.ErrorContains(t, err, "workspace is empty")
}

// TestBadEntry checks that an entry which cannot be used stops neither the others nor Slack, and
// that its account is nobody's, whatever Slack says of it.
func TestBadEntry(t *testing.T) {
	users, err := ParseUsers(`{"U0BAD": "x", "alice": "alice@example.com", "U0GOOD": "dave@example.com"}`)
	assert.ErrorContains(t, err, `"alice" is no user id`)
	assert.ErrorContains(t, err, "for the Slack user U0BAD")
	people := newPeople(Settings{Workspace: workspace, Users: users}, Parts{Now: time.Now})
	email, err := people.email(t.Context(), "U0GOOD")
	require.NoError(t, err)
	assert.Equal(t, "dave@example.com", email)
	_, err = people.email(t.Context(), "U0BAD")
	assert.ErrorContains(t, err, "table slack_users cannot be used")
	id, err := people.user(t.Context(), "dave@example.com")
	require.NoError(t, err)
	assert.Equal(t, "U0GOOD", id)
}
