package readers

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
