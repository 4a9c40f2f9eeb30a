package request_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"sym-postgres-quickstart/functions/internal/request"
)

func TestLasting(t *testing.T) {
	tests := map[time.Duration]string{
		0:                                   "0 seconds",
		time.Second:                         "1 second",
		90 * time.Second:                    "1 minute 30 seconds",
		30 * time.Minute:                    "30 minutes",
		time.Hour:                           "1 hour",
		26*time.Hour + 5*time.Minute:        "1 day 2 hours 5 minutes",
		7 * 24 * time.Hour:                  "7 days",
		time.Minute - time.Nanosecond:       "1 minute",
		400 * time.Millisecond:              "0 seconds",
		2*time.Hour + 1500*time.Microsecond: "2 hours",
	}
	for d, want := range tests {
		assert.Equal(t, want, request.Lasting(d))
	}
}
