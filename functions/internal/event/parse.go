package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Parse reads an event. It is lenient: unknown fields are ignored, and a field that nobody
// needs may be missing or of another type. What is needed depends on the event, and is
// refused with [MalformedEvent] where it is missing: the type always, and the run for an
// escalate or a deescalate. A duration that is no whole number of seconds is refused with
// [InvalidDuration], but only in an escalate: taking access away never fails on it.
//
// Every error is a [*Refusal].
func Parse(data []byte) (*Event, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var root any
	if err := decoder.Decode(&root); err != nil {
		return nil, refuse(MalformedEvent, "The event is not valid JSON.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse(MalformedEvent, "The event is followed by something else.")
	}
	if _, ok := root.(map[string]any); !ok {
		return nil, refuse(MalformedEvent, "The event is not a JSON object.")
	}

	e := read(node{root})
	switch e.Type {
	case TypeSweep, TypeStatus, TypeRetire:
		return e, nil
	case TypeEvent:
	case "":
		return nil, refuse(MalformedEvent, "The event has no type.")
	default:
		return nil, refuse(MalformedEvent,
			"The event's type is %q, but this function knows only %q, %q, %q and %q.",
			e.Type, TypeEvent, TypeSweep, TypeStatus, TypeRetire)
	}

	switch e.Event.Type {
	case Escalate, Deescalate, Check:
	case "":
		return nil, refuse(MalformedEvent,
			"The event does not say whether it is an escalate or a deescalate.")
	default:
		return nil, refuse(MalformedEvent,
			"The event is of type %q, but this function knows only %q, %q and %q.",
			e.Event.Type, Escalate, Deescalate, Check)
	}
	// The run is a key in the database, whose text cannot hold a NUL; the limit is that of a
	// B-tree entry with room to spare, since PostgreSQL refuses longer ones at the insert.
	if e.Run.SRN == "" {
		return nil, refuse(MalformedEvent, "The event does not say which run it belongs to.")
	}
	if len(e.Run.SRN) > maxRun || strings.ContainsRune(e.Run.SRN, 0) {
		return nil, refuse(MalformedEvent,
			"The name of the event's run is longer than %d bytes or holds a NUL.", maxRun)
	}
	if e.Event.Type != Deescalate && e.Fields.Duration == nil {
		if given := (node{root}).at("fields", "duration"); given.value != nil {
			return nil, refuse(InvalidDuration,
				"The duration has to be a whole number of seconds above zero.")
		}
	}
	return e, nil
}

const maxRun = 1024

// read takes what it can from a decoded document.
func read(root node) *Event {
	target := root.at("fields", "target")
	actors := root.at("run", "actors")
	return &Event{
		ID:    root.text("id"),
		Meta:  Meta{SchemaVersion: int(root.at("meta").number("schema_version"))},
		State: State{Status: root.at("state").text("status"), Errors: root.at("state").errors()},
		Run: Run{
			SRN:    root.at("run").text("srn"),
			Parent: root.at("run").text("parent"),
			Flow:   root.at("run").text("flow"),
			Actors: Actors{
				Prompt:     actors.at("prompt").actor(),
				Request:    actors.at("request").actor(),
				Approve:    actors.at("approve").actor(),
				Deescalate: actors.at("deescalate").actor(),
			},
		},
		Event: Spec{
			SRN:       root.at("event").text("srn"),
			Type:      root.at("event").text("type"),
			Template:  root.at("event").text("template"),
			Timestamp: root.at("event").text("timestamp"),
			Channel:   root.at("event").text("channel"),
		},
		Actor: orZero(root.at("actor").actor()),
		Fields: Fields{
			TargetID: root.at("fields").text("target_id"),
			Target: Target{
				Name:  target.text("name"),
				SRN:   target.text("srn"),
				Type:  target.text("type"),
				Label: target.text("label"),
				Settings: Settings{
					ARN:      target.at("settings").text("arn"),
					RoleName: target.at("settings").text("role_name"),
				},
			},
			Reason:         root.at("fields").text("reason"),
			Duration:       root.at("fields").seconds("duration"),
			DeescalateType: root.at("fields").text("deescalate_type"),
		},
		Type:      root.text("type"),
		Terraform: Terraform{Action: root.at("tf").text("action")},
	}
}

// node is a place in a decoded document, which may hold nothing or something unexpected.
type node struct{ value any }

func (n node) at(path ...string) node {
	for _, name := range path {
		object, _ := n.value.(map[string]any)
		n = node{object[name]}
	}
	return n
}

func (n node) text(name string) string {
	switch value := n.at(name).value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

func (n node) number(name string) int64 {
	number, _ := strconv.ParseInt(n.text(name), 10, 32)
	return number
}

// seconds also takes 1800.0 and "1800": form fields arrive as either.
func (n node) seconds(name string) *int64 {
	value := strings.TrimSpace(n.text(name))
	if whole, err := strconv.ParseInt(value, 10, 64); err == nil {
		return &whole
	}
	float, err := strconv.ParseFloat(value, 64)
	if whole := int64(float); err == nil && float64(whole) == float && whole < 1<<53 {
		return &whole
	}
	return nil
}

func (n node) actor() *Actor {
	if _, ok := n.value.(map[string]any); !ok {
		return nil
	}
	return &Actor{
		User:     n.text("user"),
		Name:     n.text("name"),
		Username: n.text("username"),
		Identity: Identity{
			Service:    n.at("identity").text("service"),
			ExternalID: n.at("identity").text("external_id"),
			UserID:     n.at("identity").text("user_id"),
			Email:      n.at("identity").text("email"),
		},
	}
}

// errors takes sentences, or the objects {"code", "message"} that version 4 has in place.
func (n node) errors() Errors {
	list, _ := n.at("errors").value.([]any)
	var errs Errors
	for _, item := range list {
		if sentence, ok := item.(string); ok {
			errs = append(errs, sentence)
		} else if message := (node{item}).text("message"); message != "" {
			errs = append(errs, message)
		}
	}
	return errs
}

func orZero(actor *Actor) Actor {
	if actor == nil {
		return Actor{}
	}
	return *actor
}
