package ledger

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

func TestRefusals(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.refused(event.UnknownUser, f.request("run", "zoe", "readonly"))
		f.refused(event.UnknownUser, f.request("run", "Alice", "readonly"))
		f.refused(event.UnknownRole, f.request("run", "alice", "nothing"))

		exec(f, f.owner, "CREATE ROLE %s", f.name("unknown to setup"))
		f.refused(event.RoleNotGranted, f.request("run", "alice", "unknown to setup"))

		// A group is not a person, and neither the broker nor the owner is given roles.
		f.refused(event.UserRefused, f.request("run", "readwrite", "readonly"))
		for _, user := range []string{f.broker, f.ownerName, f.server.Superuser} {
			request := f.request("run", "alice", "readonly")
			request.User = user
			f.refused(event.UserRefused, request)
		}

		exec(f, f.owner, "GRANT %s TO %s", f.name("alice"), f.name("readwrite"))
		f.refused(event.CircularRole, f.request("run", "alice", "readwrite"))

		f.escalate("run", "alice", "readonly")
		f.refused(event.RunMismatch, f.request("run", "bob", "readonly"))
		f.refused(event.RunMismatch, f.request("run", "alice", "readwrite"))
	})
}

func TestDangerousRolesAreRefused(t *testing.T) {
	everywhere(t, func(f *fixture) {
		dangerous := []string{"pg_read_server_files", "pg_write_server_files",
			"pg_execute_server_program"}
		for _, attribute := range []string{"SUPERUSER", "CREATEROLE", "REPLICATION"} {
			role := f.of("with " + attribute)
			exec(f, f.root, "CREATE ROLE %s %s", name(role), attribute)
			dangerous = append(dangerous, role)
		}
		if !query[bool](f, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname='rds_superuser')") {
			exec(f, f.root, "CREATE ROLE rds_superuser")
			f.Cleanup(func() { _, _ = f.root.Exec(context.Background(), "DROP ROLE rds_superuser") })
		}
		dangerous = append(dangerous, "rds_superuser", f.ownerName)
		for i, role := range dangerous {
			inner, outer := f.of(fmt.Sprint("inner", i)), f.of(fmt.Sprint("outer", i))
			exec(f, f.root, "CREATE ROLE %s; CREATE ROLE %s", name(inner), name(outer))
			exec(f, f.root, "GRANT %s TO %s", name(role), name(inner))
			exec(f, f.root, "GRANT %s TO %s", name(inner), name(outer))
			for _, role := range []string{role, inner, outer} {
				request := f.request("run", "alice", "readonly")
				request.Role = role
				f.refused(event.DangerousRole, request)
			}
		}
		request := f.request("run", "alice", "readonly")
		request.Role = f.broker
		f.refused(event.DangerousRole, request)
	})
}

func TestTwoPeopleNeverShareAUser(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		request := f.request("another", "alice", "readonly")
		request.Requester = "alice@elsewhere.com"
		f.refused(event.UserTaken, request)
		f.deescalate("run")
		f.refused(event.UserTaken, request)
	})
}

func TestNamesAreQuoted(t *testing.T) {
	everywhere(t, func(f *fixture) {
		for _, user := range []string{`O'Brien "x"`, "Ünïcode; DROP", `back\slash`, "$1"} {
			exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name(user),
				database.Literal(password))
			f.escalate(user, user, "Read Only")
			require.True(f, f.reads(user))
			f.deescalate(user)
			require.False(f, f.reads(user))
		}
		request := f.request("reason", "alice", "readonly")
		request.Reason = "a NUL: \x00 '; --"
		_, err := f.Escalate(f.Context(), request)
		require.NoError(f, err)
		f.deescalate("reason")
	})
}
