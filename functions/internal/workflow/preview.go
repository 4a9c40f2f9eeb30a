package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"sym-postgres-quickstart/functions/internal/event"
	"sym-postgres-quickstart/functions/internal/request"
)

// Preview implements [request.Previewer]: it asks the target's function for a check, by the same
// chain of roles as the escalate.
//
// A function of another vendor or of an older version does not know checks, and says so or answers
// something else. That is an error and no refusal: the grant may well succeed.
func (s *Steps) Preview(ctx context.Context, r request.Request) (request.Preview, error) {
	answer, err := s.send(ctx, r, event.Check)
	if err != nil {
		return request.Preview{}, err
	}
	if refusal := answer.Refusal(); refusal != nil {
		said := strings.Join(answer.Errors, " ")
		if refusal.Code == "" || refusal.Code == event.MalformedEvent {
			return request.Preview{}, fmt.Errorf("the function does not know checks: %s", said)
		}
		return request.Preview{}, request.Refuse(refusal, request.CannotBeGranted, "%s", said)
	}
	var body event.Checked
	if err := json.Unmarshal(answer.Body, &body); err != nil || body.Role != r.Target.RoleName {
		return request.Preview{}, notAnAnswer("what a grant would do", answer)
	}
	return request.Preview{
		NeedsSetRole: body.NeedsSetRole, CouldLeave: bounded(body.CouldLeave),
	}, nil
}

// How much of the function's text is kept with a request: a request is one item of the table, and
// people read it.
const (
	mostSentences = 10
	mostSentence  = 300 // characters
)

func bounded(sentences []string) []string {
	var kept []string
	for _, sentence := range sentences[:min(len(sentences), mostSentences)] {
		kept = append(kept, cut(sentence))
	}
	return kept
}

// cut shortens a text for people.
func cut(text string) string {
	if runes := []rune(text); len(runes) > mostSentence {
		return string(runes[:mostSentence-1]) + "…"
	}
	return text
}
