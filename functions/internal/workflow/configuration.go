package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"sym-postgres-quickstart/functions/internal/leftout"
	"sym-postgres-quickstart/functions/internal/request"
)

const (
	// configurationID is the partition for the notes of what was told about the configuration. No
	// request has this id.
	configurationID = "configuration"

	// configurationEvery is how often people are told of a problem again while it lasts.
	configurationEvery = 24 * time.Hour

	// mostProblems is how many problems one message lists.
	mostProblems = 10
)

// tellProblems tells people of what was left out of the configuration, and logs it for the alarm,
// which lasts for as long as it is logged.
func (s *Steps) tellProblems(ctx context.Context) error {
	if s.Problems == nil {
		return nil
	}
	problems := s.Problems(ctx)
	leftout.Log(ctx, s.Log, problems)
	if len(problems) == 0 || s.Tell == nil {
		return nil
	}
	t := request.Trouble{
		What: "A part of the Runtime's configuration cannot be used and was left out:",
		Do:   "Correct it in Terraform and apply. Everything else works meanwhile.",
	}
	sum := sha256.New()
	for i, problem := range problems {
		sum.Write([]byte(problem + "\n"))
		if i < mostProblems {
			t.What += "\n• " + cut(problem)
		}
	}
	if more := len(problems) - mostProblems; more > 0 {
		t.What += fmt.Sprintf("\nThe Runtime's log has %d more.", more)
	}
	note := fmt.Sprintf("%s-%d", hex.EncodeToString(sum.Sum(nil)[:16]),
		s.now().Unix()/int64(configurationEvery/time.Second))
	told, err := s.Store.Noted(ctx, configurationID, note)
	if err != nil || told {
		return err
	}
	if err := s.Tell(ctx, t); err != nil {
		return err
	}
	_, err = s.Store.Note(ctx, configurationID, note)
	return err
}
