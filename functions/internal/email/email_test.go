package email_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"sym-postgres-quickstart/functions/internal/email"
)

func TestFold(t *testing.T) {
	assert.Equal(t, "alice@example.com", email.Fold("Alice@EXAMPLE.com"))
	// A Kelvin sign and a dotted capital I are other letters than k and i.
	assert.Equal(t, "mi\u212Ae@example.com", email.Fold("mi\u212Ae@Example.com"))
	assert.Equal(t, "\u0130@example.com", email.Fold("\u0130@example.com"))
}

func TestValid(t *testing.T) {
	tests := map[string]bool{
		"alice@example.com":                      true,
		"Anna-Lena.o'hara+db@mail.example.co.uk": true,
		"\u0430lice@example.com":                 false, // a Cyrillic a
		"mi\u212Ae@example.com":                  false, // a Kelvin sign
		"alice@ex\u0430mple.com":                 false,
		"alice\u200b@example.com":                false, // a space without width
		"alice@example":                          false,
		"alice":                                  false,
		"":                                       false,
		"a b@example.com":                        false,
		"alice@example.com\n":                    false,
		"<alice@example.com>":                    false,
		strings.Repeat("a", 65) + "@example.com": false,
		"a@" + strings.Repeat("b.", 130) + "com": false,
		"alice@example.com,bob@example.com":      false,
		"alice@example.com@example.com":          false,
	}
	for address, want := range tests {
		assert.Equal(t, want, email.Valid(address), "%q", address)
	}
}

func TestASCII(t *testing.T) {
	assert.True(t, email.ASCII(`"a@b"@example.com`))
	assert.False(t, email.ASCII("\u0430lice@example.com"))
	assert.False(t, email.ASCII("a\x00@example.com"))
}
