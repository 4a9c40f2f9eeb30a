package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// sign signs a body as Slack does.
func sign(secret, body string, at time.Time) map[string]string {
	timestamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	return map[string]string{
		signatureHeader: "v0=" + hex.EncodeToString(mac.Sum(nil)), timestampHeader: timestamp,
	}
}

// TestVerifySlacksExample is the example of Slack's documentation.
func TestVerifySlacksExample(t *testing.T) {
	const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow" +
		"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner" +
		"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands" +
		"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	headers := map[string]string{
		"X-Slack-Signature": "v0=" +
			"a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
		"X-Slack-Request-Timestamp": "1531420618",
	}
	err := verify("8f742231b10e8888abcd99yyyzzz85a5", headers, []byte(body),
		time.Unix(1531420618, 0))
	assert.NoError(t, err)
}

func TestVerify(t *testing.T) {
	now := time.Date(2026, 3, 3, 14, 0, 0, 0, time.UTC)
	const secret, body = "a secret", "command=%2Fsym&text=req"
	change := func(headers map[string]string, name, value string) map[string]string {
		headers[name] = value
		return headers
	}
	right := func() map[string]string { return sign(secret, body, now) }
	tests := []struct {
		name    string
		headers map[string]string
		body    string
		now     time.Time
		err     error
	}{
		{"right", right(), body, now, nil},
		{"five minutes old", right(), body, now.Add(5 * time.Minute), nil},
		{"five minutes ahead", right(), body, now.Add(-5 * time.Minute), nil},
		{"stale", right(), body, now.Add(5*time.Minute + time.Second), errStale},
		{"from the future", right(), body, now.Add(-5*time.Minute - time.Second), errStale},
		{"another body", right(), body + " ", now, errWrongSignature},
		{"another secret", sign("other", body, now), body, now, errWrongSignature},
		{"another time, the same signature", change(right(), timestampHeader,
			fmt.Sprint(now.Unix()+1)), body, now, errWrongSignature},
		{"no headers", nil, body, now, errUnsigned},
		{"another version", change(right(), signatureHeader, "v1="+strings.Repeat("0", 64)), body,
			now, errUnsigned},
		{"too short", change(right(), signatureHeader, "v0=00"), body, now, errUnsigned},
		{"no hexadecimal", change(right(), signatureHeader, "v0="+strings.Repeat("x", 64)), body,
			now, errUnsigned},
		{"two signatures", change(right(), signatureHeader, right()[signatureHeader]+","+
			right()[signatureHeader]), body, now, errUnsigned},
		{"time that is none", change(right(), timestampHeader, "now"), body, now, errUnsigned},
		{"time with a sign", change(right(), timestampHeader, fmt.Sprintf("+%d", now.Unix())), body,
			now, errUnsigned},
		{"time beyond all", change(right(), timestampHeader, "99999999999999999999"), body, now,
			errUnsigned},
		{"the end of time", change(right(), timestampHeader, "9223372036854775807"), body, now,
			errStale},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.ErrorIs(t, verify(secret, test.headers, []byte(test.body), test.now), test.err)
		})
	}
}
