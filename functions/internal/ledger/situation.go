package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/email"
	"sym-postgres-quickstart/functions/internal/event"
)

// situation is what an escalate needs to know before it decides: the result of sym.situation.
type situation struct {
	Now     int64 `json:"now"`
	Version int   `json:"version"`
	// The run's row in the ledger, if there is one.
	Known    bool   `json:"known"`
	User     string `json:"user"`
	Role     string `json:"role"`
	Granted  *int64 `json:"granted"`
	Expires  *int64 `json:"expires"`
	Ended    bool   `json:"ended"`
	Standing bool   `json:"standing"`

	UserExists  bool `json:"user_exists"`
	UserIsLogin bool `json:"user_is_login"`
	// UserPower is what makes the user an administrator. UserMembers are the logins that
	// would share what the user is given.
	UserPower   *finding `json:"user_power"`
	UserMembers []string `json:"user_members"`
	// makeUser is set if a missing user is to be made, MayMake if the database allows it.
	makeUser   bool
	MayMake    bool    `json:"may_make"`
	Owner      *string `json:"owner"`
	RoleExists bool    `json:"role_exists"`
	MayGrant   bool    `json:"may_grant"`
	Circular   bool    `json:"circular"`
	// Findings are those of sym.examine about the role. Allowed is set if the role may be
	// handed out although its holders could keep access.
	Findings []finding `json:"findings"`
	Allowed  bool      `json:"allowed"`

	// Memberships of the user in the role: granted by us, by a run that has not ended, and
	// by anybody else; and whether the user has the role's rights without SET ROLE.
	Ours     bool `json:"ours"`
	FromRuns bool `json:"from_runs"`
	Foreign  bool `json:"foreign"`
	Inherits bool `json:"inherits"`
}

// finding is a row of sym.examine.
type finding struct {
	Severity string `json:"severity"`
	Through  string `json:"through"`
	What     string `json:"what"`
}

// The values of finding.Severity that matter to a grant.
const (
	never   = "never"
	lasting = "lasting"
)

// look queues the query for the situation. With locking, no other process changes anything about
// the user until the transaction is over.
func (s *situation) look(batch *pgx.Batch, request Request, locking bool) {
	batch.Queue("SELECT sym.situation($1, $2, $3, $4::boolean)::text",
		request.Run, request.User, request.Role, locking).QueryRow(func(row pgx.Row) error {
		return scanJSON(row, s)
	})
}

// scanJSON reads a row's only value.
func scanJSON(row pgx.Row, into any) error {
	var text []byte
	if err := row.Scan(&text); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// ask queries the situation and changes nothing.
func (s *situation) ask(ctx context.Context, conn *pgx.Conn, request Request) error {
	batch := &pgx.Batch{}
	begin(ctx, batch, maxLockWait)
	s.look(batch, request, false)
	return run(ctx, conn, batch)
}

// couldLeave describes what the role's holder could leave behind.
func (s *situation) couldLeave() (sentences []string) {
	for _, f := range s.Findings {
		if f.Severity != never {
			sentences = append(sentences, fmt.Sprintf("%q %s.", f.Through, f.What))
		}
	}
	return sentences
}

// refuse returns the reason why the role cannot be granted, if there is one.
func (s *situation) refuse(request Request) error {
	switch {
	case s.Known && s.Ended:
		return event.Refuse(event.RunEnded,
			"This request has ended and its access cannot be granted again. Make a new request.")
	case s.Known && (s.User != request.User || s.Role != request.Role):
		return event.Refuse(event.RunMismatch,
			"This request gave the role %q to %q and cannot give %q to %q as well.",
			s.Role, s.User, request.Role, request.User)
	case s.Known:
		return nil
	}
	if err := s.refuseRole(request.Role, request.User); err != nil {
		return err
	}
	return s.refuseUser(request)
}

func (s *situation) refuseRole(role, user string) error {
	if !s.RoleExists {
		return event.Refuse(event.UnknownRole,
			"The database has no role %q. A database administrator has to create it.", role)
	}
	for _, f := range s.Findings {
		which := fmt.Sprintf("it is a member of %q, which", f.Through)
		if f.Through == role {
			which = "it"
		}
		switch {
		case f.Severity == never:
			return event.Refuse(event.DangerousRole,
				"The role %q is never handed out: %s %s.", role, which, f.What)
		case s.Circular:
			return event.Refuse(event.CircularRole, "The role %q is itself a member of %q, so that "+
				"it cannot be given to it.", role, user)
		case f.Severity == lasting && !s.Allowed:
			return event.Refuse(event.LastingRole, "The role %q is not handed out: %s %s. A "+
				"database administrator can make a role without that, or allow this one by "+
				"running setup.sql with -v allow.", role, which, f.What)
		}
	}
	if !s.MayGrant {
		return event.Refuse(event.RoleNotGranted,
			"This function may not hand out the role %q. A database administrator has to name it "+
				"in -v roles of setup.sql.", role)
	}
	return nil
}

func (s *situation) refuseUser(request Request) error {
	user := request.User
	switch {
	case s.makeUser && reserved(user):
		return event.Refuse(event.UserRefused,
			"%q is a name that PostgreSQL keeps for itself, and no user can be made with it. "+
				"A database administrator can assign another.", user)
	case s.makeUser && !s.MayMake:
		return event.Refuse(event.UsersNotMade,
			"The database has no user %q, and this function may not make it. A database "+
				"administrator has to run setup.sql with -v create_users=on.", user)
	case !s.UserExists && !s.makeUser:
		return event.Refuse(event.UnknownUser,
			"The database has no user %q. Ask a database administrator to create it.", user)
	case s.UserPower != nil && s.UserPower.Through == user:
		return event.Refuse(event.UserRefused,
			"The database user %q is not given roles here: it %s.", user, s.UserPower.What)
	case s.UserPower != nil:
		return event.Refuse(event.UserRefused, "The database user %q is not given roles here: "+
			"it is a member of %q, which %s.", user, s.UserPower.Through, s.UserPower.What)
	case !s.UserIsLogin && !s.makeUser:
		return event.Refuse(event.UserRefused,
			"%q is a group in the database, and a role is only given to one person.", user)
	case len(s.UserMembers) > 0:
		return event.Refuse(event.UserRefused, "The database user %q has members (%s), who would "+
			"have the role as well, and a role is only given to one person. A database "+
			"administrator has to revoke %q from them.", user, strings.Join(s.UserMembers, ", "), user)
	case s.Owner != nil && email.Fold(*s.Owner) != email.Fold(request.Requester):
		return event.Refuse(event.UserTaken,
			"The database user %q belongs to %s, so that %s cannot be given a role as that "+
				"user. A database administrator can assign it; the command sym assign prints the "+
				"statement.",
			user, *s.Owner, request.Requester)
	}
	return nil
}

// reserved reports whether CREATE ROLE refuses a name, see RoleSpec and IsReservedName in
// PostgreSQL's source.
func reserved(user string) bool {
	return user == "public" || user == "none" || strings.HasPrefix(user, "pg_")
}
