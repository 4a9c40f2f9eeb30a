package ledger

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sym-postgres-quickstart/functions/internal/database"
)

// untranslatable reports whether an error is about text that the database's encoding lacks.
func untranslatable(err error) bool {
	refused, ok := errors.AsType[database.DatabaseRefused](err)
	return ok && (refused.SQLState == "22P05" || refused.SQLState == "22021")
}

// escape writes what is not ASCII as \u and four hexadecimal digits, or as \U and eight.
func escape(text string) string {
	var escaped strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			escaped.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&escaped, `\u%04x`, r)
		default:
			fmt.Fprintf(&escaped, `\U%08x`, r)
		}
	}
	return escaped.String()
}

// maxReason is how many bytes of a reason the ledger keeps. A longer value would be stored apart
// from its row, where policies do not hold.
const maxReason = 4000

// shorten cuts a text to maxReason, between characters.
func shorten(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + " (cut)"
}
