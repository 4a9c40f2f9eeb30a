package slack

import (
	"fmt"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// channelMessage is what a flow's channel sees of a request as it is now. User is the requester's
// Slack account, or empty; asked are those who are asked to approve it, with the accounts of those
// who are mentioned. Posting it again changes nothing.
func channelMessage(
	r request.Request, user string, asked []string, accounts map[string]string,
) message {
	m := message{text: summary(r), blocks: []slackapi.Block{heading(title(r))}}
	if r.BreakGlass {
		m.blocks = append(m.blocks, loud("<!channel> Access is given *without waiting for "+
			"anybody*. Somebody who may approve it has to review it afterwards."))
	}
	who := line{bold("Who: "), words("%s", r.Requester)}
	if user != "" {
		who = line{bold("Who: "), mention(user), words(" (%s)", r.Requester)}
	}
	facts := []line{
		who,
		{bold("What: "), words("%s, the role ", labelOf(r.Target)), code(r.Target.RoleName),
			words(" in the flow %s", r.Flow)},
		{bold("How long: "), words("%s", request.Lasting(r.Duration))},
	}
	if r.Extends != "" {
		facts = append(facts, line{bold("Extension: "),
			words("asked for while the request "), code(r.Extends), words(" gave the same access")})
	}
	m.blocks = append(m.blocks,
		rich(lines(append(facts, line{bold("Why:")})...), quote(r.Reason)),
		rich(lines(append(terms(r), couldLeave(r)...)...)),
		slackapi.NewDividerBlock(),
	)
	states := []line{stateLine(r)}
	if len(accounts) > 0 {
		states = append(states, askedLine(asked, accounts))
	}
	m.blocks = append(m.blocks, rich(lines(append(states, history(r)...)...)))
	if b := buttons(r); len(b) > 0 {
		m.blocks = append(m.blocks, slackapi.NewActionBlock("actions", b...))
	}
	m.blocks = append(m.blocks, small("Request "+r.ID))
	return m
}

func title(r request.Request) string {
	switch {
	case r.BreakGlass:
		return "🚨 Break-glass: " + r.Target.RoleName
	case r.Extends != "":
		return "Extension: " + r.Target.RoleName
	default:
		return "Access request: " + r.Target.RoleName
	}
}

// summary is what a notification says of a request.
func summary(r request.Request) string {
	asks := "asks for"
	switch {
	case r.BreakGlass:
		asks = "broke the glass for"
	case r.Extends != "":
		asks = "asks to extend"
	}
	return notification("%s: %s %s %s for %s: %s", r.State, r.Requester, asks, r.Target.RoleName,
		request.Lasting(r.Duration), r.Reason)
}

func labelOf(t request.Target) string {
	if t.Label != "" {
		return shorten(oneLine(t.Label), mostHeader)
	}
	return t.Name
}

// loud is a sentence of ours with markup in it.
func loud(markup string) slackapi.Block {
	return slackapi.NewSectionBlock(
		slackapi.NewTextBlockObject(slackapi.MarkdownType, markup, false, true), nil, nil)
}

// terms are the rules that applied when the request was made.
func terms(r request.Request) []line {
	all := []line{{bold("Rule: "), words("%s", shorten(some(r.Terms), mostTerms))}}
	if from := r.BackupFrom(); r.State == request.Requested && !from.IsZero() {
		all = append(all, line{bold("Back-up approvers: "),
			words("%s, from ", listPeople(r.BackupApprovers, "or")), moment(from), words(" on")})
	}
	return all
}

// stateLine says how far the request has come.
func stateLine(r request.Request) line {
	switch r.State {
	case request.Requested:
		l := line{bold("Waits for approval"), words(" until "), moment(r.DecideBy())}
		if r.ApprovalsNeeded > 1 {
			l = append(l, words(": %d of %d given", len(r.Approvals), r.ApprovalsNeeded))
			if n := len(r.Approvals); n > 0 {
				l = append(l, words(", by %s", listPeople(approvers(r), "and")))
			}
		}
		return l
	case request.Approved:
		if r.Stuck != nil {
			return append(line{bold("Approved, but not granted yet")}, lastTry(r)...)
		}
		return line{bold("Approved"), words(": the role is being granted")}
	case request.Denied:
		if r.Decision != nil && r.Decision.By == r.Requester {
			return line{bold("Withdrawn")}
		}
		return line{bold("Denied")}
	case request.Expired:
		return line{bold("Expired"), words(": %s", reasonOf(r.Decision, request.NobodyDecided))}
	case request.Active:
		l := line{bold("Active"), words(" until "), moment(r.ExpiresAt)}
		if r.NeedsSetRole {
			l = append(l, words("; run "), code(setRole(r)), words(" before using it"))
		}
		return l
	case request.Failed:
		return line{bold("Failed"), words(": %s", shorten(some(r.Failure), mostTerms))}
	case request.Revoking:
		if r.Stuck != nil && r.Withdrawn() {
			return append(line{bold("Being withdrawn"), words(": a grant in progress could not be " +
				"ruled out yet")}, lastTry(r)...)
		}
		if r.Stuck != nil {
			return append(line{bold("Ending"), words(": the role could not be taken away yet")},
				lastTry(r)...)
		}
		if r.Withdrawn() {
			return line{bold("Being withdrawn"), words(": the role will not be granted, and a " +
				"grant in progress will be taken back")}
		}
		return line{bold("Ending"), words(": the role is being taken away")}
	default:
		if r.Withdrawn() {
			return line{bold("Withdrawn"), words(" before anything was granted")}
		}
		l := line{bold("Ended"), words(" "), moment(r.DoneAt)}
		if r.Revocation == nil || r.Revocation.Rule == request.RuleExpiry {
			return append(l, words(": the time is over"))
		}
		return append(l, words(": revoked before its time"))
	}
}

// lastTry says why a request is stuck.
func lastTry(r request.Request) line {
	return line{words(". The last try, at "), moment(r.Stuck.At),
		words(", failed: %s It is tried again.", shorten(oneLine(r.Stuck.Reason), mostBecause))}
}

func approvers(r request.Request) []string {
	var all []string
	for _, a := range r.Approvals {
		all = append(all, a.By)
	}
	return all
}

func reasonOf(a *request.Act, otherwise string) string {
	if a == nil || a.Reason == "" {
		return otherwise
	}
	return shorten(a.Reason, mostTerms)
}

// mostDeeds is how many approvals are told one by one: Slack refuses messages of more than about
// twelve thousand characters in all.
const mostDeeds = 3

// history says who did what to the request, why, and by which rule.
func history(r request.Request) []line {
	var all []line
	for i, a := range r.Approvals {
		if i == mostDeeds {
			all = append(all, line{words("• and %d more", len(r.Approvals)-i)})
			break
		}
		did := "approved it"
		if r.BreakGlass {
			did = "granted it at once"
		}
		all = append(all, deed(a, did))
	}
	if d := r.Decision; d != nil && d.Action == request.ActionDeny {
		did := "denied it"
		if d.By == r.Requester {
			did = "withdrew it"
		}
		all = append(all, deed(*d, did))
	}
	if v := r.Revocation; v != nil && v.Rule != request.RuleExpiry {
		all = append(all, deed(*v, revoked(r)))
	}
	all = append(all, leftBehind(r)...)
	switch {
	case r.Review != nil:
		all = append(all, deed(*r.Review, "reviewed it"))
	case !r.ReviewDue.IsZero():
		all = append(all, line{bold("Waits for its review"),
			words(" by somebody who may approve it, other than %s", r.Requester)})
	}
	return all
}

// revoked is the verb for ending a request early.
func revoked(r request.Request) string {
	if r.Withdrawn() {
		return "withdrew it"
	}
	return "revoked it"
}

// setRole is the command that a database user has to run before using a role that it does not
// inherit.
func setRole(r request.Request) string {
	return "SET ROLE " + request.QuoteName(r.Target.RoleName) + ";"
}

// mostLeft is how many leftovers, or possible leftovers, a message lists.
const mostLeft = 3

// couldLeave says what the role's holder could leave behind, as long as the request can be stopped.
func couldLeave(r request.Request) []line {
	if len(r.CouldLeave) == 0 || r.Ended() {
		return nil
	}
	all := []line{{bold("Could leave behind:")}}
	for _, sentence := range r.CouldLeave[:min(len(r.CouldLeave), mostLeft)] {
		all = append(all, line{words("• %s", shorten(oneLine(sentence), mostSaid))})
	}
	if more := len(r.CouldLeave) - mostLeft; more > 0 {
		all = append(all, line{words("• and %d more", more)})
	}
	return all
}

// leftBehind lists what was left behind when the role was taken away.
func leftBehind(r request.Request) []line {
	var all []line
	if first, more := r.Left(mostLeft); len(first) > 0 {
		l := line{bold("Left behind: ")}
		for i, what := range first {
			l = append(l, words("%s%s", []string{"", "; "}[min(i, 1)], shorten(oneLine(what), mostSaid)))
		}
		if more > 0 {
			l = append(l, words("; and %d more", more))
		}
		all = append(all, l)
	}
	if r.NotLookedFor != "" {
		all = append(all, line{words("It is not known whether anything was left behind: %s",
			shorten(oneLine(r.NotLookedFor), mostBecause))})
	}
	return all
}

// deed is one line of the history.
func deed(a request.Act, did string) line {
	by := a.By
	switch by {
	case request.ByRules:
		by = "The rules"
	case request.ByWorkflow:
		by = "The workflow"
	}
	l := line{words("• %s %s ", by, did), moment(a.At)}
	if a.Rule != "" {
		l = append(l, words(", by the rule "), code(a.Rule))
	}
	if a.Because != "" {
		l = append(l, words(" (%s)", shorten(oneLine(a.Because), mostBecause)))
	}
	if a.Reason != "" {
		// On one line, so that nobody can write one that looks like the next.
		l = append(l, words(": “%s”", shorten(oneLine(visible(a.Reason)), mostSaid)))
	}
	return l
}

// buttons are what can be done with a request as it is. Whether it may be, and by whom, is asked
// when one is clicked.
func buttons(r request.Request) []slackapi.BlockElement {
	var all []slackapi.BlockElement
	switch r.State {
	case request.Requested:
		all = append(all, button(approveButton, r.ID, "Approve", slackapi.StylePrimary),
			button(denyButton, r.ID, "Deny", slackapi.StyleDanger))
	case request.Approved:
		all = append(all, withdraw(r))
	case request.Active:
		all = append(all, revoke(r))
	}
	if !r.ReviewDue.IsZero() && r.State != request.Requested && r.State != request.Approved {
		all = append(all, button(reviewButton, r.ID, "Review", slackapi.StylePrimary))
	}
	return all
}

func button(action, id, text string, style slackapi.Style) *slackapi.ButtonBlockElement {
	return slackapi.NewButtonBlockElement(action, id, plain(text, mostOption)).WithStyle(style)
}

// revoke is the button that ends an access, once it has been confirmed.
func revoke(r request.Request) slackapi.BlockElement {
	return button(revokeButton, r.ID, "Revoke", slackapi.StyleDanger).WithConfirm(
		slackapi.NewConfirmationBlockObject(plain("Revoke the access?", 100),
			plain(fmt.Sprintf("This ends the access of %s to the role %s. If another request gives "+
				"it to them as well, they keep it until that one ends.", r.Requester,
				r.Target.RoleName), 300), plain("Revoke", 30), plain("Keep it", 30)))
}

// withdraw is the button that ends a request that is approved but not granted yet.
func withdraw(r request.Request) slackapi.BlockElement {
	return button(revokeButton, r.ID, "Withdraw", slackapi.StyleDanger).WithConfirm(
		slackapi.NewConfirmationBlockObject(plain("Withdraw the request?", 100),
			plain(fmt.Sprintf("The role %s will not be granted to %s. If it has just been granted, it "+
				"is taken back.", r.Target.RoleName, r.Requester), 300), plain("Withdraw", 30),
			plain("Keep it", 30)))
}

// reminder asks the back-up approvers, by their Slack accounts where they have one.
func reminder(r request.Request, accounts map[string]string) message {
	l := line{words("Nobody has decided since "), moment(r.CreatedAt),
		words(". From now on these may approve it as well: ")}
	for i, email := range r.BackupApprovers {
		if i > 0 {
			l = append(l, words(", "))
		}
		if i == mostMentions {
			l = append(l, words("and %d more", len(r.BackupApprovers)-i))
			break
		}
		if id := accounts[email]; id != "" {
			l = append(l, mention(id), words(" (%s)", email))
		} else {
			l = append(l, words("%s", email))
		}
	}
	return message{
		text: notification("Nobody has decided about %s for %s: the back-up approvers are asked",
			r.Target.RoleName, r.Requester),
		blocks: []slackapi.Block{rich(lines(l))},
	}
}

// mostMentions is how many people one message calls.
const mostMentions = 20

// reviewReminder asks once more for the review of a break-glass.
func reviewReminder(r request.Request) message {
	return message{
		text: notification("The break-glass of %s for %s has not been reviewed yet", r.Requester,
			r.Target.RoleName),
		blocks: []slackapi.Block{
			rich(lines(line{bold("Not reviewed yet: "), words("%s broke the glass for ",
				r.Requester), code(r.Target.RoleName), words(" "), moment(r.CreatedAt),
				words(". Somebody who may approve it has to look at what it was used for.")})),
			slackapi.NewActionBlock("actions",
				button(reviewButton, r.ID, "Review", slackapi.StylePrimary)),
		},
	}
}

// until is a time in a sentence without blocks.
func until(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
