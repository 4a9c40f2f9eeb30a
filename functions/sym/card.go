package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sym-postgres-quickstart/functions/internal/client"
)

// printJSON prints what the API sent, indented.
func (p *program) printJSON(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	fmt.Fprintln(p.out, escaped(b.String()))
	return nil
}

// escaped writes what a terminal could obey as JSON's escapes, which mean the same. Outside of
// strings JSON has only line breaks of that kind.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && isCommand(r) {
			fmt.Fprintf(&b, `\u%04x`, r) // none of them is longer
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// printRequest prints a request: as JSON where that was asked for, else as a card.
func (p *program) printRequest(o *options, r client.Request) error {
	if o.json {
		return p.printJSON(r.Raw)
	}
	p.card(r)
	return nil
}

// card prints what is to know of a request as it is now.
func (p *program) card(r client.Request) {
	fmt.Fprintf(p.out, "Request %s  %s\n", p.paint(bold, r.ID), p.paint(colours[r.State],
		string(r.State)))
	var rows [][]cell
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, cells(name, text))
		}
	}
	add("Access", access(r))
	add("For", printable(r.Requester))
	for i, line := range lines(r.Reason) {
		add([]string{"Reason", ""}[min(i, 1)], line)
	}
	add("Duration", span(seconds(r.Duration)))
	if r.BreakGlass {
		add("Break-glass", p.reviewState(r))
	}
	if r.Extends != "" {
		add("Extends", r.Extends)
	}
	add("Rules", printable(r.Terms))
	if r.NeedsSetRole && !r.State.Ended() {
		add("First", setRole(r)+"  in every session: the database user does not inherit the role")
	}
	if !r.State.Ended() {
		for i, sentence := range some(r.CouldLeave, 0) {
			add([]string{"Could leave", ""}[min(i, 1)], sentence)
		}
	}
	add("Asked", p.at(r.CreatedAt))
	if r.ApprovalsNeeded > 1 && (r.Decision == nil || r.Decision.By != client.ByRules) {
		add("Approvals", approvals(r))
	}
	switch {
	case r.State == client.Requested:
		add("Decide by", p.at(r.DecideBy))
	case r.Decision != nil:
		add("Decision", p.decision(r.Decision))
	}
	if !r.GrantedAt.IsZero() {
		add("Since", p.at(r.GrantedAt))
	}
	switch {
	case !r.DoneAt.IsZero():
		add("Ended", p.at(r.DoneAt))
	case !r.ExpiresAt.IsZero():
		add("Until", p.at(r.ExpiresAt))
	}
	if r.Revocation != nil && r.Revocation.Action == "revoke" {
		name := []string{"Revoked", "Withdrawn"}[boolean(r.Withdrawn())]
		add(name, strings.TrimPrefix(p.decision(r.Revocation), told("revoke")+" "))
	}
	add("Failure", printable(r.Failure))
	if r.Stuck != nil {
		add("Stuck", p.stuck(r))
	}
	for i, what := range leftBehind(r) {
		add([]string{"Left behind", ""}[min(i, 1)], what)
	}
	if r.NotLookedFor != "" {
		add("Left behind", "unknown: "+printable(r.NotLookedFor))
	}
	if r.State == client.Active {
		add("User", printable(r.DatabaseUser))
		if r.Connect != "" {
			add("Connect", psql(r))
		}
	}
	p.pairs("  ", rows)
}

// setRole is the command to run before using a role that the database user does not inherit.
func setRole(r client.Request) string {
	return `SET ROLE "` + strings.ReplaceAll(printable(r.Role), `"`, `""`) + `";`
}

// mostLeft is how many leftovers, or possible leftovers, a card lists.
const mostLeft = 5

// some returns the first of several lines, and a line that counts the others.
func some(all []string, more int) []string {
	var shown []string
	for _, text := range all[:min(len(all), mostLeft)] {
		shown = append(shown, printable(text))
	}
	if more += len(all) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return shown
}

// leftBehind lists what was left behind when the role was taken away.
func leftBehind(r client.Request) []string {
	var all []string
	for _, left := range r.LeftBehind {
		all = append(all, left.What+[]string{"", " (taken back)"}[boolean(left.TakenBack)])
	}
	return some(all, r.LeftBehindMore)
}

// access is what a request asks for.
func access(r client.Request) string {
	text := printable(r.Target)
	if r.TargetLabel != "" {
		text += " (" + printable(r.TargetLabel) + ")"
	}
	return text + ", role " + printable(r.Role) + ", flow " + printable(r.Flow)
}

// psql is a command that uses the access.
func psql(r client.Request) string {
	return "psql '" + strings.ReplaceAll(printable(r.Connect), "'", `'\''`) + "'"
}

func approvals(r client.Request) string {
	text := fmt.Sprintf("%d of %d", len(r.Approvals), r.ApprovalsNeeded)
	for i, a := range r.Approvals {
		text += []string{": ", ", "}[min(i, 1)] + printable(a.By)
	}
	return text
}

func (p *program) reviewState(r client.Request) string {
	switch {
	case r.Review != nil:
		return "reviewed by " + printable(r.Review.By) + " at " + p.at(r.Review.At) + ": " +
			printable(r.Review.Reason)
	case r.ReviewDue.IsZero():
		return "asked for"
	default:
		return "to be reviewed, next reminder " + p.at(r.ReviewDue)
	}
}

// past are the actions as they are told.
var past = map[string]string{
	"submit": "asked", "approve": "approved", "deny": "denied", "expire": "expired",
	"grant": "granted", "fail": "failed", "revoke": "revoked", "end": "ended",
	"review": "reviewed", "remind": "reminded",
}

// told is an action as it is told; one that is not known is told as it is called.
func told(action string) string {
	if word := past[action]; word != "" {
		return word
	}
	return printable(action)
}

// decision is an act in a line.
func (p *program) decision(a *client.Act) string {
	text := told(a.Action) + " by " + printable(a.By) + " at " + p.at(a.At)
	if a.Rule != "" {
		text += ", rule " + printable(a.Rule)
	}
	if a.Reason != "" {
		text += ": " + printable(a.Reason)
	}
	return text
}

// next says on standard error what to do now.
func (p *program) next(format string, args ...any) {
	fmt.Fprintf(p.err, format+"\n", args...)
}

// stuck says what could not be done yet, and why.
func (p *program) stuck(r client.Request) string {
	what := "not taken away yet"
	if r.State == client.Approved || r.Withdrawn() {
		what = "not granted yet"
	}
	if r.State == client.Approved && r.Stuck.Step == "deescalate" || r.Withdrawn() {
		what = "not granted, and not known to be taken back yet"
	}
	return what + "; the last try, at " + p.at(r.Stuck.At) + ", failed: " + printable(r.Stuck.Reason)
}

// nextFor says what to do about a request in its state.
func (p *program) nextFor(r client.Request) {
	switch r.State {
	case client.Requested:
		p.next("Next: somebody approves it with `sym approve %s`. Follow it with `sym wait %[1]s`.",
			r.ID)
	case client.Approved:
		if r.Stuck != nil {
			p.next("Next: it is tried again. Follow it with `sym wait %s`, or withdraw it with "+
				"`sym revoke %[1]s`.", r.ID)
			break
		}
		p.next("Next: it is granted in a moment. Follow it with `sym wait %s`, or withdraw it with "+
			"`sym revoke %[1]s`.", r.ID)
	case client.Active:
		use := "use it"
		if r.NeedsSetRole {
			use = "use it, after running " + setRole(r)
		}
		p.next("Next: %s can %s. `sym revoke %s` ends it early, and the requester asks for more "+
			"with `sym extend %[3]s`.", printable(r.Requester), use, r.ID)
	case client.Revoking:
		if r.Stuck != nil {
			p.next("Next: it is tried again until the role is gone. Follow it with `sym wait %s "+
				"--until done`.", r.ID)
			break
		}
		if r.Withdrawn() {
			p.next("Next: it will not be granted, and a grant in progress is taken back. "+
				"Follow it with `sym wait %s --until done`.", r.ID)
			break
		}
		p.next("Next: this access ends in a moment. Follow it with `sym wait %s --until done`.",
			r.ID)
	case client.Denied, client.Expired, client.Failed:
		p.next("Next: ask again with `sym request %s`, if it is still needed. `sym show %s` tells "+
			"why it ended.", printable(r.Target), r.ID)
	case client.Done:
		if r.Withdrawn() {
			p.next("Next: nothing, it was withdrawn before anything was granted. `sym request %s` "+
				"asks anew.", printable(r.Target))
			break
		}
		p.next("Next: nothing, it is over. `sym request %s` asks anew.", printable(r.Target))
	}
	if !r.ReviewDue.IsZero() && r.Review == nil && r.State != client.Denied {
		p.next("The glass was broken: an approver says what for with `sym review %s --reason …`.",
			r.ID)
	}
}
