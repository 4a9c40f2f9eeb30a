package tools

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/machine"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

func TestServersOfEveryVersion(t *testing.T) {
	t.Setenv("POSTGRES_VERSIONS", "")
	servers, missing := Servers(t.Context())
	if missing != nil {
		t.Fatal(missing)
	}
	var majors []int
	for _, installation := range servers {
		majors = append(majors, installation.Major)
		server, err := pgserver.Start(t.Context(),
			pgserver.Config{Binaries: installation.Binaries})
		require.NoError(t, err)
		assert.Equal(t, installation.Major, server.Major)
		require.NoError(t, server.Stop())
	}
	for major := range machine.PackagedServers {
		assert.Contains(t, majors, major)
	}
	slices.Reverse(majors)
	assert.IsIncreasing(t, majors, "the newest comes first")
}

func TestServersOfSomeVersions(t *testing.T) {
	t.Setenv("POSTGRES_VERSIONS", "16, 18,18")
	servers, missing := Servers(t.Context())
	require.NoError(t, missing)
	require.Len(t, servers, 2)
	assert.Equal(t, 18, servers[0].Major)
	assert.Equal(t, 16, servers[1].Major)

	t.Setenv("POSTGRES_VERSIONS", "18,99")
	servers, missing = Servers(t.Context())
	require.ErrorContains(t, missing, "PostgreSQL 99 is not on this machine")
	require.Len(t, servers, 1)

	for _, wrong := range []string{"fifteen", "15.18", "13"} {
		t.Setenv("POSTGRES_VERSIONS", wrong)
		_, missing = Servers(t.Context())
		require.ErrorContains(t, missing, "POSTGRES_VERSIONS")
	}
}
