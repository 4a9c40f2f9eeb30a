package test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func approvedAndExpired(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	e.cannotRead(t, session)

	// Asking changes nothing in the database.
	r := e.asks(t, longEnough)
	e.cannotRead(t, session)

	// An approval gives the role, in sessions that are open already, too.
	_, err := w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	r = await(t, e.Person, r.ID, "active")
	_, err = session.Exec(t.Context(), "SET ROLE "+readOnlyRole)
	require.NoError(t, err)
	e.canRead(t, session)
	require.WithinDuration(t, time.Now().Add(longEnough), r.ExpiresAt, longEnough)

	// When the time is up it is gone, even where somebody had set the role.
	await(t, e.Person, r.ID, "done")
	require.True(t, time.Now().After(r.ExpiresAt.Add(-time.Second)), "not before its time")
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")
}

func denied(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	r, err := w.approver(t).Deny(t.Context(), r.ID, "Not on a Friday")
	require.NoError(t, err)
	require.Equal(t, "denied", r.State)

	// The reason is in the record, and nothing was ever granted.
	r = requireStory(t, e.Person, r.ID, "requested", "denied")
	require.Equal(t, "Not on a Friday", r.Audit[1].Reason)
	require.Equal(t, approver, r.Audit[1].By)
	w.requireEnded(t, r.ID)
	e.cannotRead(t, session)
}

func nobodyAnswers(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	flow := w.flowLike(t, "hurried", map[string]any{"approval_timeout_seconds": 3})
	r, err := e.Ask(t.Context(), flow, flow+"-readonly", "Is anybody there?", time.Minute)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "expired")
	e.cannotRead(t, session)

	// Too late is too late.
	_, err = w.approver(t).Approve(t.Context(), r.ID)
	requireCode(t, err, 409, "already_decided")
	w.requireEnded(t, r.ID)
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested", "expired")
}

func revokedEarly(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, 10*time.Minute)
	_, err := w.approver(t).Approve(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "active")
	e.canRead(t, session)

	// Long before its time, the requester has had enough.
	_, err = e.Revoke(t.Context(), r.ID)
	require.NoError(t, err)
	await(t, e.Person, r.ID, "done")
	e.cannotRead(t, session)
	r = requireStory(t, e.Person, r.ID, "requested", "approved", "active", "revoking", "done")
	require.Equal(t, e.Email, r.Audit[3].By)
}

func selfApproval(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	_, err := e.Approve(t.Context(), r.ID)
	requireCode(t, err, 403, "self_approval")

	// Nor may an approver, of their own request.
	bob := w.approver(t)
	own, err := bob.Ask(t.Context(), w.deployment.Flow, readOnly, "I know best", time.Minute)
	require.NoError(t, err)
	_, err = bob.Approve(t.Context(), own.ID)
	requireCode(t, err, 403, "self_approval")

	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested")
}

func notOnTheList(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	r := e.asks(t, time.Minute)
	stranger := w.person(t, "mallory@example.com")
	_, err := stranger.Approve(t.Context(), r.ID)
	requireCode(t, err, 403, "not_an_approver")
	_, err = stranger.Deny(t.Context(), r.ID, "no")
	requireCode(t, err, 403, "not_an_approver")
	_, err = stranger.Revoke(t.Context(), r.ID)
	require.Error(t, err)
	e.cannotRead(t, session)
	requireStory(t, e.Person, r.ID, "requested")
}

func decidedAlready(t *testing.T, w *world) {
	e := w.engineer(t)
	session := e.session(t)
	carol := w.person(t, "carol@example.com")
	r := e.asks(t, time.Minute)
	_, err := w.approver(t).Deny(t.Context(), r.ID, "")
	require.NoError(t, err)
	_, err = carol.Approve(t.Context(), r.ID)
	requireCode(t, err, 409, "already_decided")
	_, err = carol.Deny(t.Context(), r.ID, "me too")
	requireCode(t, err, 409, "already_decided")
	_, err = e.Revoke(t.Context(), r.ID)
	requireCode(t, err, 409, "not_active")
	requireStory(t, e.Person, r.ID, "requested", "denied")
	e.cannotRead(t, session)
}

func nameless(t *testing.T, w *world) {
	// The administrator's keys are nobody's in particular.
	admin := w.approver(t)
	admin.Keys = w.box.Admin
	_, err := admin.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "unknown_caller")

	// An HTTP API lets in nobody of another account.
	stranger := w.approver(t)
	stranger.Keys = w.box.Administrator(strangerAccount)
	_, err = stranger.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "")

	// Keys that are not the sandbox's do not even get that far.
	forged := w.approver(t)
	forged.Keys.SecretAccessKey = "guessed"
	_, err = forged.Call(t.Context(), "GET", "/requests", nil)
	requireCode(t, err, 403, "")
}
