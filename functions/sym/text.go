package main

import (
	"fmt"
	"strings"
	"unicode"
)

// printable makes what others wrote harmless for a terminal: nothing in it moves the cursor,
// changes colours or turns the direction of the text around. Line breaks become spaces.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case isCommand(r) || r == unicode.ReplacementChar:
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isCommand tells whether a character is one that a terminal obeys instead of showing it.
func isCommand(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) ||
		r == '\u2028' || r == '\u2029'
}

// lines are a text's lines, each harmless.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "")) {
		all = append(all, printable(strings.TrimRight(line, "\n")))
	}
	return all
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:max(0, most-1)]) + "…"
}

// quoted shows what somebody wrote in a sentence.
func quoted(text string) string { return `"` + cut(printable(text), 64) + `"` }
