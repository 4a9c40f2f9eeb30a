package front

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

func TestRoutesMatchWholePaths(t *testing.T) {
	t.Parallel()
	parameters, ok := matchPath("/requests/{id}/approve", "/requests/7/approve")
	require.True(t, ok)
	require.Equal(t, map[string]string{"id": "7"}, parameters)
	for _, path := range []string{"/requests/7", "/requests//approve", "/requests/7/approve/now", "/"} {
		_, ok := matchPath("/requests/{id}/approve", path)
		require.False(t, ok, path)
	}
}

func TestSchedulesFireAtARate(t *testing.T) {
	t.Parallel()
	every, err := period("rate(1 minute)")
	require.NoError(t, err)
	require.Equal(t, time.Minute, every)
	every, err = period("rate(2 hours)")
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, every)
	for _, expression := range []string{"rate(0 minutes)", "cron(0 12 * * ? *)", "", "rate(1 second)"} {
		_, err = period(expression)
		require.Error(t, err, expression)
	}
}

func TestStateMachineIsLookedThrough(t *testing.T) {
	t.Parallel()
	for definition, result := range map[string]string{
		`{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`:                                              "OK",
		`{"StartAt":"B","States":{"A":{"Type":"Succeed"}}}`:                                              "FAIL",
		`{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"C"}}}`:                                      "FAIL",
		`{"StartAt":"A","States":{"A":{"Type":"Task","Catch":[{"Next":"C"}],"Next":"A"}}}`:               "FAIL",
		`{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Next":"C"}],"Default":"A"},"B":{}}}`: "FAIL",
		`not JSON`: "FAIL",
	} {
		body, err := json.Marshal(map[string]string{"definition": definition})
		require.NoError(t, err)
		w := httptest.NewRecorder()
		validateStateMachine(w, call{body: body})
		var answer struct{ Result string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		require.Equal(t, result, answer.Result, definition)
	}
}

func TestDatabaseAnswersNameTheServersThatRun(t *testing.T) {
	t.Parallel()
	d := newDatabases(&Front{})
	d.running[Account+"/a"] = &pgserver.Server{Host: "127.0.0.1", Port: 4001}
	answer := `<DBCluster><DBClusterIdentifier>a</DBClusterIdentifier><Endpoint>a.rds.amazonaws.com</Endpoint>` +
		`<Port>5432</Port><ScalingConfigurationInfo/></DBCluster>` +
		`<DBInstance><DBInstanceIdentifier>a-1</DBInstanceIdentifier><Endpoint><Address>a-1.rds.amazonaws.com</Address>` +
		`<Port>5432</Port></Endpoint><DBClusterIdentifier>a</DBClusterIdentifier></DBInstance>` +
		`<DBCluster><DBClusterIdentifier>other</DBClusterIdentifier><Port>5432</Port></DBCluster>`
	require.Equal(t, `<DBCluster><DBClusterIdentifier>a</DBClusterIdentifier><Endpoint>127.0.0.1</Endpoint>`+
		`<Port>4001</Port></DBCluster>`+
		`<DBInstance><DBInstanceIdentifier>a-1</DBInstanceIdentifier><Endpoint><Address>127.0.0.1</Address>`+
		`<Port>4001</Port></Endpoint><DBClusterIdentifier>a</DBClusterIdentifier></DBInstance>`+
		`<DBCluster><DBClusterIdentifier>other</DBClusterIdentifier><Port>5432</Port></DBCluster>`,
		string(d.rewrite(Account, []byte(answer))))
}
