package ledger

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
)

// FuzzQuoting has a real server read back what was quoted: a name as an identifier, and any
// text as a literal.
func FuzzQuoting(f *testing.F) {
	for _, name := range []string{"readonly", `O'Brien "x"`, `"; DROP ROLE x; --`, `back\slash`,
		`E'\'`, "$1", "$$", "Ünïcode\u202e", ":'broker'", "\t\r\n", "select", "a\x00b", "\xff",
		strings.Repeat("é", 31), strings.Repeat("x", 64)} {
		f.Add(name)
	}
	conn, err := pgx.Connect(context.Background(), servers[0].URL())
	require.NoError(f, err)
	f.Cleanup(func() { _ = conn.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return // The parser refuses these.
		}
		script, err := database.Script("SELECT :'text'", map[string]string{"text": text})
		require.NoError(t, err)
		for _, standard := range []string{"on", "off"} {
			results, err := conn.PgConn().Exec(t.Context(),
				"SET standard_conforming_strings = "+standard+
					"; SET escape_string_warning = off; "+script).ReadAll()
			require.NoError(t, err)
			require.Equal(t, text, string(results[len(results)-1].Rows[0][0]))
		}
		if text == "" || len(text) > 63 {
			return // And these.
		}
		results, err := conn.PgConn().Exec(t.Context(), "SELECT 1 AS "+name(text)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, text, results[0].FieldDescriptions[0].Name)
	})
}

// TestScriptsAreASCII makes sure that the scripts mean the same to clients and databases of every
// encoding.
func TestScriptsAreASCII(t *testing.T) {
	for _, text := range []string{postgreslambda.Setup, postgreslambda.Uninstall} {
		for i, line := range strings.Split(text, "\n") {
			for _, r := range line {
				assert.Less(t, r, rune(128), "line %d: %s", i+1, line)
			}
		}
	}
}
