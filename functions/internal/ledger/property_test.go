package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/event"
)

// setting reads a number from the environment: PROPERTY_STEPS for a longer run of the
// property tests, PROPERTY_SEED to repeat one.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	number, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return number
}

// property runs a test once on each version, with a source of randomness whose seed is
// printed where it fails.
func property(t *testing.T, test func(f *fixture, random *rand.Rand)) {
	for _, server := range servers {
		t.Run(fmt.Sprint(server.Major), func(t *testing.T) {
			t.Parallel()
			seed := setting(t, "PROPERTY_SEED", rand.Uint64())
			t.Logf("PROPERTY_SEED=%d", seed)
			test(newFixture(t, server, false), rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

const (
	// beforeSending has the server see nothing of the trip.
	beforeSending = "before sending"
	// midway has the server see the first half of it, which may or may not reach a COMMIT.
	midway = "midway"
	// beforeHearing has the server do all of it and the client not know.
	beforeHearing = "before hearing"
)

var errCut = &net.OpError{Op: "cut", Err: errors.New("the test cut the connection")}

// memberships lists those of the fixture's users in its roles.
func (f *fixture) memberships() []string {
	f.Helper()
	found := query[[]string](f, `SELECT ARRAY(SELECT u.rolname || ' ' || r.rolname ||
			CASE WHEN m.grantor = $1::regrole THEN ' ours' ELSE ' hand' END
		FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
		WHERE u.rolname LIKE '%' || $2 AND u.rolname ~ '^(alice|bob)_')`, name(f.broker), f.suffix)
	for i := range found {
		found[i] = strings.ReplaceAll(found[i], "_"+f.suffix, "")
	}
	sort.Strings(found)
	return found
}

// TestRandomSchedulesAgainstAModel does thousands of random steps one after the other, and
// compares the catalogue and the ledger with the model after each of them.
func TestRandomSchedulesAgainstAModel(t *testing.T) {
	property(t, func(f *fixture, random *rand.Rand) {
		steps := int(setting(f.T, "PROPERTY_STEPS", 600))
		m := &model{runs: map[string]*modelRun{}, ours: map[pair]bool{}, hands: map[pair]bool{},
			oneRow: f.server.Major < 16}
		warm := f.cuttable()
		defer warm.close()
		ledger, knife := warm.Ledger, warm.cutter
		pick := func(from ...string) string { return from[random.IntN(len(from))] }
		pairOf := func() pair { return pair{pick("alice", "bob"), pick("readonly", "readwrite")} }
		generation, cuts, errorsSeen := 0, 0, 0
		var last func() string

		for step := range steps {
			if random.IntN(25) == 0 {
				// New runs come, and what is left of those before is over, so that the
				// users are often without a role.
				generation++
				for id, run := range m.runs {
					if run.began && !run.ended && run.generation < generation {
						f.deescalate(id)
						m.deescalate(id)
					}
				}
			}
			id := fmt.Sprint("run", generation-random.IntN(2), "-", random.IntN(5))

			// A third of the steps meet with an accident; in half of these the process is
			// new, and its caller hears of it.
			var where cut
			if random.IntN(3) == 0 {
				where = cut{1 + random.IntN(2), pick(beforeSending, midway, beforeHearing)}
				cuts++
			}
			crash := where.trip != 0 && random.IntN(2) == 0
			attempt := func(what func(*Ledger) error) (failed bool, err error) {
				if where.trip == 0 {
					return false, what(ledger)
				}
				defer knife.arm(cut{})
				ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
				defer cancel()
				if crash {
					// A connection that is not warm is not replaced within the call.
					conn, err := warm.connect(ctx)
					require.NoError(f, err)
					cold := New(database.NewSession(
						func(context.Context) (*pgx.Conn, error) { return conn, nil }), f.log, Options{})
					knife.arm(where)
					err = what(cold)
					cold.session.Close()
					_, isRefusal := errors.AsType[*event.Refusal](err)
					return err != nil && !isRefusal, err
				}
				knife.arm(where)
				err = what(ledger)
				_, isRefusal := errors.AsType[*event.Refusal](err)
				return err != nil && !isRefusal, err
			}

			escalate := func(p pair) string {
				wasThere := m.runs[id] != nil && m.runs[id].began
				handed := m.hands[p]
				request := f.request(id, p.user, p.role)
				var answer event.Escalated
				escalate := func(l *Ledger) (err error) {
					answer, err = l.Escalate(f.Context(), request)
					return err
				}
				what := fmt.Sprintf("escalate %s %v %v crash=%v", id, p, where, crash)
				failed, err := attempt(escalate)
				if failed {
					errorsSeen++
					// What was cut before its COMMIT was sent has left nothing behind.
					if where.trip == 1 || where.how == beforeSending {
						require.Equal(f, m.memberships(), f.memberships(), what)
					}
					err = escalate(ledger)
				}
				code, changed := m.escalate(id, p)
				m.runs[id].generation = generation
				if code != "" {
					refusal, ok := errors.AsType[*event.Refusal](err)
					require.True(f, ok, "%s: %v", what, err)
					require.Equal(f, code, refusal.Code, what)
					return what
				}
				require.NoError(f, err, what)
				if where.trip == 0 {
					require.Equal(f, changed, answer.Changed, what)
				}
				if !wasThere {
					require.Equal(f, handed, answer.Standing, what)
				}
				return what
			}
			deescalate := func() string {
				var answer event.Deescalated
				deescalate := func(l *Ledger) (err error) {
					answer, err = l.Deescalate(f.Context(), End{Run: id + "_" + f.suffix})
					return err
				}
				what := fmt.Sprintf("deescalate %s %v crash=%v", id, where, crash)
				failed, err := attempt(deescalate)
				if failed {
					errorsSeen++
					if where.trip == 1 || where.how == beforeSending {
						require.Equal(f, m.memberships(), f.memberships(), what)
					}
					err = deescalate(ledger)
				}
				require.NoError(f, err, what)
				changed := m.deescalate(id)
				if where.trip == 0 {
					require.Equal(f, changed, answer.Changed, what)
				}
				run := m.runs[id]
				held := run.began && (m.ours[run.pair] || m.hands[run.pair])
				require.Equal(f, held, len(answer.StillMemberThrough) > 0, what)
				return what
			}

			var what string
			switch n := random.IntN(100); {
			case n < 40:
				// Half of the time the same pair, so that runs overlap.
				p := pair{"alice", "readonly"}
				if random.IntN(2) == 0 {
					p = pairOf()
				}
				if run := m.runs[id]; run != nil && run.began && random.IntN(4) > 0 {
					p = run.pair
				}
				last = func() string { return escalate(p) }
				what = last()
			case n < 70:
				last = deescalate
				what = last()
			case n < 78 && last != nil:
				what = "again: " + last()
			case n < 86:
				what = fmt.Sprint("sweep ", where, " crash=", crash)
				sweep := func(l *Ledger) error { _, err := l.Sweep(f.Context()); return err }
				failed, err := attempt(sweep)
				if failed {
					errorsSeen++
					err = sweep(ledger)
				}
				require.NoError(f, err, what)
				m.sweep()
			case n < 94:
				what = "expire " + id
				if run := m.runs[id]; run != nil && run.began && !run.ended {
					f.expire(id)
					run.expired = true
				}
			case n < 97:
				p := pairOf()
				what = fmt.Sprint("a hand grants ", p)
				exec(f, f.owner, "GRANT %s TO %s", f.name(p.role), f.name(p.user))
				m.handGrants(p)
			default:
				p := pairOf()
				what = fmt.Sprint("a hand revokes ", p)
				exec(f, f.owner, "REVOKE %s FROM %s", f.name(p.role), f.name(p.user))
				m.handRevokes(p)
			}

			what = fmt.Sprintf("step %d: %s", step, what)
			require.Equal(f, m.memberships(), f.memberships(), what)
			status, err := ledger.Status(f.Context())
			require.NoError(f, err, what)
			active := []string{}
			for _, a := range status.Active {
				active = append(active, strings.ReplaceAll(
					a.Run+" "+a.User+" "+a.Role, "_"+f.suffix, ""))
			}
			sort.Strings(active)
			require.Equal(f, m.active(), active, what)
			for _, d := range status.Drift {
				if d.Kind == event.DriftLeftover {
					// The membership of a run that was over before another one's end.
					require.Fail(f, "a leftover of our own making", "%s: %v", what, d)
				}
			}
		}
		f.Logf("%d steps, %d cuts, %d of them heard of, %d runs",
			steps, cuts, errorsSeen, len(m.runs))
	})
}

// TestRandomProcessesAtOnce lets eight processes do random things to the same few users at
// once, with accidents, until each has got its answer; then the catalogue and the ledger
// have to agree.
func TestRandomProcessesAtOnce(t *testing.T) {
	property(t, func(f *fixture, random *rand.Rand) {
		rounds := int(setting(f.T, "PROPERTY_STEPS", 600)) / 50
		const processes = 8
		var all [processes]*process
		for i := range processes {
			all[i] = f.cuttable()
			defer all[i].close()
		}
		for round := range rounds {
			var group sync.WaitGroup
			var mutex sync.Mutex
			ended := map[string]bool{}
			for i := range processes {
				random := rand.New(rand.NewPCG(random.Uint64(), 0))
				group.Go(func() {
					for range 4 {
						id := fmt.Sprint("round", round, "-", random.IntN(6))
						// Half of the runs' ids belong to one pair, half to another.
						p := pair{"alice", "readonly"}
						if id[len(id)-1]%2 == 0 {
							p = pair{"alice", "readwrite"}
						}
						if random.IntN(4) == 0 {
							all[i].arm(cut{1 + random.IntN(2),
								[]string{beforeSending, midway, beforeHearing}[random.IntN(3)]})
						}
						end := random.IntN(2) == 0
						for try := 0; ; try++ {
							var err error
							if end {
								_, err = all[i].Deescalate(f.Context(), End{Run: id + "_" + f.suffix})
							} else {
								_, err = all[i].Escalate(f.Context(), f.request(id, p.user, p.role))
							}
							if refusal, ok := errors.AsType[*event.Refusal](err); ok &&
								refusal.Code == event.RunEnded {
								err = nil
							}
							if err == nil {
								break
							}
							if try == 20 {
								f.Errorf("%s got no answer: %v", id, err)
								return
							}
						}
						if end {
							mutex.Lock()
							ended[id+"_"+f.suffix] = true
							mutex.Unlock()
						}
					}
				})
			}
			group.Wait()
			for _, process := range all {
				process.arm(cut{})
			}
			status, err := f.Status(f.Context())
			require.NoError(f, err)
			require.Empty(f, status.Drift, "round %d", round)
			want := map[string]bool{}
			for _, a := range status.Active {
				require.False(f, ended[a.Run], "round %d: %s has ended", round, a.Run)
				want[strings.ReplaceAll(a.User+" "+a.Role+" ours", "_"+f.suffix, "")] = true
			}
			got := f.memberships()
			require.Len(f, got, len(want), "round %d", round)
			for _, membership := range got {
				require.True(f, want[membership], "round %d: %s", round, membership)
			}
		}
	})
}
