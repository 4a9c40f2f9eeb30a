package leftout

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	assert.Empty(t, Of("X", nil))
	one, two := errors.New("one"), fmt.Errorf("two: %w", errors.New("why"))
	assert.Equal(t, []string{"X: two: why"}, Of("X", two))
	assert.Equal(t, []string{"X: one", "X: two: why"}, Of("X", errors.Join(one, two)))
}

// TestAlarms checks that the alarms of both functions count what is logged here.
func TestAlarms(t *testing.T) {
	for _, path := range []string{"sym-runtime/configuration.tf", "postgres-lambda/configuration.tf"} {
		text, err := os.ReadFile("../../../modules/" + path)
		require.NoError(t, err)
		assert.Contains(t, string(text), `pattern        = "\"`+Message+`\""`, path)
	}
}
