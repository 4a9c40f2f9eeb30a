package readers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/moto"
)

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
			// The scope of the signature: key, day, region, service.
			region := strings.Split(r.Header.Get("Authorization"), "/")[2]
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
