package tools

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

func TestServersOfEveryVersion(t *testing.T) {
	servers, missing := Servers(t.Context())
	if missing != nil {
		t.Fatal(missing)
	}
	majors := map[int]bool{}
	for _, installation := range servers {
		majors[installation.Major] = true
		server, err := pgserver.Start(t.Context(),
			pgserver.Config{Binaries: installation.Binaries})
		require.NoError(t, err)
		assert.Equal(t, installation.Major, server.Major)
		require.NoError(t, server.Stop())
	}
	for major := range packaged {
		assert.True(t, majors[major], "version %d", major)
	}
}
