package readers

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

// TestReadersThatThePrimarySees is about who is missed in the list.
func TestReadersThatThePrimarySees(t *testing.T) {
	named := func(host string) Reader { return Reader{Name: host, Host: host, Port: 5432} }
	byAWS := func(name string, writer bool) Reader {
		return Reader{Name: name, Host: name, Port: 5432, Origin: AWS, Writer: writer}
	}
	hosts := map[string]string{"db": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3", "self": "127.0.0.1",
		"aws-1": "10.9.0.1", "aws-2": "10.9.0.2"}
	for name, c := range map[string]struct {
		listed  []Reader
		seen    []seen
		found   []string
		problem string // of the last
	}{
		"all are in the list": {listed: []Reader{named("b"), named("c")},
			seen: []seen{{address: "10.0.0.3"}, {address: "::ffff:10.0.0.2"}}, found: []string{"b", "c"}},
		"one is not": {listed: []Reader{named("b")},
			seen:  []seen{{address: "10.0.0.2"}, {address: "10.0.0.3"}},
			found: []string{"b", "the replica at 10.0.0.3"}},
		"two are at one address": {listed: []Reader{named("b")},
			seen:  []seen{{address: "10.0.0.2"}, {address: "10.0.0.2"}},
			found: []string{"b", "the replica at 10.0.0.2"}},
		"one is on the primary's machine": {listed: []Reader{named("self")},
			seen: []seen{{address: "10.0.0.1"}}, found: []string{"self"}},
		"one is there and not listed": {seen: []seen{{address: "127.0.0.1"}},
			found: []string{"a replica"}, problem: "own machine"},
		"one is behind a translation": {listed: []Reader{named("nat")},
			seen: []seen{{address: "10.7.7.7"}}, found: []string{"nat"}},
		"hidden, but as many as are listed": {listed: []Reader{named("b")},
			seen: []seen{{}}, found: []string{"b"}},
		"hidden, and one more": {listed: []Reader{named("b")}, seen: []seen{{}, {}},
			found: []string{"b", "a replica"}, problem: "pg_read_all_stats"},
		"RDS's replicas by other addresses": {listed: []Reader{byAWS("aws-1", false)},
			seen: []seen{{address: "172.16.0.9"}}, found: []string{"aws-1"}},
		"Aurora's": {listed: []Reader{byAWS("aws-1", true), byAWS("aws-2", false)},
			seen: []seen{{name: "aws-2"}}, found: []string{"aws-2"}},
		"Aurora's after a failover": {listed: []Reader{byAWS("aws-1", true), byAWS("aws-2", false)},
			seen: []seen{{name: "aws-1"}}, found: []string{"aws-2", "aws-1"}},
		"Aurora's without RDS": {seen: []seen{{name: "aws-2"}}, found: []string{"aws-2"},
			problem: "PG_CLUSTER_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Config{Primary: "db", Port: 5432}, nil)
			f.resolve = func(_ context.Context, _, host string) ([]netip.Addr, error) {
				address, err := netip.ParseAddr(hosts[host])
				return []netip.Addr{address}, err
			}
			f.Learn(named("nat"), netip.MustParseAddr("10.7.7.7"))
			found, unknown := f.match(t.Context(), c.listed, c.seen)
			assert.Equal(t, c.found, names(found))
			last := found[len(found)-1]
			assert.Equal(t, !slices.Contains(names(c.listed), last.Name) &&
				!slices.Contains(names(c.listed), last.Name+" (writer)"), unknown)
			if c.problem != "" {
				assert.Contains(t, last.Problem, c.problem)
			} else {
				assert.Empty(t, last.Problem)
			}
		})
	}
}

func TestAurorasReadersFollowFromTheClustersEndpoint(t *testing.T) {
	for primary, address := range map[string]string{
		"main.cluster-c1abc.us-east-1.rds.amazonaws.com":    "main-2.c1abc.us-east-1.rds.amazonaws.com",
		"Main.cluster-c1abc.us-east-1.rds.amazonaws.com.":   "main-2.c1abc.us-east-1.rds.amazonaws.com",
		"main.cluster-c1.cn-north-1.rds.amazonaws.com.cn":   "main-2.c1.cn-north-1.rds.amazonaws.com.cn",
		"main.cluster-c1.rds.cn-north-1.amazonaws.com.cn":   "main-2.c1.rds.cn-north-1.amazonaws.com.cn",
		"main.cluster-c1.us-gov-west-1.rds.amazonaws.com":   "main-2.c1.us-gov-west-1.rds.amazonaws.com",
		"main.cluster-c1.rds.cn-north-1.amazonaws.com":      "",
		"main.proxy-c1abc.us-east-1.rds.amazonaws.com":      "",
		"main.cluster-ro-c1abc.us-east-1.rds.amazonaws.com": "",
		"db.example.com": "",
	} {
		f := New(Config{Primary: primary, Port: 6432}, nil)
		found, _ := f.match(t.Context(), nil, []seen{{name: "Main-2"}})
		require.Len(t, found, 1)
		if address == "" {
			assert.Contains(t, found[0].Problem, "PG_CLUSTER_ID", primary)
		} else {
			assert.Empty(t, found[0].Problem)
			assert.Equal(t, address+":6432", found[0].Address())
		}
	}
}

func TestEndpointService(t *testing.T) {
	for region, service := range map[string]string{
		"eu-west-1":      "com.amazonaws.eu-west-1.rds",
		"us-gov-west-1":  "com.amazonaws.us-gov-west-1.rds",
		"cn-northwest-1": "cn.com.amazonaws.cn-northwest-1.rds",
		"":               "com.amazonaws.REGION.rds",
	} {
		assert.Equal(t, service, endpointService(region))
	}
}

// TestAurorasReadersAreFound has Aurora's function on an ordinary server: a reader whose
// address RDS has is found, one that RDS lists later is asked for again, and one that is gone
// is not missed.
func TestAurorasReadersAreFound(t *testing.T) {
	installations, missing := tools.Servers(t.Context())
	require.NoError(t, missing)
	server, err := pgserver.Start(t.Context(),
		pgserver.Config{Binaries: installations[0].Binaries})
	require.NoError(t, err)
	defer server.Stop()
	conn, err := pgx.Connect(t.Context(), server.URL())
	require.NoError(t, err)
	defer conn.Close(context.Background())
	setup, err := os.ReadFile("../../../modules/postgres-lambda/setup/readers.sql")
	require.NoError(t, err)
	for _, statement := range []string{
		`CREATE FUNCTION pg_catalog.aurora_replica_status() RETURNS TABLE (
			server_id text, session_id text, last_update_timestamp timestamptz) LANGUAGE sql
		AS $$ VALUES ('main-1', 'MASTER_SESSION_ID', now()), ('main-2', 'uuid-2', NULL),
			('main-3', 'uuid-3', now()), ('main-4', 'uuid-4', now() - interval '6 minutes') $$`,
		"CREATE SCHEMA sym", string(setup),
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	a := newAmazon(t)
	a.cluster("main", "main-1", "main-2")
	f := a.finder(Config{Cluster: "main"})
	now := time.Now()
	f.now = func() time.Time { return now }
	found, err := f.Find(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, []string{"main-2", "main-3"}, names(found))
	assert.Contains(t, found[1].Problem, "not yet")

	_, err = rds.NewFromConfig(a.config).CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("main-3"), DBClusterIdentifier: aws.String("main"),
		Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.t4g.medium")})
	require.NoError(t, err)
	now = now.Add(pause)
	found, err = f.Find(t.Context(), conn)
	require.NoError(t, err)
	assert.Equal(t, []string{"main-2", "main-3"}, names(found))
	assert.Empty(t, found[1].Problem)
}
