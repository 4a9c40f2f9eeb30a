package ledger

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

func TestGrantIsThereUntilItIsTakenBack(t *testing.T) {
	everywhere(t, func(f *fixture) {
		require.False(f, f.reads("alice"))
		granted := f.escalate("run", "alice", "readonly")
		assert.True(f, granted.Changed)
		assert.False(f, granted.Standing)
		assert.WithinDuration(f, time.Now(), granted.GrantedAt, time.Minute)
		assert.Equal(f, time.Hour, granted.ExpiresAt.Sub(granted.GrantedAt))
		require.True(f, f.reads("alice"))
		require.False(f, f.reads("bob"))

		status, err := f.Status(f.Context())
		require.NoError(f, err)
		require.Len(f, status.Active, 1)
		assert.Equal(f, event.Active{
			Run: granted.Run, User: granted.User, Role: granted.Role,
			Requester: "alice@example.com", Reason: "a reason",
			GrantedAt: granted.GrantedAt, ExpiresAt: granted.ExpiresAt,
		}, status.Active[0])

		ended := f.deescalate("run")
		assert.Equal(f, event.Deescalated{Run: granted.Run, User: granted.User,
			Role: granted.Role, Changed: true, StillMemberThrough: []string{}}, ended)
		require.False(f, f.reads("alice"))
		status, err = f.Status(f.Context())
		require.NoError(f, err)
		assert.Empty(f, status.Active)
	})
}

func TestRepetitionChangesNothing(t *testing.T) {
	everywhere(t, func(f *fixture) {
		first := f.escalate("run", "alice", "readonly")
		for range 49 {
			again := f.escalate("run", "alice", "readonly")
			require.False(f, again.Changed)
			again.Changed = true
			require.Equal(f, first, again)
		}
		require.Len(f, f.membership("alice", "readonly"), 1)

		assert.True(f, f.deescalate("run").Changed)
		for range 49 {
			require.False(f, f.deescalate("run").Changed)
		}
		f.refused(event.RunEnded, f.request("run", "alice", "readonly"))
		require.False(f, f.reads("alice"))
	})
}

func TestFiftyAtOnceAreOne(t *testing.T) {
	everywhere(t, func(f *fixture) {
		atOnce := func(do func() (changed bool, err error)) (changes int64) {
			var group sync.WaitGroup
			var changed, failed atomic.Int64
			for range 50 {
				group.Go(func() {
					did, err := do()
					if err != nil {
						failed.Add(1)
						f.Log(err)
					}
					if did {
						changed.Add(1)
					}
				})
			}
			group.Wait()
			assert.Zero(f, failed.Load())
			return changed.Load()
		}
		// Ten processes, each with a connection of its own.
		ledgers := make(chan *Ledger, 50)
		for range 10 {
			other := f.ledgerOf(f.broker)
			for range 5 {
				ledgers <- other
			}
		}
		with := func(do func(*Ledger) (bool, error)) func() (bool, error) {
			return func() (bool, error) {
				ledger := <-ledgers
				defer func() { ledgers <- ledger }()
				return do(ledger)
			}
		}
		ctx, request := f.Context(), f.request("run", "alice", "readonly")
		assert.EqualValues(f, 1, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Escalate(ctx, request)
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1)
		require.EqualValues(f, 1, query[int](f, "SELECT count(*) FROM sym.grants"))

		// Different runs of the same pair at once are as many rows and one membership.
		var number atomic.Int64
		assert.EqualValues(f, 50, atOnce(with(func(l *Ledger) (bool, error) {
			request := f.request(fmt.Sprint("more", number.Add(1)), "alice", "readonly")
			answer, err := l.Escalate(ctx, request)
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1)
		number.Store(0)
		assert.EqualValues(f, 50, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Deescalate(ctx, End{Run: fmt.Sprint("more", number.Add(1), "_", f.suffix)})
			return answer.Changed, err
		})))
		require.Len(f, f.membership("alice", "readonly"), 1, "the first run still has it")
		assert.EqualValues(f, 1, atOnce(with(func(l *Ledger) (bool, error) {
			answer, err := l.Deescalate(ctx, End{Run: request.Run})
			return answer.Changed, err
		})))
		require.Empty(f, f.membership("alice", "readonly"))
	})
}

func TestEndBeforeBeginWins(t *testing.T) {
	everywhere(t, func(f *fixture) {
		ended := f.deescalate("run")
		assert.True(f, ended.Changed)
		assert.Empty(f, ended.User)
		assert.False(f, f.deescalate("run").Changed)
		f.refused(event.RunEnded, f.request("run", "alice", "readonly"))
		require.False(f, f.reads("alice"))
	})
}

func TestOverlappingRunsKeepTheRoleToTheLast(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("first", "alice", "readonly")
		assert.False(f, f.escalate("second", "alice", "readonly").Standing)
		f.escalate("other", "alice", "readwrite")

		ended := f.deescalate("first")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		require.Len(f, f.membership("alice", "readonly"), 1)
		assert.Empty(f, f.deescalate("second").StillMemberThrough)
		require.Empty(f, f.membership("alice", "readonly"))
		require.Len(f, f.membership("alice", "readwrite"), 1)
	})
}

func TestExpiredRunDoesNotKeepTheRole(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("first", "alice", "readonly")
		f.escalate("second", "alice", "readonly")
		f.expire("first")
		f.deescalate("second")
		require.Empty(f, f.membership("alice", "readonly"))
		f.refused(event.RunEnded, f.request("first", "alice", "readonly"))
	})
}

func TestStandingMembershipIsNeverTaken(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT %s TO %s", f.name("readonly"), f.name("alice"))
		before := f.membership("alice", "readonly")
		granted := f.escalate("run", "alice", "readonly")
		assert.True(f, granted.Standing)
		assert.True(f, f.escalate("run", "alice", "readonly").Standing)
		assert.True(f, f.escalate("another", "alice", "readonly").Standing)
		f.deescalate("another")

		session := f.login("alice")
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		assert.Zero(f, ended.SessionsEnded)
		require.NoError(f, session.Ping(f.Context()), "the session goes on, too")
		assert.Equal(f, before, f.membership("alice", "readonly"))
		require.True(f, f.reads("alice"))
	})
}

func TestStandingMembershipKeepsItsOptions(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		f.escalate("run", "alice", "readonly")
		f.deescalate("run")
		require.True(f, query[bool](f, `SELECT bool_and(admin_option) FROM pg_auth_members
			WHERE roleid = $1::regrole AND member = $2::regrole`,
			f.name("readonly"), f.name("alice")))
	})
}

// TestStandingMembershipsOfEveryGrantorStayAsTheyAre compares whole rows of the catalogue.
func TestStandingMembershipsOfEveryGrantorStayAsTheyAre(t *testing.T) {
	everywhere(t, func(f *fixture) {
		exec(f, f.owner, "CREATE ROLE %s LOGIN PASSWORD %s", f.name("deputy"),
			database.Literal(password))
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("deputy"))
		deputy := f.login("deputy")
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		exec(f, deputy, "GRANT %s TO %s", f.name("readonly"), f.name("bob"))
		if f.server.Major >= 16 {
			exec(f, deputy, "GRANT %s TO %s WITH INHERIT FALSE, SET TRUE",
				f.name("readonly"), f.name("alice"))
			exec(f, f.root, "GRANT %s TO %s WITH INHERIT TRUE, SET FALSE",
				f.name("readonly"), f.name("bob"))
		}
		rows := func() string {
			return query[string](f, `SELECT string_agg(m::text, E'\n' ORDER BY m::text)
				FROM pg_auth_members m WHERE member IN ($1::regrole, $2::regrole)`,
				f.name("alice"), f.name("bob"))
		}
		before := rows()
		for _, user := range []string{"alice", "bob"} {
			require.True(f, f.escalate("run of "+user, user, "readonly").Standing)
			require.True(f, f.escalate("another of "+user, user, "readonly").Standing)
			f.deescalate("run of " + user)
			f.expire("another of " + user)
		}
		_, err := f.Sweep(f.Context())
		require.NoError(f, err)
		require.Equal(f, before, rows())
	})
}

func TestStandingMembershipThatCameMeanwhileStays(t *testing.T) {
	everywhere(t, func(f *fixture) {
		f.escalate("run", "alice", "readonly")
		// Up to 15 a second GRANT leaves no trace unless it gives more rights.
		exec(f, f.owner, "GRANT %s TO %s WITH ADMIN OPTION", f.name("readonly"), f.name("alice"))
		ended := f.deescalate("run")
		assert.Equal(f, []string{f.of("readonly")}, ended.StillMemberThrough)
		require.True(f, f.reads("alice"))
	})
}
