package event

import (
	"strings"
	"time"
	"unicode/utf8"

	"sym-postgres-quickstart/functions/internal/email"
)

// maxName is PostgreSQL's NAMEDATALEN less its terminator, in bytes: the server cuts a
// longer identifier with a mere notice, and would then change another role.
const maxName = 63

// Role is the database role that the event is about: the setting role_name where the
// target has one, else the target's name without its flow's, so that the target
// "postgres-read-only" of the flow "postgres" is the role "read-only".
func (e *Event) Role() (string, error) {
	role := e.Fields.Target.Settings.RoleName
	if role == "" {
		role = e.Fields.Target.Name
		if flow := e.Flow(); flow != "" {
			role = strings.TrimPrefix(role, flow+"-")
		}
	}
	if role == "" {
		return "", refuse(MalformedEvent, "The event does not say which role it is about.")
	}
	return role, checkName("role", role)
}

// Flow is the flow's bare name: "postgres" of "acme:flow:postgres:1.0.0".
func (e *Event) Flow() string {
	parts := strings.Split(e.Run.Flow, ":")
	if len(parts) >= 3 && parts[1] == "flow" {
		return parts[2]
	}
	return e.Run.Flow
}

// Requester is the e-mail address of the person whom the access is for, in lower case. It
// is never taken from the event's own actor: that is who approved. A letter from another
// alphabet, which may look like one of ours, is refused: it would be somebody else.
func (e *Event) Requester() (string, error) {
	actor := orZero(e.Run.Actors.Request)
	address := strings.TrimSpace(actor.Username)
	if address == "" {
		address = strings.TrimSpace(actor.Identity.Email)
	}
	switch {
	case address == "":
		return "", refuse(MalformedEvent, "The event does not say who requested the access.")
	case !email.ASCII(address):
		return "", refuse(MalformedEvent, "The requester's e-mail address %+q has letters in it "+
			"that are not plain ones and may look like them. A person is named by an address of "+
			"plain letters here.", address)
	}
	return email.Fold(address), nil
}

// Duration is how long the access is asked for: the event's duration, or max where it has
// none. What is not above zero, or above max, is refused with [InvalidDuration].
func (e *Event) Duration(max time.Duration) (time.Duration, error) {
	if e.Fields.Duration == nil {
		return max, nil
	}
	seconds := *e.Fields.Duration
	if seconds <= 0 {
		return 0, refuse(InvalidDuration,
			"The duration has to be a whole number of seconds above zero.")
	}
	if seconds > int64(max/time.Second) {
		return 0, refuse(InvalidDuration,
			"The access is asked for %d seconds, but %d is the most that this database allows.",
			seconds, int64(max/time.Second))
	}
	return time.Duration(seconds) * time.Second, nil
}

// The values of [Users.From].
const (
	FromLocalPart = "local_part"
	FromEmail     = "email"
)

// Users tells which database user a person is.
type Users struct {
	// From is FromLocalPart (also where it is empty): what stands before the @, with "-"
	// turned to "_"; or FromEmail: the whole address.
	From string
	// Table has the exceptions, from e-mail address (in lower case) to database user.
	Table map[string]string
	// Barred are addresses whose entry in the table cannot be used. They are nobody, not who
	// they would be without an entry.
	Barred map[string]bool
}

// User is the database user of the person with this e-mail address. Letters are lower-cased
// since addresses are compared without regard to case, and since that is how an unquoted
// CREATE USER has stored the name; a user with capitals can be named in the table.
func (u Users) User(address string) (string, error) {
	address = email.Fold(strings.TrimSpace(address))
	if u.Barred[address] {
		return "", refuse(UserRefused, "The entry for %q in the table of database users cannot be "+
			"used. Have it corrected in Terraform (usernames).", address)
	}
	user, listed := u.Table[address]
	if !listed {
		at := strings.LastIndex(address, "@")
		if at <= 0 || at == len(address)-1 {
			return "", refuse(MalformedEvent,
				"The requester %q is not an e-mail address.", address)
		}
		user = address
		if u.From != FromEmail {
			user = strings.ReplaceAll(address[:at], "-", "_")
		}
	}
	return user, checkName("user", user)
}

// CheckName refuses what cannot be the name of a database role or user. Kind is "role" or "user".
func CheckName(kind, name string) error { return checkName(kind, name) }

// checkName refuses what PostgreSQL could only store as another name, or not at all.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return refuse(InvalidName, "The name of the database %s is empty.", kind)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return refuse(InvalidName,
			"The database %s %q has a character in its name that no name can hold.", kind, name)
	case len(name) > maxName:
		return refuse(InvalidName,
			"The name of the database %s %q is longer than PostgreSQL's %d bytes.",
			kind, name, maxName)
	}
	return nil
}
