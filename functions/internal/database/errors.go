package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// DatabaseUnavailable is the error where the database cannot be reached, or is not one that
// can be worked with at the moment. Its name is the errorType that a state machine sees.
type DatabaseUnavailable struct{ Message string }

func (e DatabaseUnavailable) Error() string { return e.Message }

// DatabaseBusy is the error where the database was reached and had no time: a lock, too
// many connections, or somebody else's change at the same moment.
type DatabaseBusy struct {
	Message string
	// SQLState is PostgreSQL's code, such as 55P03 for a lock; empty where the server did not
	// refuse anything.
	SQLState string
}

func (e DatabaseBusy) Error() string { return e.Message }

// CredentialsUnavailable is the error where the password or token could not be had, or was
// not accepted, as in the middle of a rotation.
type CredentialsUnavailable struct {
	Message string
	// Unset says that the secret has never had a value: nobody has ever logged in with it.
	Unset bool `json:"-"`
}

func (e CredentialsUnavailable) Error() string { return e.Message }

// DatabaseRefused is the error where the database understood a statement and refused it:
// missing rights, or a ledger that was not set up. It may be mended and tried again.
type DatabaseRefused struct {
	Message string
	// SQLState is PostgreSQL's code, such as 42501 for missing rights.
	SQLState string
}

func (e DatabaseRefused) Error() string { return e.Message }

// busy and unavailable are PostgreSQL's codes, or the classes of them that are their first
// two characters, by what they mean here. See its manual, appendix A.
var (
	busy = map[string]bool{
		"40":    true, // A deadlock, or a failure to serialize.
		"53":    true, // Too many connections, out of memory or disk.
		"23505": true, // Another granted the same membership meanwhile.
		"42704": true, // A role was dropped meanwhile.
		"55006": true, // A session that does not end.
		"55P03": true, // The lock timeout.
		"57014": true, // The statement timeout.
	}
	unavailable = map[string]bool{
		"08":    true, // Connection exceptions.
		"25":    true, // Read-only, as after a failover; idle in a transaction for too long.
		"57":    true, // Shutting down, or starting up.
		"58":    true, // Errors of the system around it.
		"XX":    true, // Errors inside of it.
		"3D000": true, // No such database.
		"0A000": true, // A standby's answer to BEGIN … READ WRITE, as after a failover.
	}
)

// tooManyConnections is the code for a server, database or user at its limit of connections.
const tooManyConnections = "53300"

// Named turns an error of pgx into one of this package's types; nil, those types and what
// does not come from the database stay what they are. Messages never carry a credential:
// of the server's errors only the code and the message are used, and of the others their
// own text, which names user, database and host, and no more.
func Named(err error) error {
	if err == nil {
		return nil
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		// Before a session has an encoding, the text is in the server's.
		message := fmt.Sprintf("the database answered: %s (%s)",
			strings.ToValidUTF8(server.Message, "?"), server.Code)
		if server.Code == tooManyConnections {
			message += ". All its connections are taken, or all that this user may have: end some, " +
				"and reserve a few for this function's user (reserved_connections and " +
				"pg_use_reserved_connections from version 16 on)"
		}
		class := server.Code[:min(2, len(server.Code))]
		switch {
		case class == "28":
			return CredentialsUnavailable{Message: message}
		case busy[class] || busy[server.Code] || Meeting(server):
			return DatabaseBusy{message, server.Code}
		case unavailable[class] || unavailable[server.Code]:
			return DatabaseUnavailable{message}
		}
		return DatabaseRefused{message, server.Code}
	}
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &connect) && hangs(err):
		return DatabaseUnavailable{"the database took the connection, and did not finish the login " +
			"in time: it is overloaded, or somebody locks its catalogue, and then logins to the other " +
			"databases of the server may hang, too (from a session that is open: SELECT pid FROM " +
			"pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'; otherwise restart the " +
			"server): " + lastLine(err)}
	case errors.As(err, &connect):
		return DatabaseUnavailable{"the database cannot be reached: " + lastLine(err)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return DatabaseUnavailable{"the database did not answer in time"}
	case lost(err):
		return DatabaseUnavailable{"the connection to the database was lost: " + lastLine(err)}
	}
	return err
}

// Meeting tells the error of two who change one row of the catalogue at the same moment. It
// is an internal one, with a text in the server's language; the place that it comes from is
// not.
func Meeting(err *pgconn.PgError) bool {
	return err.Code == "XX000" &&
		(err.File == "heapam.c" || strings.Contains(err.Message, "concurrently"))
}

// hangs tells whether a connection was made and then not served.
func hangs(err error) bool {
	var dialling *net.OpError
	if errors.As(err, &dialling) && dialling.Op == "dial" {
		return false
	}
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// lost tells whether an error means that the connection is gone.
func lost(err error) bool {
	var network interface{ Timeout() bool }
	return errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// lastLine keeps an error to one line; pgx has one for every address it tried.
func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
