package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/test/sandbox/iamlogin"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// trouble is one warm function and the database that it is in trouble with.
type trouble struct {
	*testing.T
	server  *pgserver.Server
	config  pgserver.Config
	address *address
	handler lambda.Handler
	secret  string
}

func newTrouble(t *testing.T, binaries string) *trouble {
	tr := &trouble{T: t, secret: password}
	dir, err := os.MkdirTemp("", "trouble")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	root, cert, key := certify(t)
	tr.config = pgserver.Config{Binaries: binaries, Dir: dir, Password: password,
		CertFile: cert, KeyFile: key}
	tr.server, err = pgserver.Start(t.Context(), tr.config)
	require.NoError(t, err)
	tr.config.Port = tr.server.Port
	t.Cleanup(func() { _ = tr.server.Stop() })
	require.NoError(t, prepare(t.Context(), tr.server))
	tr.address = newAddress(t, tr.server.Address())

	secrets := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := json.Marshal(map[string]string{"SecretString": tr.secret})
			_, _ = w.Write(body)
		}))
	t.Cleanup(secrets.Close)
	t.Setenv("AWS_ENDPOINT_URL", secrets.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
	t.Setenv("AWS_REGION", "eu-central-1")
	tr.handler = newHandler(environment(map[string]string{
		"PG_HOST": "localhost", "PG_PORT": tr.address.port(), "PG_AUTH": "secret",
		"PG_SECRET_ARN": "arn", "PG_PASSWORD": "", "PG_SSLMODE": "verify-full",
		"PG_SSLROOTCERT": root,
	}), quiet())
	return tr
}

// call escalates and deescalates a run of its own, and answers the first error. It checks
// that a deadline of three seconds is kept with a margin.
func (tr *trouble) call() error {
	return tr.within(3*time.Second, 2900*time.Millisecond)
}

// within is call with another deadline, and with how long a call may take at most.
func (tr *trouble) within(deadline, most time.Duration) error {
	run := uuid.NewString()
	for _, kind := range []string{"escalate", "deescalate"} {
		ctx, cancel := context.WithTimeout(tr.Context(), deadline)
		defer cancel()
		start := time.Now()
		raw, err := tr.handler.Invoke(ctx,
			payload(tr.T, run, `"type": "escalate"`, `"type": "`+kind+`"`))
		assert.Less(tr, time.Since(start), most, "the margin")
		if err != nil {
			assert.NotContains(tr, fmt.Sprintf("%v %#v", err, err), password)
			return err
		}
		var answer event.Answer
		require.NoError(tr, json.Unmarshal(raw, &answer))
		require.Empty(tr, answer.Errors)
	}
	return nil
}

func (tr *trouble) fails(name, message string) {
	tr.Helper()
	err := tr.call()
	require.Error(tr, err)
	assert.Equal(tr, name, reflect.TypeOf(err).Name(), err.Error())
	assert.Contains(tr, err.Error(), message)
}

// works also shows that nothing stayed behind. What works may take as long as a busy machine needs.
func (tr *trouble) works() {
	tr.Helper()
	require.NoError(tr, tr.within(time.Minute, time.Minute))
	require.Eventually(tr, func() bool {
		return tr.admin("SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'") == "t"
	}, 30*time.Second, 20*time.Millisecond, "no lock stays behind")
}

// admin runs a statement as the superuser and answers the first value as text.
func (tr *trouble) admin(sql string) string {
	tr.Helper()
	conn, err := pgx.Connect(tr.Context(), tr.server.URL())
	require.NoError(tr, err)
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(tr.Context(), sql).ReadAll()
	require.NoError(tr, err)
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}

const endBroker = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
	"WHERE usename = 'sym_broker'"

func (tr *trouble) stop() {
	tr.Helper()
	require.NoError(tr, tr.server.Stop())
}

// start starts the server again, with settings for this time.
func (tr *trouble) start(settings ...string) {
	tr.Helper()
	config := tr.config
	config.Settings = settings
	var err error
	tr.server, err = pgserver.Start(tr.Context(), config)
	require.NoError(tr, err)
	tr.server.Password = password
}

func (tr *trouble) standby() string {
	return filepath.Join(tr.config.Dir, "data", "standby.signal")
}

// TestTroubleHasANameAndPasses is promise by promise: each trouble is an error with a
// stable name, and when it is over the same warm function works, with no lock left behind.
func TestTroubleHasANameAndPasses(t *testing.T) {
	servers, missing := tools.Servers(t.Context())
	if missing != nil {
		t.Log(missing)
	}
	require.NotEmpty(t, servers)
	troubles := []struct {
		name string
		is   func(*trouble)
	}{
		{"down", func(tr *trouble) {
			tr.stop()
			tr.fails("DatabaseUnavailable", "cannot be reached")
			tr.start()
		}},
		{"restarting", func(tr *trouble) {
			tr.stop()
			// A standby that lets nobody in answers as a server does that is starting up.
			require.NoError(tr, os.WriteFile(tr.standby(), nil, 0o644))
			config := tr.config
			config.Settings = []string{"hot_standby = off"}
			ctx, cancel := context.WithCancel(tr.Context())
			ended := make(chan error)
			go func() {
				_, err := pgserver.Start(ctx, config)
				ended <- err
			}()
			var err error
			require.Eventually(tr, func() bool {
				err = tr.call()
				return err != nil && strings.Contains(err.Error(), "57P03")
			}, time.Minute, 50*time.Millisecond)
			assert.Equal(tr, "DatabaseUnavailable", reflect.TypeOf(err).Name())
			cancel()
			require.Error(tr, <-ended)
			require.NoError(tr, os.Remove(tr.standby()))
			tr.start()
		}},
		{"read-only", func(tr *trouble) {
			tr.stop()
			require.NoError(tr, os.WriteFile(tr.standby(), nil, 0o644))
			tr.start()
			tr.fails("DatabaseUnavailable", "recovery")
			tr.fails("DatabaseUnavailable", "recovery")
			tr.stop()
			require.NoError(tr, os.Remove(tr.standby()))
			tr.start()
		}},
		{"out of connections", func(tr *trouble) {
			tr.admin("ALTER ROLE sym_broker CONNECTION LIMIT 0; " + endBroker)
			tr.fails("DatabaseBusy", "too many connections")
			tr.admin("ALTER ROLE sym_broker CONNECTION LIMIT -1")
		}},
		{"a lock that is held", func(tr *trouble) {
			conn, err := pgx.Connect(tr.Context(), tr.server.URL())
			require.NoError(tr, err)
			defer conn.Close(context.Background())
			_, err = conn.PgConn().Exec(tr.Context(), "BEGIN; LOCK TABLE sym.grants").ReadAll()
			require.NoError(tr, err)
			tr.fails("DatabaseBusy", "lock timeout")
		}},
		{"swallowed in the middle of it", func(tr *trouble) {
			// The server hears the first trip, takes the locks, and its answer is lost; the
			// connection is never closed. It gives up by itself at our deadline.
			tr.address.swallow(true)
			tr.fails("DatabaseUnavailable", "in time")
			tr.address.mutex.Lock()
			tr.address.open, tr.address.swallowed = nil, false
			tr.address.mutex.Unlock()
		}},
		{"ended by an administrator", func(tr *trouble) {
			tr.admin(endBroker)
		}},
		{"failed over to another address", func(tr *trouble) {
			// The old one is a standby from now on, the new one has the name.
			second, err := pgserver.Start(tr.Context(), pgserver.Config{
				Binaries: tr.config.Binaries, Password: password,
				CertFile: tr.config.CertFile, KeyFile: tr.config.KeyFile})
			require.NoError(tr, err)
			defer second.Stop()
			require.NoError(tr, prepare(tr.Context(), second))
			first := tr.server
			tr.server = second
			tr.address.moveTo(second.Address())
			tr.works()
			tr.server = first
			tr.address.moveTo(first.Address())
		}},
		{"certificate of another root", func(tr *trouble) {
			right := tr.config
			_, tr.config.CertFile, tr.config.KeyFile = certify(tr.T)
			tr.stop()
			tr.start()
			tr.fails("DatabaseUnavailable", "certificate")
			tr.config = right
			tr.stop()
			tr.start()
		}},
		{"password rotated between two calls", func(tr *trouble) {
			// A connection that is open goes on.
			tr.admin("ALTER ROLE sym_broker PASSWORD 'another'")
			tr.works()
			tr.admin(endBroker)
			tr.fails("CredentialsUnavailable", "28P01")
			tr.secret = `{"username":"sym_broker","password":"another"}`
		}},
		{"secret without a password", func(tr *trouble) {
			tr.admin(endBroker)
			before := tr.secret
			tr.secret = "{}"
			tr.fails("CredentialsUnavailable", "has no password")
			tr.secret = before
		}},
	}
	for _, installation := range servers {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			tr := newTrouble(t, installation.Binaries)
			tr.works()
			for _, trouble := range troubles {
				t.Run(trouble.name, func(t *testing.T) {
					outer := tr.T
					tr.T = t
					defer func() { tr.T = outer }()
					trouble.is(tr)
					tr.works()
				})
			}
		})
	}
}

// TestExpiredTokenIsReplaced has a server that checks tokens as RDS does: one is refused as
// expired, and the next call logs in with a new one. A session outlives its token.
func TestExpiredTokenIsReplaced(t *testing.T) {
	// Only a server built with LDAP can be told to ask us.
	var binaries string
	for _, installation := range pgserver.Installed() {
		program, err := os.ReadFile(filepath.Join(installation.Binaries, "postgres"))
		if err == nil && bytes.Contains(program, []byte("ldap_simple_bind")) {
			binaries = installation.Binaries
		}
	}
	if binaries == "" {
		t.Skip("no PostgreSQL server built with LDAP is on this machine")
	}
	var mutex sync.Mutex
	expired, logins := false, 0
	logs, err := iamlogin.Start(func(user, token string) error {
		mutex.Lock()
		defer mutex.Unlock()
		signed, err := url.Parse("https://" + token)
		if err != nil {
			return err
		}
		at, err := time.Parse("20060102T150405Z", signed.Query().Get("X-Amz-Date"))
		switch {
		case err != nil:
			return err
		case expired || time.Since(at) > 15*time.Minute:
			return errors.New("expired")
		}
		logins++
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, logs.Close()) })
	root, cert, key := certify(t)
	server, err := pgserver.Start(t.Context(), pgserver.Config{Binaries: binaries,
		Password: password, CertFile: cert, KeyFile: key,
		HBA: []string{"hostssl all sym_broker all " + logs.HBA()}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	require.NoError(t, prepare(t.Context(), server))
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
	t.Setenv("AWS_REGION", "eu-central-1")
	tr := &trouble{T: t, server: server, handler: newHandler(environment(map[string]string{
		"PG_HOST": "localhost", "PG_PORT": strconv.Itoa(server.Port), "PG_AUTH": "iam",
		"PG_PASSWORD": "", "PG_SSLMODE": "verify-full", "PG_SSLROOTCERT": root,
	}), quiet())}
	set := func(value bool) {
		mutex.Lock()
		defer mutex.Unlock()
		expired = value
	}
	tr.works()
	set(true)
	tr.works() // The session lives on.
	tr.admin(endBroker)
	tr.fails("CredentialsUnavailable", "(28")
	set(false)
	tr.works()
	assert.Equal(t, 2, logins)
}
