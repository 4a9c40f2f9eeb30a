package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	slackapi "github.com/slack-go/slack"

	"sym-postgres-quickstart/functions/internal/request"
)

// The blocks of the modals, and their elements. A block whose choices depend on another's carries
// what they depend on in its id: Slack keeps what was chosen in a block as long as its id stays,
// even where the choice is not offered any more.
const (
	flowBlock       = "flow"
	targetBlock     = "target"
	durationBlock   = "duration"
	reasonBlock     = "reason"
	breakGlassBlock = "break_glass"

	valueAction = "value" // the one element of a block
)

// The modals, by their callback ids.
const (
	requestModal = "sym_request"
	denyModal    = "sym_deny"
	extendModal  = "sym_extend"
	reviewModal  = "sym_review"
)

// choice is what the modal of a new request offers a person, and what is chosen in it.
type choice struct {
	flows  []request.Flow // with what this person may ask for; none is without a target
	person string
	flow   request.Flow
	target request.Target
}

// choose makes the choice for a person. Said is a flow, a target or its role, or both, the flow
// first; empty is the first of all.
func choose(flows []request.Flow, person, said string) (choice, error) {
	c := choice{person: person}
	var names []string
	for _, flow := range flows {
		flow.Targets = slices.DeleteFunc(slices.Clone(flow.Targets), func(t request.Target) bool {
			return !mayAsk(flow, t.Name, person)
		})
		if len(flow.Targets) > 0 {
			c.flows, names = append(c.flows, flow), append(names, flow.Name)
		}
	}
	if len(c.flows) == 0 {
		return c, request.Refuse(nil, request.UnknownFlow, "There is nothing here that you (%s) "+
			"can ask for. Ask whoever maintains the flows.", person)
	}
	found := c.find(said)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var which []string
		for _, f := range found {
			which = append(which, f.flow.Name+" "+f.target.Name)
		}
		return c, request.Refuse(nil, request.UnknownTarget, "%q can be several targets. Add the "+
			"flow and the target: %s.", shorten(said, 40), strings.Join(which, ", or "))
	default:
		return c, request.Refuse(nil, request.UnknownFlow, "There is no flow or target %q that you "+
			"can ask for. The flows are %s. /sym req without a name shows what each of them offers.",
			shorten(said, 40), strings.Join(names, ", "))
	}
}

// find lists the choices that somebody can mean.
func (c choice) find(said string) (found []choice) {
	words := strings.Fields(said)
	for _, flow := range c.flows {
		first := choice{c.flows, c.person, flow, flow.Targets[0]}
		switch {
		case len(words) == 0, len(words) == 1 && strings.EqualFold(flow.Name, words[0]):
			return []choice{first}
		case len(words) > 2, len(words) == 2 && !strings.EqualFold(flow.Name, words[0]):
			continue
		}
		wanted := words[len(words)-1]
		for _, target := range flow.Targets {
			if strings.EqualFold(target.Name, wanted) || strings.EqualFold(target.RoleName, wanted) {
				found = append(found, choice{c.flows, c.person, flow, target})
			}
		}
	}
	return found
}

// with chooses a target by its name, if the flow has it.
func (c choice) with(target string) choice {
	for _, t := range c.flow.Targets {
		if t.Name == target {
			c.target = t
		}
	}
	return c
}

// mayAsk tells whether the list of requesters leaves a person out. The conditions are asked when
// there is a request to ask them about.
func mayAsk(f request.Flow, target, person string) bool {
	set := f.Rules(target)
	if set == nil {
		return true // the service says what is wrong with it
	}
	requesters := set.Document().Requesters
	return len(requesters) == 0 || slices.Contains(requesters, person)
}

// breakGlass tells for how long at most a person may break the glass, if they are among those
// who may.
func (c choice) breakGlass() (most time.Duration, ok bool) {
	set := c.flow.Rules(c.target.Name)
	if set == nil {
		return 0, false
	}
	rule := set.Document().BreakGlass
	if rule == nil || !slices.Contains(rule.People, c.person) {
		return 0, false
	}
	most = c.target.MaxDuration
	if limit := time.Duration(rule.MaxDurationSeconds) * time.Second; limit > 0 {
		most = min(most, limit)
	}
	return most, true
}

// modal is the modal of a new request.
func (c choice) modal() slackapi.ModalViewRequest {
	of := mark(c.flow.Name, c.target.Name)
	flows := pick("Choose a flow", c.flows, c.flow.Name,
		func(f request.Flow) (string, string) { return f.Name, labelled(f.Label, f.Name) })
	targets := pick("Choose a target", c.flow.Targets, c.target.Name,
		func(t request.Target) (string, string) { return t.Name, labelled(t.Label, t.RoleName) })
	blocks := []slackapi.Block{
		input(flowBlock, "Flow", flows).WithDispatchAction(true),
		input(targetBlock+":"+mark(c.flow.Name), "Target", targets).WithDispatchAction(true),
	}
	if set := c.flow.Rules(c.target.Name); set != nil {
		blocks = append(blocks, small(shorten(set.Summary(), mostTerms)))
	}
	blocks = append(blocks,
		input(durationBlock+":"+of, "For how long", durations(c.target, c.target.DefaultDuration)),
		input(reasonBlock, "Reason", textInput("What you need it for. The approver decides by it.",
			"")))
	if most, ok := c.breakGlass(); ok {
		option := slackapi.NewOptionBlockObject("yes", plain("Break the glass", mostOption), plain(
			"At once, at most "+request.Lasting(most)+". All are notified; an approver reviews it.",
			mostOption))
		blocks = append(blocks, input(breakGlassBlock+":"+of, "Emergency",
			slackapi.NewCheckboxGroupsBlockElement(valueAction, option)).WithOptional(true))
	}
	return modal(requestModal, "Request access", "Request", "", blocks...)
}

// modal is a modal.
func modal(
	callback, title, submit, metadata string, blocks ...slackapi.Block,
) slackapi.ModalViewRequest {
	return slackapi.ModalViewRequest{
		Type: slackapi.VTModal, CallbackID: callback, PrivateMetadata: metadata,
		Title: plain(title, 24), Submit: plain(submit, 24), Close: plain("Cancel", 24),
		Blocks: slackapi.Blocks{BlockSet: blocks},
	}
}

func input(id, label string, e slackapi.BlockElement) *slackapi.InputBlock {
	return slackapi.NewInputBlock(id, plain(label, mostOption), nil, e)
}

// textInput is where a person writes a reason.
func textInput(placeholder, initial string) slackapi.BlockElement {
	e := slackapi.NewPlainTextInputBlockElement(plain(placeholder, mostPlaceholder), valueAction)
	e.Multiline, e.MaxLength = true, request.MaxReason
	e.InitialValue = shorten(visible(initial), request.MaxReason)
	return e
}

// pick is a menu. Where there are more choices than a menu of Slack's may have, they are in
// groups.
func pick[T any](
	placeholder string, from []T, chosen string, show func(T) (value, text string),
) *slackapi.SelectBlockElement {
	menu := slackapi.NewOptionsSelectBlockElement(slackapi.OptTypeStatic,
		plain(placeholder, mostPlaceholder), valueAction)
	var options []*slackapi.OptionBlockObject
	for _, item := range from {
		value, text := show(item)
		option := slackapi.NewOptionBlockObject(value, plain(text, mostOption), nil)
		if value == chosen {
			menu.InitialOption = option
		}
		options = append(options, option)
	}
	if len(options) <= mostOptions {
		menu.Options = options
		return menu
	}
	for group := range slices.Chunk(options, mostOptions) {
		first, last := group[0].Text.Text, group[len(group)-1].Text.Text
		menu.OptionGroups = append(menu.OptionGroups, slackapi.NewOptionGroupBlockElement(
			plain(shorten(first, 30)+" … "+shorten(last, 30), mostOption), group...))
	}
	return menu
}

// durations is the menu of how long a target's access may last.
func durations(t request.Target, chosen time.Duration) *slackapi.SelectBlockElement {
	return pick("Choose how long", durationsOf(t), seconds(min(chosen, t.MaxDuration)),
		func(d time.Duration) (string, string) { return seconds(d), request.Lasting(d) })
}

// usual are the durations that people think in.
var usual = []time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
	12 * time.Hour, 24 * time.Hour, 2 * 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour,
}

// durationsOf are the usual durations up to a target's maximum, its default and its maximum. Those
// of less than five minutes are offered only where there is not much more to be had.
func durationsOf(t request.Target) []time.Duration {
	var all []time.Duration
	for _, d := range usual {
		if d < t.MaxDuration && (d >= 5*time.Minute || t.MaxDuration < 15*time.Minute) {
			all = append(all, d)
		}
	}
	all = append(all, t.DefaultDuration, t.MaxDuration)
	slices.Sort(all)
	return slices.Compact(all)
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// labelled is a label with the name it stands for, as an option of a menu. A long label is cut, so
// that the name stays.
func labelled(label, name string) string {
	if label == "" || label == name {
		return name
	}
	name = " (" + name + ")"
	if room := mostOption - len(utf16.Encode([]rune(name))); room >= leastLabel {
		return shorten(oneLine(visible(label)), room) + name
	}
	return strings.TrimSuffix(strings.TrimPrefix(name, " ("), ")")
}

// leastLabel is how much of a label is worth showing, in characters.
const leastLabel = 8

// mark tells names apart in a block's id.
func mark(names ...string) string { return digest(names...)[:16] }

func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
