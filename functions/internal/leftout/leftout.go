// Package leftout says what of a function's configuration cannot be used. A bad entry of a table
// never stops a function, which also has to end access: the entry is left out, and people are told.
package leftout

import (
	"context"
	"log/slog"
)

// Message is the message of the log records that the modules' alarms count.
const Message = "configuration left out"

// Of lists the sentences of an error, one for each error that it joins. Each begins with the name
// of the setting that they are about, unless that is empty.
func Of(setting string, err error) []string {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var sentences []string
	for _, one := range all {
		sentence := one.Error()
		if setting != "" {
			sentence = setting + ": " + sentence
		}
		sentences = append(sentences, sentence)
	}
	return sentences
}

// Log logs each problem for the alarm.
func Log(ctx context.Context, log *slog.Logger, problems []string) {
	for _, problem := range problems {
		log.ErrorContext(ctx, Message, "problem", problem)
	}
}
