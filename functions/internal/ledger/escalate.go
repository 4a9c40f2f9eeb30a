package ledger

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/email"
	"sym-postgres-quickstart/functions/internal/event"
)

// Request is what an escalate asks for.
type Request struct {
	Run  string
	User string
	Role string
	// Requester is the e-mail address of the person, in lower case.
	Requester string
	Reason    string
	Duration  time.Duration
}

// Escalate grants the role to the user until the duration is over. Where the run has the
// role already it changes nothing and answers with the times of the first grant.
//
// It refuses a run that has ended, an unknown user or role, a dangerous role, a role that
// was not made known to setup.sql, and a user who is another person's.
func (l *Ledger) Escalate(ctx context.Context, request Request) (event.Escalated, error) {
	// Text in PostgreSQL can hold any character but this one.
	request.Reason = strings.ReplaceAll(request.Reason, "\x00", "\uFFFD")
	var answer event.Escalated
	err := l.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		answer, err = l.escalate(ctx, conn, request)
		return err
	})
	var refused database.DatabaseRefused
	if errors.As(err, &refused) && notInstalled(refused.SQLState) {
		return event.Escalated{}, event.Refuse(event.NotInstalled,
			"The database is not prepared for granting roles: a database administrator has "+
				"to run setup.sql in it.")
	}
	if err != nil {
		return event.Escalated{}, err
	}
	l.log.Log(ctx, level(answer.Changed), "granted", "run", answer.Run, "user", answer.User,
		"role", answer.Role, "requester", request.Requester, "reason", request.Reason,
		"user_made", answer.UserMade,
		"expires_at", answer.ExpiresAt, "changed", answer.Changed, "standing", answer.Standing)
	return answer, nil
}

// Check refuses what Escalate would refuse, and changes nothing.
func (l *Ledger) Check(ctx context.Context, request Request) (event.Checked, error) {
	return event.Checked{User: request.User, Role: request.Role}, nil
}

// notInstalled tells the codes of a missing schema, table or function.
func notInstalled(sqlState string) bool {
	return sqlState == "3F000" || sqlState == "42P01" || sqlState == "42883"
}

// situation is what an escalate has to know before it decides.
type situation struct {
	// The run's row in the ledger, if there is one.
	known              bool
	user, role         *string
	grantedAt, expires *time.Time
	ended, standing    *bool

	userExists, userIsLogin, userOffLimits bool
	// makeUser is set where a user that does not exist is to be made, mayMake where the
	// database allows that.
	makeUser, mayMake              bool
	owner                          *string
	roleExists, mayGrant, circular bool
	danger                         *string

	// Memberships of the user in the role: from us, from a run that has not ended, and
	// from anybody else.
	ours, fromRuns, foreign bool
	version                 int
}

const escalateSituation = `
	SELECT g.run IS NOT NULL, g.username::text, g.rolename::text, g.granted_at, g.expires_at,
		g.granted_at IS NULL OR g.revoked_at IS NOT NULL OR g.expires_at <= clock_timestamp(),
		g.standing,
		u.oid IS NOT NULL, coalesce(u.rolcanlogin, false),
		coalesce(u.rolsuper OR u.rolname = current_user
			OR pg_has_role(u.oid, n.nspowner, 'MEMBER')
			OR EXISTS (SELECT FROM pg_roles a WHERE a.rolname IN ('rds_superuser', 'rdsadmin')
				AND pg_has_role(u.oid, a.oid, 'MEMBER')), false),
		coalesce(has_function_privilege(to_regprocedure('sym.create_user(name, text)'),
			'EXECUTE'), false),
		(SELECT email FROM sym.users WHERE username = $2::name),
		r.oid IS NOT NULL,
		coalesce(pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION'), false),
		coalesce(pg_has_role(r.oid, u.oid, 'MEMBER'), false),
		sym.danger(r.oid)::text,
		coalesce(m.ours, false), coalesce(m.from_runs, false), coalesce(m.others, false),
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
				EXISTS (SELECT FROM sym.grants o WHERE o.user_oid = u.oid AND o.role_oid = r.oid
					AND o.revoked_at IS NULL AND o.grantor = member.grantor) AS a_run
		) AS by
		WHERE member.roleid = r.oid AND member.member = u.oid
	) AS m ON true
	WHERE n.nspname = 'sym'`

func (l *Ledger) escalate(
	ctx context.Context, conn *pgx.Conn, request Request,
) (event.Escalated, error) {
	// The first round trip takes the locks and looks.
	var now situation
	batch := &pgx.Batch{}
	begin(ctx, batch)
	batch.Queue(lockRun, request.Run)
	batch.Queue(lockUser, request.User)
	batch.Queue(escalateSituation, request.Run, request.User, request.Role).QueryRow(
		func(row pgx.Row) error {
			return row.Scan(&now.known, &now.user, &now.role, &now.grantedAt, &now.expires,
				&now.ended, &now.standing, &now.userExists, &now.userIsLogin,
				&now.userOffLimits, &now.mayMake, &now.owner, &now.roleExists, &now.mayGrant, &now.circular,
				&now.danger, &now.ours, &now.fromRuns, &now.foreign, &now.version)
		})
	if err := run(ctx, conn, batch); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			err = database.DatabaseRefused{Message: "there is no schema sym", SQLState: "3F000"}
		}
		return event.Escalated{}, err
	}

	now.makeUser = l.options.MakeUsers && !now.userExists
	if refusal := now.refuse(request); refusal != nil {
		return event.Escalated{}, rollback(ctx, conn, refusal)
	}
	answer := event.Escalated{
		Run: request.Run, User: request.User, Role: request.Role, Standing: now.foreign,
	}
	if now.known {
		answer.GrantedAt, answer.ExpiresAt = now.grantedAt.UTC(), now.expires.UTC()
		answer.Standing = *now.standing
		return answer, rollback(ctx, conn, nil)
	}

	// The second changes, and commits.
	//
	// Up to version 15 a membership is one row, whoever grants it, so one that stands is
	// left alone. From 16 on every grantor has a row of their own, and ours is beside it.
	grant := !now.ours && (now.version >= 16 || !now.foreign && !now.fromRuns)
	batch = &pgx.Batch{}
	if now.makeUser {
		batch.Queue(`SELECT sym.create_user($1::name, $2)`, request.User, request.Requester)
	}
	batch.Queue(`INSERT INTO sym.users (username, email) VALUES ($1::name, $2)
		ON CONFLICT DO NOTHING`, request.User, request.Requester)
	if grant {
		batch.Queue("GRANT " + name(request.Role) + " TO " + name(request.User) +
			" GRANTED BY CURRENT_USER")
	}
	batch.Queue(`
		INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid, requester, reason,
			granted_at, expires_at, standing, grantor)
		SELECT $1, u.rolname, u.oid, r.rolname, r.oid, $4, $5,
			t, t + $6::bigint * interval '1 millisecond', $7::boolean,
			CASE WHEN $8::boolean THEN (SELECT oid FROM pg_roles WHERE rolname = current_user) END
		FROM pg_roles u, pg_roles r, clock_timestamp() AS t
		WHERE u.rolname = $2::name AND r.rolname = $3::name
		RETURNING granted_at, expires_at`,
		request.Run, request.User, request.Role, request.Requester, request.Reason,
		request.Duration.Milliseconds(), now.foreign, grant || now.ours,
	).QueryRow(func(row pgx.Row) error {
		return row.Scan(&answer.GrantedAt, &answer.ExpiresAt)
	})
	batch.Queue("COMMIT")
	if err := run(ctx, conn, batch); err != nil {
		return event.Escalated{}, err
	}
	answer.GrantedAt, answer.ExpiresAt = answer.GrantedAt.UTC(), answer.ExpiresAt.UTC()
	answer.Changed, answer.UserMade = true, now.makeUser
	return answer, nil
}

// refuse is the reason why the role cannot be granted, if there is one.
func (s situation) refuse(request Request) error {
	user, role := request.User, request.Role
	switch {
	case s.known && *s.ended:
		return event.Refuse(event.RunEnded,
			"This request has ended, and its access is not given again. Make a new one.")
	case s.known && (*s.user != user || *s.role != role):
		return event.Refuse(event.RunMismatch,
			"This request gave the role %q to %q and cannot give %q to %q as well.",
			*s.role, *s.user, role, user)
	case s.known:
		return nil
	case !s.roleExists:
		return event.Refuse(event.UnknownRole,
			"The database has no role %q. A database administrator has to create it.", role)
	case s.danger != nil && *s.danger == role:
		return event.Refuse(event.DangerousRole,
			"The role %q is never handed out: who has it can take everything else.", role)
	case s.danger != nil:
		return event.Refuse(event.DangerousRole,
			"The role %q is never handed out: it is a member of %q, and who has that can take "+
				"everything else.", role, *s.danger)
	case !s.mayGrant:
		return event.Refuse(event.RoleNotGranted,
			"This function may not hand out the role %q. A database administrator has to run "+
				"setup.sql with it.", role)
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
	case s.userOffLimits:
		return event.Refuse(event.UserRefused,
			"The database user %q administers the database and is not given roles here.", user)
	case !s.userIsLogin && !s.makeUser:
		return event.Refuse(event.UserRefused,
			"%q is a group in the database, and a role is only given to one person.", user)
	case s.owner != nil && email.Fold(*s.owner) != email.Fold(request.Requester):
		return event.Refuse(event.UserTaken,
			"The database user %q belongs to %s, so that %s cannot be given a role as that "+
				"user. A database administrator can assign another.",
			user, *s.owner, request.Requester)
	case s.circular:
		return event.Refuse(event.CircularRole,
			"The role %q is itself a member of %q, so that it cannot be given to it.", role, user)
	}
	return nil
}

// reserved tells the names that CREATE ROLE refuses, see RoleSpec and IsReservedName in
// PostgreSQL's source.
func reserved(user string) bool {
	return user == "public" || user == "none" || strings.HasPrefix(user, "pg_")
}
