package request

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// key is what an idempotency key may be.
var key = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

// newID is the id of a request that is about to be made: a new one, or, with an idempotency
// key, the one that this person's key always gives. So the store's refusal to create a request
// twice is all that idempotency takes, and it holds for ever.
func (s *Service) newID(person string, sub Submission) (string, error) {
	if sub.Key == "" {
		return s.NewID(), nil
	}
	if !key.MatchString(sub.Key) {
		return "", fail(InvalidKey, "The idempotency key has to be 1 to 128 visible ASCII "+
			"characters without spaces. A random UUID is a good one.")
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("sym:request:"+person+":"+sub.Key)).String(), nil
}

// fingerprint is of everything that was asked for, as it was sent.
func (sub Submission) fingerprint() string {
	seconds := int64(-1)
	if sub.Duration != nil {
		seconds = int64(*sub.Duration / time.Second)
	}
	content, _ := json.Marshal([]any{ // strings and numbers always marshal
		sub.Flow, sub.Target, strings.TrimSpace(sub.Reason), seconds, sub.BreakGlass, sub.extends,
	})
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
