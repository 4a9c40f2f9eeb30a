package readers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/moto"
	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

func TestReadersInTheEnvironment(t *testing.T) {
	read := func(variables map[string]string) (Config, error) {
		return FromEnvironment(func(name string) string { return variables[name] }, "db", 5432)
	}
	c, err := read(map[string]string{"PG_READERS": " b.example , 10.0.0.7:6432,::1, [::2]:7, "})
	require.NoError(t, err)
	var addresses []string
	for _, reader := range c.Hosts {
		addresses = append(addresses, reader.Address())
	}
	assert.Equal(t, []string{"b.example:5432", "10.0.0.7:6432", "[::1]:5432", "[::2]:7"}, addresses)
	assert.Equal(t, "10.0.0.7:6432", c.Hosts[1].Name)

	for _, wrong := range []string{"b:port", "b:0", "b:70000", "postgres://b", ":5432", "a b"} {
		_, err := read(map[string]string{"PG_READERS": wrong})
		require.ErrorContains(t, err, "PG_READERS has", wrong)
	}
	_, err = read(map[string]string{"PG_CLUSTER_ID": "a", "PG_INSTANCE_ID": "b"})
	require.ErrorContains(t, err, "both set")
}

// amazon is RDS: moto's, and what a test answers in its place.
type amazon struct {
	*testing.T
	config aws.Config
	calls  int
	answer func(form url.Values, region string) (status int, body string)
}

func newAmazon(t *testing.T) *amazon {
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	to, err := url.Parse(server.URL())
	require.NoError(t, err)
	a := &amazon{T: t}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls++
		if a.answer != nil {
			body := new(strings.Builder)
			_, _ = fmt.Fprint(body, r.Header.Get("Authorization"))
			region := strings.Split(body.String(), "/")[2]
			if err := r.ParseForm(); err == nil {
				if status, text := a.answer(r.PostForm, region); status != 0 {
					w.WriteHeader(status)
					_, _ = w.Write([]byte(text))
					return
				}
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	a.config = aws.Config{
		Region: "us-east-1", BaseEndpoint: &front.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}
	return a
}

func (a *amazon) finder(c Config) *Finder {
	return New(c, func() (aws.Config, error) { return a.config, nil })
}

func (a *amazon) cluster(id string, instances ...string) {
	client := rds.NewFromConfig(a.config)
	_, err := client.CreateDBCluster(a.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: &id, Engine: aws.String("aurora-postgresql"),
		MasterUsername: aws.String("root"), MasterUserPassword: aws.String("password")})
	require.NoError(a, err)
	for _, instance := range instances {
		_, err := client.CreateDBInstance(a.Context(), &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &instance, DBClusterIdentifier: &id,
			Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.t4g.medium")})
		require.NoError(a, err)
	}
}

func names(readers []Reader) (names []string) {
	for _, reader := range readers {
		name := reader.Name
		if reader.Writer {
			name += " (writer)"
		}
		names = append(names, name)
	}
	return names
}

func TestReadersOfAnAuroraCluster(t *testing.T) {
	a := newAmazon(t)
	a.cluster("main", "main-1", "main-2", "main-3")
	a.cluster("other", "other-1")
	for _, config := range []Config{
		{Cluster: "main"},
		{Cluster: "arn:aws:rds:us-east-1:123456789012:cluster:main"},
		{Instance: "main-2"},
	} {
		listed, err := a.finder(config).List(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"main-1 (writer)", "main-2", "main-3"}, names(listed))
		for _, reader := range listed {
			assert.Equal(t, AWS, reader.Origin)
			assert.Contains(t, reader.Host, reader.Name+".")
			assert.NotZero(t, reader.Port)
		}
	}
}

func TestReplicasOfAnInstance(t *testing.T) {
	a := newAmazon(t)
	client := rds.NewFromConfig(a.config)
	abroad := rds.NewFromConfig(a.config, func(o *rds.Options) { o.Region = "eu-west-1" })
	_, err := client.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("main"), Engine: aws.String("postgres"),
		DBInstanceClass: aws.String("db.t4g.micro"), AllocatedStorage: aws.Int32(20),
		MasterUsername: aws.String("root"), MasterUserPassword: aws.String("password")})
	require.NoError(t, err)
	for _, replica := range []struct {
		client   *rds.Client
		id, from string
	}{
		{client, "near", "main"},
		{abroad, "far", "arn:aws:rds:us-east-1:123456789012:db:main"},
	} {
		_, err := replica.client.CreateDBInstanceReadReplica(t.Context(),
			&rds.CreateDBInstanceReadReplicaInput{
				DBInstanceIdentifier: &replica.id, SourceDBInstanceIdentifier: &replica.from})
		require.NoError(t, err)
	}
	listed, err := a.finder(Config{Instance: "main"}).List(t.Context())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"near", "far"}, names(listed))
	for _, reader := range listed {
		if reader.Name == "far" {
			assert.Contains(t, reader.Host, "eu-west-1")
		}
	}

	_, err = a.finder(Config{Instance: "unknown"}).List(t.Context())
	require.ErrorContains(t, err, "unknown")
}

// TestReadersOfAGlobalDatabase has what moto does not know: a secondary cluster, whose first
// member RDS may call a writer, and a replica of a replica.
func TestReadersOfAGlobalDatabase(t *testing.T) {
	a := newAmazon(t)
	cluster := func(region, id, instance string) string {
		return fmt.Sprintf(`<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters>
			<DBCluster><DBClusterIdentifier>%s</DBClusterIdentifier>
			<DBClusterArn>arn:aws:rds:%s:123456789012:cluster:%s</DBClusterArn>
			<GlobalClusterIdentifier>world</GlobalClusterIdentifier>
			<DBClusterMembers><DBClusterMember><IsClusterWriter>true</IsClusterWriter>
			<DBInstanceIdentifier>%s</DBInstanceIdentifier></DBClusterMember></DBClusterMembers>
			</DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>`,
			id, region, id, instance)
	}
	instance := func(cluster, id, state string) string {
		return fmt.Sprintf(`<DBInstance><DBInstanceIdentifier>%s</DBInstanceIdentifier>
			<DBClusterIdentifier>%s</DBClusterIdentifier><DBInstanceStatus>%s</DBInstanceStatus>
			<Endpoint><Address>%s.example</Address><Port>5432</Port></Endpoint></DBInstance>`,
			id, cluster, state, id)
	}
	instances := func(all ...string) string {
		return "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>" +
			strings.Join(all, "") +
			"</DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
	}
	a.answer = func(form url.Values, region string) (int, string) {
		switch form.Get("Action") + " " + region {
		case "DescribeDBClusters us-east-1":
			return 200, cluster(region, "home", "home-1")
		case "DescribeDBClusters eu-west-1":
			return 200, cluster(region, "away", "away-1")
		case "DescribeDBInstances us-east-1":
			return 200, instances(instance("home", "home-1", "available"),
				instance("home", "home-2", "creating"), instance("home", "home-3", "stopped"),
				instance("other", "other-1", "available"))
		case "DescribeDBInstances eu-west-1":
			return 200, instances(instance("away", "away-1", "available"))
		case "DescribeGlobalClusters us-east-1":
			return 200, `<DescribeGlobalClustersResponse><DescribeGlobalClustersResult>
				<GlobalClusters><GlobalClusterMember><GlobalClusterMembers><GlobalClusterMember>
				<DBClusterArn>arn:aws:rds:us-east-1:123456789012:cluster:home</DBClusterArn>
				</GlobalClusterMember><GlobalClusterMember>
				<DBClusterArn>arn:aws:rds:eu-west-1:123456789012:cluster:away</DBClusterArn>
				</GlobalClusterMember></GlobalClusterMembers></GlobalClusterMember></GlobalClusters>
				</DescribeGlobalClustersResult></DescribeGlobalClustersResponse>`
		}
		return 500, form.Get("Action") + " in " + region
	}
	listed, err := a.finder(Config{Cluster: "home"}).List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"home-1 (writer)", "away-1"}, names(listed))
}

func TestRDSIsAskedOnceAMinute(t *testing.T) {
	a := newAmazon(t)
	a.cluster("main", "main-1")
	f := a.finder(Config{Cluster: "main", Hosts: []Reader{{Name: "own", Host: "own", Port: 1}}})
	now := time.Now()
	f.now = func() time.Time { return now }
	listed, err := f.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"own", "main-1 (writer)"}, names(listed))
	calls := a.calls
	now = now.Add(fresh - time.Second)
	_, err = f.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, calls, a.calls)

	// A failure is told, keeps the last list, and is not repeated at once.
	a.answer = func(form url.Values, _ string) (int, string) {
		return 403, "<ErrorResponse><Error><Code>AccessDenied</Code>" +
			"<Message>sym is not authorized</Message></Error></ErrorResponse>"
	}
	now = now.Add(time.Second)
	for range 2 {
		listed, err = f.List(t.Context())
		require.ErrorContains(t, err, "rds:DescribeDBClusters refuses the cluster main: allow it")
		assert.Equal(t, []string{"own", "main-1 (writer)"}, names(listed))
	}
	assert.Equal(t, calls+1, a.calls)
	a.answer = nil
	now = now.Add(pause)
	_, err = f.List(t.Context())
	require.NoError(t, err)
}

func TestNetworkWithoutAWayToRDSIsNamed(t *testing.T) {
	// It takes connections and says nothing.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	f := New(Config{Cluster: "main"}, func() (aws.Config, error) {
		return aws.Config{
			Region: "eu-west-1", BaseEndpoint: aws.String("http://" + listener.Addr().String()),
			Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = f.List(ctx)
	require.ErrorContains(t, err, "com.amazonaws.eu-west-1.rds")
}

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
			assert.Equal(t, last.Origin == Server, unknown)
			if c.problem != "" {
				assert.Contains(t, last.Problem, c.problem)
			} else {
				assert.Empty(t, last.Problem)
			}
		})
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
