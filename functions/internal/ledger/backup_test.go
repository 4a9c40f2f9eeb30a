package ledger

import (
	osexec "os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBackupsLeaveTheLedgerOut shows what the page for database administrators says of pg_dump:
// what fails, and with which option it works.
func TestBackupsLeaveTheLedgerOut(t *testing.T) {
	dump, err := osexec.LookPath("pg_dump")
	if err != nil {
		t.Skip("pg_dump is not on this machine")
	}
	version, err := execute(t.Context(), dump, "--version")
	require.NoError(t, err)
	major, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(version))
	require.NoError(t, err)
	everywhere(t, func(f *fixture) {
		if f.server.Major > major {
			return // It refuses servers that are newer than itself.
		}
		f.escalate("run", "alice", "readonly")
		f.writer("backup")
		for _, user := range []string{f.of("backup"), f.ownerName} {
			superuser := query[bool](f, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", user)
			url := f.server.URLFor(user, password, "db_"+f.suffix)
			out, err := execute(f.Context(), dump, url)
			if superuser {
				require.NoError(f, err, out)
			} else {
				require.Error(f, err)
				assert.Contains(f, out, "row-level security")
			}
			out, err = execute(f.Context(), dump, "--exclude-schema=sym", url)
			require.NoError(f, err, out)
			assert.Contains(f, out, "chalk")
			assert.NotContains(f, out, "alice@example.com")
		}
	})
}
