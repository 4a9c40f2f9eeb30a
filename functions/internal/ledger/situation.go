package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/email"
	"sym-postgres-quickstart/functions/internal/event"
)

// situation is what an escalate has to know before it decides.
type situation struct {
	now time.Time
	// The run's row in the ledger, if there is one.
	known              bool
	user, role         *string
	grantedAt, expires time.Time
	ended, standing    *bool

	userExists, userIsLogin bool
	// userPower is what makes the user an administrator, userMembers who has what the user
	// has.
	userPower, userMembers []string
	// makeUser is set where a user that does not exist is to be made, mayMake where the
	// database allows that.
	makeUser, mayMake              bool
	owner                          *string
	roleExists, mayGrant, circular bool
	// findings are those of sym.examine about the role, allowed whether it may be handed out
	// although what its holders make may last.
	findings []finding
	allowed  bool

	// Memberships of the user in the role: from us, from a run that has not ended, and
	// from anybody else; and whether the user has the role's rights without SET ROLE.
	ours, fromRuns, foreign, inherits bool
	version                           int
}

// finding is a row of sym.examine.
type finding struct{ severity, through, what string }

// The values of finding.severity.
const (
	never      = "never"
	lasting    = "lasting"
	couldLeave = "could_leave"
)

const escalateSituation = `
	SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
		g.run IS NOT NULL, g.username::text, g.rolename::text, %s, %s,
		g.granted_at IS NULL OR g.revoked_at IS NOT NULL OR g.expires_at <= clock_timestamp(),
		g.standing,
		u.oid IS NOT NULL, coalesce(u.rolcanlogin, false),
		ARRAY(SELECT e.through || E'\t' || e.what FROM sym.examine(u.oid, true) e LIMIT 1),
		ARRAY(WITH RECURSIVE below (oid) AS (
				SELECT u.oid
				UNION
				SELECT m.member FROM pg_auth_members m JOIN below b ON m.roleid = b.oid
				WHERE (to_jsonb(m)->>'set_option')::boolean IS NOT FALSE
					OR (to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE
			)
			SELECT p.rolname::text FROM below b JOIN pg_roles p ON p.oid = b.oid
			WHERE p.oid <> u.oid AND p.rolcanlogin AND NOT p.rolsuper AND p.oid <> n.nspowner
				AND p.rolname <> current_user
				AND NOT coalesce(sym.holds(p.oid, r.oid), false) ORDER BY 1),
		coalesce(has_function_privilege(to_regprocedure('sym.create_user(name, text)'),
			'EXECUTE'), false),
		(SELECT email FROM sym.users WHERE username = $2::name),
		r.oid IS NOT NULL,
		coalesce(pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION'), false),
		coalesce(pg_has_role(r.oid, u.oid, 'MEMBER'), false),
		ARRAY(SELECT e.severity || E'\t' || e.through || E'\t' || e.what
			FROM sym.examine(r.oid, false) e),
		EXISTS (SELECT FROM sym.allowed WHERE rolename = r.rolname),
		coalesce(m.ours, false), coalesce(m.from_runs, false), coalesce(m.others, false),
		coalesce(u.rolinherit OR pg_has_role(u.oid, r.oid, 'USAGE'), true),
		current_setting('server_version_num')::integer / 10000
	FROM pg_namespace n
	LEFT JOIN pg_roles u ON u.rolname = $2::name
	LEFT JOIN pg_roles r ON r.rolname = $3::name
	LEFT JOIN sym.grants g ON g.run = $1
	LEFT JOIN LATERAL (
		SELECT bool_or(by.us) AS ours, bool_or(by.a_run) AS from_runs,
			bool_or(NOT by.us AND NOT by.a_run) AS others
		FROM pg_auth_members member, LATERAL (
			SELECT member.grantor = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS us,
				EXISTS (SELECT FROM sym.grants o
					WHERE ` + accounts + ` AND o.grantor = member.grantor) AS a_run
		) AS by
		WHERE member.roleid = r.oid AND member.member = u.oid
	) AS m ON true
	WHERE n.nspname = 'sym'`

var askSituation = fmt.Sprintf(escalateSituation, micros("g.granted_at"), micros("g.expires_at"))

// look queues the question for the situation.
func (s *situation) look(batch *pgx.Batch, request Request) {
	batch.Queue(askSituation, request.Run, request.User, request.Role).QueryRow(
		func(row pgx.Row) error {
			var now int64
			var granted, expires *int64
			var findings []string
			err := row.Scan(&now, &s.known, &s.user, &s.role, &granted, &expires,
				&s.ended, &s.standing, &s.userExists, &s.userIsLogin,
				&s.userPower, &s.userMembers, &s.mayMake, &s.owner,
				&s.roleExists, &s.mayGrant, &s.circular, &findings, &s.allowed,
				&s.ours, &s.fromRuns, &s.foreign, &s.inherits, &s.version)
			if errors.Is(err, pgx.ErrNoRows) {
				return database.DatabaseRefused{
					Message: "there is no schema sym", SQLState: "3F000"}
			}
			s.now, s.grantedAt, s.expires = at(&now), at(granted), at(expires)
			for _, text := range findings {
				if parts := strings.SplitN(text, "\t", 3); len(parts) == 3 {
					s.findings = append(s.findings, finding{parts[0], parts[1], parts[2]})
				}
			}
			return err
		})
}

// ask asks for the situation alone.
func (s *situation) ask(ctx context.Context, conn *pgx.Conn, request Request) error {
	batch := &pgx.Batch{}
	begin(ctx, batch, maxLockWait)
	s.look(batch, request)
	return run(ctx, conn, batch)
}

// couldLeave says what the role's holder can make that stays.
func (s *situation) couldLeave() (sentences []string) {
	for _, f := range s.findings {
		if f.severity != never {
			sentences = append(sentences, fmt.Sprintf("%q %s.", f.through, f.what))
		}
	}
	return sentences
}

// refuse is the reason why the role cannot be granted, if there is one.
func (s *situation) refuse(request Request) error {
	switch {
	case s.known && *s.ended:
		return event.Refuse(event.RunEnded,
			"This request has ended, and its access is not given again. Make a new one.")
	case s.known && (*s.user != request.User || *s.role != request.Role):
		return event.Refuse(event.RunMismatch,
			"This request gave the role %q to %q and cannot give %q to %q as well.",
			*s.role, *s.user, request.Role, request.User)
	case s.known:
		return nil
	}
	if err := s.refuseRole(request.Role, request.User); err != nil {
		return err
	}
	return s.refuseUser(request)
}

func (s *situation) refuseRole(role, user string) error {
	if !s.roleExists {
		return event.Refuse(event.UnknownRole,
			"The database has no role %q. A database administrator has to create it.", role)
	}
	for _, f := range s.findings {
		which := fmt.Sprintf("it is a member of %q, which", f.through)
		if f.through == role {
			which = "it"
		}
		switch {
		case f.severity == never:
			return event.Refuse(event.DangerousRole,
				"The role %q is never handed out: %s %s.", role, which, f.what)
		case s.circular:
			return event.Refuse(event.CircularRole, "The role %q is itself a member of %q, so that "+
				"it cannot be given to it.", role, user)
		case f.severity == lasting && !s.allowed:
			return event.Refuse(event.LastingRole, "The role %q is not handed out: %s %s. A "+
				"database administrator can make a role without that, or allow this one by "+
				"running setup.sql with -v allow.", role, which, f.what)
		}
	}
	if !s.mayGrant {
		return event.Refuse(event.RoleNotGranted,
			"This function may not hand out the role %q. A database administrator has to run "+
				"setup.sql with it.", role)
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
	case s.makeUser && !s.mayMake:
		return event.Refuse(event.UsersNotMade,
			"The database has no user %q, and this function may not make it. A database "+
				"administrator has to run setup.sql with create_users=on.", user)
	case !s.userExists && !s.makeUser:
		return event.Refuse(event.UnknownUser,
			"The database has no user %q. Ask a database administrator to create it.", user)
	case len(s.userPower) > 0:
		through, what, _ := strings.Cut(s.userPower[0], "\t")
		if through == user {
			return event.Refuse(event.UserRefused, "The database user %q is not given roles "+
				"here: it %s.", user, what)
		}
		return event.Refuse(event.UserRefused, "The database user %q is not given roles here: "+
			"it is a member of %q, which %s.", user, through, what)
	case !s.userIsLogin && !s.makeUser:
		return event.Refuse(event.UserRefused,
			"%q is a group in the database, and a role is only given to one person.", user)
	case len(s.userMembers) > 0:
		return event.Refuse(event.UserRefused, "The database user %q has members (%s), who would "+
			"have the role as well, and a role is only given to one person. A database "+
			"administrator has to take %q from them.", user, strings.Join(s.userMembers, ", "), user)
	case s.owner != nil && email.Fold(*s.owner) != email.Fold(request.Requester):
		return event.Refuse(event.UserTaken,
			"The database user %q belongs to %s, so that %s cannot be given a role as that "+
				"user. A database administrator can assign another.",
			user, *s.owner, request.Requester)
	}
	return nil
}

// reserved tells the names that CREATE ROLE refuses, see RoleSpec and IsReservedName in
// PostgreSQL's source.
func reserved(user string) bool {
	return user == "public" || user == "none" || strings.HasPrefix(user, "pg_")
}
