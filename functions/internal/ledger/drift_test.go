package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
)

// drift returns the differences that status reports, without their sentences.
func (f *fixture) drift() (found []event.Drift) {
	f.Helper()
	status, err := f.Status(f.Context())
	require.NoError(f, err)
	for _, d := range status.Drift {
		assert.Regexp(f, `^\S.*\.$`, d.Message)
		d.Message = ""
		found = append(found, d)
	}
	return found
}

// drifted is one such difference.
func (f *fixture) drifted(kind, run, user, role string) event.Drift {
	if run != "" {
		run += "_" + f.suffix
	}
	return event.Drift{Kind: kind, Run: run, User: f.of(user), Role: f.of(role)}
}

func TestLeftoverIsFoundAndTakenBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		f.escalate("another", "bob", "readonly")
		require.Empty(f, f.drift())
		// As after a restore of the ledger from a backup older than the run.
		exec(f, f.root, "DELETE FROM sym.grants WHERE run = 'run_%s'", f.suffix)
		session := f.login("alice")
		require.Equal(f, []event.Drift{
			f.drifted(event.DriftLeftover, "", "alice", "readonly")}, f.drift())

		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.Len(f, swept.Repaired, 1)
		assert.Equal(f, f.of("alice"), swept.Repaired[0].User)
		assert.Equal(f, f.of("readonly"), swept.Repaired[0].Role)
		assert.Empty(f, swept.Drift)
		require.False(f, f.reads("alice"))
		require.Error(f, session.Ping(f.Context()), "and the sessions end with it")
		require.True(f, f.reads("bob"))
		require.Equal(f, "No run accounted for it.", query[string](f,
			"SELECT reason FROM sym.grants WHERE run = $1", swept.Repaired[0].Run))

		require.Empty(f, f.drift())
		swept, err = f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Empty(f, swept.Repaired)
	})
}

func TestLeftoverIsLeftToARunThatCameMeanwhile(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		id, err := f.repair(f.Context(), f.of("alice"), f.of("readonly"))
		require.NoError(f, err)
		require.Empty(f, id)
		require.True(f, f.reads("alice"))
	})
}

func TestRunWhoseMembershipIsGoneIsReported(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("taken", "alice", "readonly")
		grantor := ""
		if f.server.Major >= 16 {
			grantor = " GRANTED BY " + name(f.broker)
		}
		exec(f, f.root, "REVOKE %s FROM %s%s", f.name("readonly"), f.name("alice"), grantor)
		f.escalate("dropped", "bob", "Read Only")
		exec(f, f.root, "DROP OWNED BY %s; DROP ROLE %s", f.name("Read Only"), f.name("Read Only"))
		want := []event.Drift{
			f.drifted(event.DriftMissing, "taken", "alice", "readonly"),
			f.drifted(event.DriftMissing, "dropped", "bob", "Read Only"),
		}
		require.Equal(f, want, f.drift())

		// The sweep says so and changes nothing: somebody meant it.
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		assert.Len(f, swept.Drift, 2)
		assert.Contains(f, f.logged.String(), "does not have the role")
		require.False(f, f.reads("alice"))
		require.Equal(f, want, f.drift())

		f.deescalate("taken")
		f.deescalate("dropped")
		require.Empty(f, f.drift())
	})
}

func TestHandThatChangedAMembershipIsReported(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		changed := []event.Drift{f.drifted(event.DriftChanged, "run", "alice", "readonly")}

		// Up to 15 a plain GRANT by a person while a run has the role only prints a notice and
		// leaves the catalogue unchanged: it cannot be detected, and the role goes with the
		// run. From 16 on it is a row of its own.
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("alice"))
		if f.server.Major >= 16 {
			require.Equal(f, changed, f.drift())
			// It does not replace the run's own.
			exec(f, f.root, "REVOKE %s FROM %s GRANTED BY %s", f.name("readonly"), f.name("alice"),
				name(f.broker))
			require.Equal(f, append(changed, f.drifted(event.DriftMissing, "run", "alice", "readonly")),
				f.drift())
			exec(f, f.root, "GRANT %s TO %s GRANTED BY %s", f.name("readonly"), f.name("alice"),
				name(f.broker))
			exec(f, f.owner, "REVOKE %s FROM %s", f.name("readonly"), f.name("alice"))
		}
		require.Empty(f, f.drift())

		// A grant that gives more than ours leaves a trace on every version.
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		require.Equal(f, changed, f.drift())
		swept, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.Len(f, swept.Drift, 1)
		assert.Contains(f, swept.Drift[0].Message, "which stays when the run ends")
		assert.Equal(f, []string{f.of("readonly")}, f.deescalate("run").StillMemberThrough)
		require.Empty(f, f.drift())

		// A membership from before the run is no drift.
		f.escalate("standing", "alice", "readonly")
		require.Empty(f, f.drift())
	})
}

func TestChangedOptionsAndNamesAreReported(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		if f.server.Major >= 16 {
			exec(f, f.root, "GRANT %s TO %s WITH ADMIN TRUE GRANTED BY %s",
				f.name("readonly"), f.name("alice"), name(f.broker))
			require.Equal(f, []event.Drift{
				f.drifted(event.DriftChanged, "run", "alice", "readonly")}, f.drift())
			exec(f, f.root, "GRANT %s TO %s WITH ADMIN FALSE GRANTED BY %s",
				f.name("readonly"), f.name("alice"), name(f.broker))
			require.Empty(f, f.drift())
		}
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("alice"), f.name("alicia"))
		exec(f, f.root, "ALTER ROLE %s RENAME TO %s", f.name("readonly"), f.name("r/o"))
		one := f.drifted(event.DriftChanged, "run", "alice", "readonly")
		require.Equal(f, []event.Drift{one, one}, f.drift())
	})
}

func TestDriftCostsNothingWithALongLedger(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.root, `INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid,
				granted_at, expires_at, revoked_at, sessions_ended_at)
			SELECT 'old ' || n, 'u', n, 'r', n, now(), now(), now(), now()
			FROM generate_series(1, 100000) n; ANALYZE sym.grants`)
		f.escalate("run", "alice", "readonly")
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		var plan string
		rows, err := f.root.Query(f.Context(), "EXPLAIN "+findDrift)
		require.NoError(f, err)
		for rows.Next() {
			var line string
			require.NoError(f, rows.Scan(&line))
			plan += line + "\n"
		}
		assert.NotContains(f, plan, "Seq Scan on grants")
	})
}
