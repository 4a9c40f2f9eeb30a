package slack

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTriggers(t *testing.T) {
	a := start(t)
	var trigger string
	a.command = func(given url.Values) any { trigger = given.Get("trigger_id"); return nil }
	give := func() {
		_, err := a.As(Alice).Command(t.Context(), "/sym req")
		require.NoError(t, err)
	}
	open := func(id string) error {
		_, err := a.api.OpenViewContext(t.Context(), id, form("Ask"))
		return err
	}
	give()
	refused(t, open("1.2.3"), "invalid_trigger_id")
	a.clock.advance(3*time.Second + 1)
	refused(t, open(trigger), "expired_trigger_id")
	give()
	a.clock.advance(3 * time.Second)
	require.NoError(t, open(trigger))
	refused(t, open(trigger), "exchanged_trigger_id")

	bad := form("A title that is much too long")
	_, err := a.api.OpenViewContext(t.Context(), trigger, bad)
	r := refused(t, err, "invalid_arguments")
	assert.Equal(t, []string{"[ERROR] must be less than 25 characters " +
		"[json-pointer:/view/title/text]"}, r.ResponseMetadata.Messages)
}

func TestSubmit(t *testing.T) {
	a := start(t)
	a.opens(t, form("Ask"))
	var said slackapi.InteractionCallback
	a.interact = func(s slackapi.InteractionCallback) any { said = s; return nil }
	v := a.opened(t, Alice)
	assert.Equal(t, "Ask", v.Title)
	assert.Equal(t, []string{"readonly", "readwrite"}, v.Options("Target"))
	assert.Nil(t, a.Modal(Bob))

	errs, err := a.As(Alice).Submit(t.Context(), v, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"reason": required}, errs)
	errs, err = a.As(Alice).Submit(t.Context(), v, map[string]any{
		"Reason": "longer than twenty characters"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"reason": "This is longer than 20 characters."}, errs)
	assert.Len(t, a.got, 1, "Slack says so itself")
	_, err = a.As(Alice).Submit(t.Context(), v, map[string]any{"Target": "root"})
	assert.ErrorContains(t, err, `"root" is not offered, but Role readonly, Role readwrite`)
	_, err = a.As(Bob).Submit(t.Context(), v, nil)
	assert.ErrorContains(t, err, "no such modal")

	errs, err = a.As(Alice).Submit(t.Context(), v, map[string]any{
		"target": "Role readwrite", "Reason": "to see", "Emergency": []string{"yes"}})
	require.NoError(t, err)
	assert.Empty(t, errs)
	assert.Nil(t, a.Modal(Alice))
	assert.Equal(t, slackapi.InteractionTypeViewSubmission, said.Type)
	assert.Equal(t, "form", said.View.CallbackID)
	assert.Equal(t, "m-1", said.View.PrivateMetadata)
	assert.Equal(t, v.ID, said.View.ID)
	values := said.View.State.Values
	assert.Equal(t, "readwrite", values["target"]["value"].SelectedOption.Value)
	assert.Equal(t, "to see", values["reason"]["value"].Value)
	assert.Equal(t, "yes", values["loud"]["value"].SelectedOptions[0].Value)

	v = a.opened(t, Alice)
	_, err = a.As(Alice).Submit(t.Context(), v, map[string]any{"Target": "root"}, Unchecked())
	require.NoError(t, err)
	values = said.View.State.Values
	assert.Equal(t, "root", values["target"]["value"].SelectedOption.Value)
	assert.Empty(t, values["reason"]["value"].Value)
}

func TestWhatAnAppAnswersToAModal(t *testing.T) {
	a := start(t)
	var answer any
	a.interact = func(slackapi.InteractionCallback) any { return answer }
	a.opens(t, form("Ask"))
	v := a.opened(t, Alice)
	submit := func(v View) (map[string]string, error) {
		return a.As(Alice).Submit(t.Context(), v, map[string]any{"Reason": "x"})
	}

	answer = slackapi.NewErrorsViewSubmissionResponse(map[string]string{"reason": "Say more."})
	errs, err := submit(v)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"reason": "Say more."}, errs)
	assert.Equal(t, errs, a.Modal(Alice).Errors)
	assert.Equal(t, "x", a.Modal(Alice).Values["reason"]["value"].(map[string]any)["value"])

	second := form("Second")
	answer = slackapi.NewPushViewSubmissionResponse(&second)
	_, err = submit(v)
	require.NoError(t, err)
	top := *a.Modal(Alice)
	assert.Equal(t, "Second", top.Title)
	third := form("Third")
	answer = slackapi.NewUpdateViewSubmissionResponse(&third)
	_, err = submit(top)
	require.NoError(t, err)
	assert.Equal(t, top.ID, a.Modal(Alice).ID)
	assert.Equal(t, "Third", a.Modal(Alice).Title)
	for _, wanted := range []string{"", "push_limit_reached"} {
		s := a.Server
		s.mu.Lock()
		trigger := s.trigger(Alice)
		s.mu.Unlock()
		_, err = a.api.PushViewContext(t.Context(), trigger, form("Pushed"))
		if wanted == "" {
			require.NoError(t, err)
			assert.Equal(t, "Pushed", a.Modal(Alice).Title)
			continue
		}
		refused(t, err, wanted)
	}
	require.NoError(t, a.As(Alice).Dismiss(t.Context(), *a.Modal(Alice)))
	answer = nil
	_, err = submit(top)
	require.NoError(t, err)
	assert.Equal(t, v.ID, a.Modal(Alice).ID, "the one below")
	answer = slackapi.NewClearViewSubmissionResponse()
	_, err = submit(v)
	require.NoError(t, err)
	assert.Nil(t, a.Modal(Alice))

	for name, wrong := range map[string]any{
		"no JSON":       "done",
		"no such block": slackapi.NewErrorsViewSubmissionResponse(map[string]string{"other": "x"}),
		"no errors":     slackapi.NewErrorsViewSubmissionResponse(nil),
		"no view":       map[string]any{"response_action": "update"},
		"no action":     map[string]any{"response_action": "explode"},
	} {
		v = a.opened(t, Alice)
		answer = wrong
		_, err = submit(v)
		require.Error(t, err, name)
		assert.Equal(t, trouble, a.Modal(Alice).Trouble, name)
	}
	a.status = http.StatusInternalServerError
	_, err = submit(v)
	require.Error(t, err)
	assert.Equal(t, trouble, a.Modal(Alice).Trouble)
}

func TestAModalThatChangesWithAChoice(t *testing.T) {
	a := start(t)
	a.opens(t, form("Ask"))
	var clicked slackapi.InteractionCallback
	a.interact = func(s slackapi.InteractionCallback) any {
		clicked = s
		changed := form("Ask again")
		changed.Blocks.BlockSet[0].(*slackapi.InputBlock).Label = plain("The target")
		_, err := a.api.UpdateViewContext(t.Context(), changed, "", s.View.Hash, s.View.ID)
		assert.NoError(t, err)
		return nil
	}
	v := a.opened(t, Alice)
	require.NoError(t, a.As(Alice).Choose(t.Context(), v, "Reason", "written before"))
	assert.Len(t, a.got, 1, "only what wants to be told of is told")
	require.NoError(t, a.As(Alice).Choose(t.Context(), v, "Target", "readwrite"))
	assert.Equal(t, slackapi.InteractionTypeBlockActions, clicked.Type)
	assert.Equal(t, "readwrite", clicked.ActionCallback.BlockActions[0].SelectedOption.Value)
	assert.Equal(t, "written before", clicked.View.State.Values["reason"]["value"].Value)

	now := *a.Modal(Alice)
	assert.Equal(t, "Ask again", now.Title)
	assert.NotEqual(t, v.Hash, now.Hash)
	assert.Equal(t, "target", now.Block("The target"))
	assert.Equal(t, "written before", now.Values["reason"]["value"].(map[string]any)["value"])
	_, err := a.api.UpdateViewContext(t.Context(), form("Late"), "", v.Hash, v.ID)
	refused(t, err, "hash_conflict")
	_, err = a.api.UpdateViewContext(t.Context(), form("Late"), "", "", "V0")
	refused(t, err, "not_found")
}

func TestDismiss(t *testing.T) {
	a := start(t)
	view := form("Ask")
	a.opens(t, view)
	require.NoError(t, a.As(Alice).Dismiss(t.Context(), a.opened(t, Alice)))
	assert.Nil(t, a.Modal(Alice))
	assert.Len(t, a.got, 1, "the app has not asked to be told")

	view.NotifyOnClose = true
	a.opens(t, view)
	var said slackapi.InteractionCallback
	a.interact = func(s slackapi.InteractionCallback) any { said = s; return nil }
	require.NoError(t, a.As(Alice).Dismiss(t.Context(), a.opened(t, Alice)))
	assert.Equal(t, slackapi.InteractionTypeViewClosed, said.Type)
}

func TestWaiting(t *testing.T) {
	a := start(t)
	go func() {
		for _, text := range []string{"one", "two"} {
			_, _, _ = a.api.PostMessageContext(t.Context(), Requests,
				slackapi.MsgOptionText(text, false))
			_, _, _ = a.api.PostMessageContext(t.Context(), Alice,
				slackapi.MsgOptionText("dear "+text, false))
			_, _ = a.api.PostEphemeralContext(t.Context(), Requests, Alice,
				slackapi.MsgOptionText("psst "+text, false))
		}
	}()
	m, err := a.WaitMessage(soon(t), Requests, Says("two"))
	require.NoError(t, err)
	assert.Equal(t, "two", m.Shown)
	_, err = a.WaitDM(soon(t), Alice, Says("dear", "two"))
	require.NoError(t, err)
	_, err = a.WaitWhisper(soon(t), Alice, Says("psst two"))
	require.NoError(t, err)
	a.opens(t, form("Ask"))
	var given sync.WaitGroup
	given.Go(func() { _, _ = a.As(Alice).Command(t.Context(), "/sym req") })
	_, err = a.WaitModal(soon(t), Alice, func(v View) bool { return v.Title == "Ask" })
	require.NoError(t, err)
	given.Wait()

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.WaitMessage(over, Requests, Says("three"))
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "one\n--\ntwo")
	_, err = a.WaitModal(over, Bob, func(View) bool { return true })
	require.ErrorIs(t, err, context.Canceled)
}
