package slack

import (
	"regexp"
	"slices"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// directMessage is what the requester is told of a record; nil where it is nothing to them.
// Others is until when other requests of theirs hold the same role; zero if none does.
func directMessage(r request.Request, record request.Record, others time.Time) *message {
	if record.From == record.To {
		return nil
	}
	subject := line{code(r.Target.RoleName), words(" in the flow %s", r.Flow)}
	if r.Extends != "" {
		subject = append(line{words("your extension of ")}, subject...)
	}
	switch record.To {
	case request.Approved:
		return told("Approved", r, record,
			append(line{bold("Approved: ")}, append(subject, words(" is being granted to you"))...))
	case request.Denied:
		if record.By == r.Requester {
			return nil
		}
		m := told("Denied", r, record, append(line{bold("Denied: ")}, subject...))
		if reason := record.Reason; reason != "" { // to who asked, all of it
			m.blocks = slices.Insert(m.blocks, 1, rich(quote(reason)))
		}
		return m
	case request.Expired:
		return told("Expired", r, request.Record{}, append(append(line{bold("Expired: ")},
			subject...), words(". %s Ask again if you still need it.",
			reasonOf(&record.Act, request.NobodyDecided))))
	case request.Failed:
		return told("Failed", r, request.Record{}, append(append(line{bold("Failed: ")},
			subject...), words(". %s", shorten(some(record.Reason), mostTerms))))
	case request.Active:
		if r.State != request.Active {
			return nil // told so late that it is over; that has a message of its own
		}
		return active(r)
	case request.Done:
		return ended(r, others)
	}
	return nil
}

// told is a direct message of one line, with what was done below it, and by which rule.
func told(what string, r request.Request, record request.Record, first line) *message {
	all := []line{first}
	if record.By != "" {
		did := "denied it"
		if record.To == request.Approved {
			did = "approved it"
		}
		if r.BreakGlass && record.To == request.Approved {
			did = "granted it at once"
		}
		act := record.Act
		if record.To == request.Denied {
			act.Reason = "" // it follows below
		}
		all = append(all, deed(act, did))
	}
	if r.BreakGlass && record.To == request.Approved {
		all = append(all, line{words("Everybody in the channel has been told, and somebody who may " +
			"approve it will review what you used it for.")})
	}
	return &message{
		text: notification("%s: %s in the flow %s", what, r.Target.RoleName, r.Flow),
		blocks: []slackapi.Block{
			rich(lines(all...)), small("Request " + r.ID),
		},
	}
}

// active says that somebody has what they asked for, and how to use it.
func active(r request.Request) *message {
	user := some(r.DatabaseUser)
	what := "Active: "
	if r.Extends != "" {
		what = "Extended: "
	}
	body := []slackapi.RichTextElement{lines(
		line{bold(what), words("you have "), code(r.Target.RoleName),
			words(" (%s) until ", labelOf(r.Target)), moment(r.ExpiresAt)},
		howToUse(r, user),
	)}
	if r.Target.Connect != "" && r.DatabaseUser != "" {
		body = append(body, preformatted("psql "+
			shellQuote(r.Target.Connect+" user="+conninfoQuote(r.DatabaseUser))))
	}
	return &message{
		text: notification("%syou have %s until %s, as the database user %s", what,
			r.Target.RoleName, until(r.ExpiresAt), user),
		blocks: []slackapi.Block{rich(body...), endOrExtend(r), small("Request " + r.ID)},
	}
}

// howToUse names the database user and says how to use the role.
func howToUse(r request.Request, user string) line {
	l := line{words("In the database you are "), code(user), words(". Connect as you always do")}
	if r.NeedsSetRole {
		return append(l, words(", and run "), code(setRole(r)), words(" first in every session: your "+
			"database user does not inherit the role."))
	}
	return append(l, words("; the role is there at once, also in sessions that are open."))
}

// tenMinutes says that an access is about to end.
func tenMinutes(r request.Request, now time.Time) message {
	return message{
		text: notification("%s ends in %s", r.Target.RoleName, left(r.ExpiresAt.Sub(now))),
		blocks: []slackapi.Block{
			rich(lines(line{bold(left(r.ExpiresAt.Sub(now)) + " left: "), words("you have "),
				code(r.Target.RoleName), words(" in the flow %s until ", r.Flow),
				moment(r.ExpiresAt), words(". Extending it is a new request, which somebody has to " +
					"approve.")})),
			endOrExtend(r), small("Request " + r.ID),
		},
	}
}

func endOrExtend(r request.Request) slackapi.Block {
	return slackapi.NewActionBlock("actions", revoke(r),
		button(extendButton, r.ID, "Extend", slackapi.StyleDefault))
}

func ended(r request.Request, others time.Time) *message {
	what := "Ended"
	if r.Withdrawn() {
		what = "Withdrawn"
	}
	all := []line{{bold(what + ": "), code(r.Target.RoleName), words(" in the flow %s", r.Flow)}}
	switch v := r.Revocation; {
	case r.Withdrawn():
		all[0] = append(all[0], words(". Nothing was granted."))
		all = append(all, deed(*v, revoked(r)))
	case v != nil && v.Rule != request.RuleExpiry:
		all = append(all, deed(*v, revoked(r)))
	default:
		all[0] = append(all[0], words(": its time is over"))
	}
	all = append(all, leftBehind(r)...)
	if !others.IsZero() {
		all = append(all, line{words("You keep the role until "), moment(others),
			words(", by another request of yours.")})
	}
	return &message{
		text:   notification("%s: %s in the flow %s", what, r.Target.RoleName, r.Flow),
		blocks: []slackapi.Block{rich(lines(all...)), small("Request " + r.ID)},
	}
}

// safe are words that neither libpq nor a shell reads anything into.
var (
	safeValue = regexp.MustCompile(`^[A-Za-z0-9_.@%+-]+$`)
	safeWord  = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+= -]*$`)
)

// conninfoQuote writes a value for libpq's connection string.
func conninfoQuote(value string) string {
	if safeValue.MatchString(value) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// shellQuote writes an argument for a shell.
func shellQuote(argument string) string {
	if safeWord.MatchString(argument) {
		return `"` + argument + `"`
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
