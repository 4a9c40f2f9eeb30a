package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// The buttons, by their action ids. A button's value is the request's id and nothing else.
const (
	approveButton = "sym_approve"
	denyButton    = "sym_deny"
	revokeButton  = "sym_revoke"
	extendButton  = "sym_extend"
	reviewButton  = "sym_review"
)

// interactions answers clicks and submitted modals.
func (h *Handler) interactions(ctx context.Context, c call) events.APIGatewayV2HTTPResponse {
	var said slackapi.InteractionCallback
	if err := json.Unmarshal([]byte(c.form.Get("payload")), &said); err != nil {
		return failure(http.StatusBadRequest, "invalid_payload", "The payload cannot be read.")
	}
	if err := h.people.admit(ctx, originOf(said)); err != nil {
		return h.turnAway(ctx, c, said, err)
	}
	switch said.Type {
	case slackapi.InteractionTypeBlockActions:
		for _, action := range said.ActionCallback.BlockActions {
			h.act(ctx, c, said, action)
		}
	case slackapi.InteractionTypeViewSubmission:
		return h.submitted(ctx, c, said)
	}
	return done()
}

// turnAway says that nothing was done, and why: in the modal, or where the person clicked.
func (h *Handler) turnAway(
	ctx context.Context, c call, said slackapi.InteractionCallback, err error,
) events.APIGatewayV2HTTPResponse {
	h.Log.WarnContext(ctx, "a call from elsewhere", "call", c.id, "team", said.Team.ID,
		"enterprise", said.Enterprise.ID, "user", said.User.ID)
	sentence := h.sentence(ctx, c.id, "admit", err)
	if said.Type == slackapi.InteractionTypeViewSubmission {
		return h.modalErrors(said.View, "", sentence)
	}
	if said.ResponseURL == "" {
		return done()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := h.client.respond(ctx, said.ResponseURL, say(sentence)); err != nil {
		h.Log.ErrorContext(ctx, "the person could not be told", "call", c.id, "error", err)
	}
	return done()
}

// act does what a click in a message or in a modal asks for. What goes wrong is told to who
// clicked.
func (h *Handler) act(
	ctx context.Context, c call, said slackapi.InteractionCallback, action *slackapi.BlockAction,
) {
	t := task{
		User: said.User.ID, ID: action.Value, ReplyTo: said.ResponseURL, Call: c.id,
		Answer: said.Container.IsEphemeral, // a list does not change
	}
	var err error
	switch action.ActionID {
	case valueAction:
		err = h.chosen(ctx, said)
	case approveButton:
		err = h.later(ctx, t, doApprove)
	case revokeButton:
		err = h.later(ctx, t, doRevoke)
	case denyButton, extendButton, reviewButton:
		err = h.form(ctx, said.TriggerID, action.ActionID, t)
	}
	if err == nil {
		return
	}
	// The time for the reply may be what has run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := h.tell(ctx, t, h.sentence(ctx, c.id, action.ActionID, err)); err != nil {
		h.Log.ErrorContext(ctx, "nobody could be told", "call", c.id, "error", err)
	}
}

// later has a task done after the reply.
func (d desk) later(ctx context.Context, t task, do string) error {
	t.Do = do
	return d.Later.Do(ctx, map[string]any{"step": Step, "slack": t})
}

// chosen changes the modal of a new request to what its flow and target offer.
func (h *Handler) chosen(ctx context.Context, said slackapi.InteractionCallback) error {
	person, flows, err := h.offeredTo(ctx, said.User.ID)
	if err != nil {
		return err
	}
	f := read(said.View)
	c, err := choose(flows, person, f.selected(flowBlock))
	if err != nil {
		return err
	}
	err = h.client.change(ctx, c.with(f.selected(targetBlock)).modal(), said.View.Hash, said.View.ID)
	if codeIs(err, "hash_conflict") {
		return nil // a later click, whose own call changes it
	}
	return err
}

// form opens the modal that a button stands for.
func (h *Handler) form(ctx context.Context, trigger, button string, t task) error {
	person, story, err := together(
		func() (string, error) { return h.people.email(ctx, t.User) },
		func() (request.Story, error) { return h.Service.Show(ctx, t.ID) },
	)
	if err != nil {
		return err
	}
	r := story.Request
	// Where it is too late for the modal, doing it without is refused, and the service knows why.
	switch {
	case button == denyButton && r.State != request.Requested:
		return h.later(ctx, t, doDeny)
	case button == reviewButton && r.ReviewDue.IsZero():
		return h.later(ctx, t, doReview)
	}
	var view slackapi.ModalViewRequest
	switch button {
	case extendButton:
		err := h.Service.CheckExtension(ctx, person, r.ID, request.Extension{})
		if isCode(err, request.NotYours, request.NotActive) {
			return err // anything else may be put right in the modal
		}
		if view, err = h.extendForm(ctx, r); err != nil {
			return err
		}
	case denyButton:
		if err := h.Service.CheckDenial(acting(ctx, t.User), person, r.ID); err != nil {
			return err
		}
		title, submit, hint := "Deny the request", "Deny", "What the requester should know."
		if r.Owns(acting(ctx, t.User), person) {
			title, submit, hint = "Withdraw the request", "Withdraw", "Why you do not need it."
		}
		view = modal(denyModal, title, submit, "", about(r),
			input(reasonBlock, "Reason", textInput(hint, "")).WithOptional(true))
	case reviewButton:
		if err := h.Service.CheckReview(acting(ctx, t.User), person, r.ID); err != nil {
			return err
		}
		view = modal(reviewModal, "Review break-glass", "Reviewed", "", about(r),
			input(reasonBlock, "What you found", textInput("What the access was used for, and "+
				"whether that was right.", "")))
	}
	view.PrivateMetadata = task{ID: r.ID, ReplyTo: t.ReplyTo, Answer: t.Answer}.metadata()
	return h.opened(h.client.open(ctx, trigger, view))
}

// about says in a modal which request it is about.
func about(r request.Request) slackapi.Block {
	return rich(lines(line{
		bold(r.Requester), words(" asks for "), code(r.Target.RoleName),
		words(" in the flow %s for %s:", r.Flow, request.Lasting(r.Duration)),
	}), quote(r.Reason))
}

// extendForm is the modal of an extension, with the durations that the target has now.
func (h *Handler) extendForm(ctx context.Context, r request.Request) (
	slackapi.ModalViewRequest, error,
) {
	flows, err := h.Service.Offered(ctx)
	if err != nil {
		return slackapi.ModalViewRequest{}, err
	}
	target := r.Target
	for _, f := range flows {
		for _, t := range f.Targets {
			if f.Name == r.Flow && t.Name == target.Name {
				target = t
			}
		}
	}
	return modal(extendModal, "Extend access", "Request", "",
		rich(lines(line{
			words("You have "), code(r.Target.RoleName), words(" in the flow %s until ", r.Flow),
			moment(r.ExpiresAt), words(". An extension is a new request: it begins when it is " +
				"approved, and you keep the role until the last one ends."),
		})),
		input(durationBlock, "For how long from then", durations(target, r.Duration)),
		input(reasonBlock, "Reason", textInput("What you still need it for.", r.Reason)),
	), nil
}

// fields are what was put into a modal.
type fields struct {
	blocks map[string]string // the blocks' ids, by what they begin with
	values map[string]slackapi.BlockAction
}

func read(view slackapi.View) fields {
	f := fields{blocks: map[string]string{}, values: map[string]slackapi.BlockAction{}}
	if view.State == nil {
		return f
	}
	for id, elements := range view.State.Values {
		name, _, _ := strings.Cut(id, ":")
		f.blocks[name], f.values[name] = id, elements[valueAction]
	}
	return f
}

func (f fields) selected(name string) string { return f.values[name].SelectedOption.Value }

func (f fields) text(name string) string { return f.values[name].Value }

func (f fields) checked(name string) bool { return len(f.values[name].SelectedOptions) > 0 }

// duration is what was chosen; nil where nothing was. What is no number of ours becomes one that
// the service refuses.
func (f fields) duration() *time.Duration {
	chosen := f.selected(durationBlock)
	if chosen == "" {
		return nil
	}
	n, err := strconv.ParseInt(chosen, 10, 32)
	if err != nil {
		n = -1
	}
	return new(time.Duration(n) * time.Second)
}

// checkWithin is how long the check of a modal may take. What is not checked by then is checked
// when it is done.
const checkWithin = 1800 * time.Millisecond

// submitted answers a modal that was submitted: with errors that stand in it, or by closing it and
// doing the work afterwards.
func (h *Handler) submitted(
	ctx context.Context, c call, said slackapi.InteractionCallback,
) events.APIGatewayV2HTTPResponse {
	f := read(said.View)
	t := task{User: said.User.ID, Call: c.id}
	t.read(said.View.PrivateMetadata)
	switch said.View.CallbackID {
	case requestModal, extendModal:
		t.Do = doSubmit
		if said.View.CallbackID == extendModal {
			t.Do = doExtend
		}
		t.Flow, t.Target = f.selected(flowBlock), f.selected(targetBlock)
		t.Duration, t.Reason = f.duration(), f.text(reasonBlock)
		t.BreakGlass = f.checked(breakGlassBlock)
		t.Key = t.key(said.View.ID)
		if err := h.check(ctx, t); err != nil {
			if isCode(err, request.DeniedByRule) {
				// That it was asked for is written down, as it is where it comes by the API.
				h.attempted(ctx, t)
			}
			return h.modalErrors(said.View, blockOf(err), h.sentence(ctx, c.id, t.Do, err))
		}
	case denyModal:
		t.Do, t.Reason = doDeny, f.text(reasonBlock)
	case reviewModal:
		t.Do, t.Reason = doReview, f.text(reasonBlock)
		if strings.TrimSpace(t.Reason) == "" {
			return h.modalErrors(said.View, reasonBlock, "Say in a sentence what you found.")
		}
	default:
		return done()
	}
	if err := h.later(ctx, t, t.Do); err != nil {
		return h.modalErrors(said.View, "", h.sentence(ctx, c.id, t.Do, err))
	}
	return done()
}

// attempted has a request written down that a rule denies. Should none deny it any more by then
// nothing is written: the person has been told no.
func (h *Handler) attempted(ctx context.Context, t task) {
	t.OnlyDenial = true
	t.Key += "-denied" // not the key of what they ask for by submitting the modal again
	if err := h.later(ctx, t, t.Do); err != nil {
		h.Log.ErrorContext(ctx, "a request that a rule denies could not be written down",
			"call", t.Call, "error", err)
	}
}

// check tells what would be refused, as far as that can be known in the time that there is.
func (h *Handler) check(ctx context.Context, t task) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	ctx = acting(ctx, t.User)
	person, err := h.people.email(ctx, t.User)
	if err == nil && t.Do == doExtend {
		err = h.Service.CheckExtension(ctx, person, t.ID, t.extension())
	} else if err == nil {
		err = h.Service.Check(ctx, person, t.submission())
	}
	if err != nil && refusal(err) == "" && ctx.Err() != nil {
		h.Log.WarnContext(ctx, "a modal could not be checked in time", "call", t.Call, "error", err)
		return nil
	}
	return err
}

// blockOf is the block of a modal that a refusal is about.
func blockOf(err error) string {
	switch {
	case isCode(err, request.MissingField, request.UnknownFlow):
		return flowBlock
	case isCode(err, request.InvalidDuration, request.DurationTooLong):
		return durationBlock
	case isCode(err, request.MissingReason, request.InvalidReason):
		return reasonBlock
	case isCode(err, request.BreakGlassNotAllowed):
		return breakGlassBlock
	case refusal(err) != "":
		return targetBlock
	}
	return ""
}

// modalErrors shows an error in a modal: at the block it is about, or at the one that every modal
// has.
func (h *Handler) modalErrors(
	view slackapi.View, name, sentence string,
) events.APIGatewayV2HTTPResponse {
	blocks := read(view).blocks
	id, ok := blocks[name]
	for _, other := range []string{targetBlock, reasonBlock} {
		if !ok {
			id, ok = blocks[other]
		}
	}
	if !ok {
		id = reasonBlock
	}
	return respond(http.StatusOK, slackapi.NewErrorsViewSubmissionResponse(map[string]string{
		id: shorten(sentence, mostText),
	}))
}
