package request

import "sym-postgres-quickstart/functions/internal/email"

// Email brings an e-mail address into the form in which addresses are compared.
func Email(address string) string { return email.Fold(address) }

// IsEmail tells whether a text is an e-mail address that can name a person here.
func IsEmail(text string) bool { return email.Valid(text) }
