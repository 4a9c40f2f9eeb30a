// Package email says when two e-mail addresses are one person's, and which addresses can name a
// person at all.
package email

import "regexp"

// Fold brings an address into the form in which addresses are compared. Only ASCII is folded:
// Unicode's folding makes a Kelvin sign a k, and with it two people one.
func Fold(address string) string {
	folded := []byte(address)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}

// maxLength is RFC 5321's limit of a path, less its brackets.
const maxLength = 254

// valid is what an address may look like here: ASCII throughout. A letter from another alphabet
// that looks like one of these makes a different person who looks the same.
var valid = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@` +
	`[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// Valid tells whether an address can name a person.
func Valid(address string) bool { return len(address) <= maxLength && valid.MatchString(address) }

// ASCII tells whether an address has no letter from another alphabet in it.
func ASCII(address string) bool {
	for i := range len(address) {
		if address[i] < ' ' || address[i] > '~' {
			return false
		}
	}
	return true
}
