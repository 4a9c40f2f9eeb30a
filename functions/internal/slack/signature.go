package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The headers that a call of Slack's is signed with, as API Gateway passes them on.
const (
	signatureHeader = "x-slack-signature"
	timestampHeader = "x-slack-request-timestamp"
)

// tolerance is how far a call's time may be from ours. Slack recommends five minutes.
const tolerance = 5 * time.Minute

var (
	errUnsigned       = errors.New("the call is not signed as Slack signs its calls")
	errStale          = errors.New("the call was signed more than five minutes ago")
	errWrongSignature = errors.New("the call's signature is not Slack's")
)

// verify checks that Slack has signed this body, and has done so just now. It compares in
// constant time. See https://docs.slack.dev/authentication/verifying-requests-from-slack.
//
// slack-go's own verifier takes the system's clock, which a test cannot hold.
func verify(secret string, headers map[string]string, body []byte, now time.Time) error {
	signature, timestamp, err := claimed(headers, now)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return errWrongSignature
	}
	return nil
}

// claimed is the signature and the time that a call says it has, if they could be Slack's.
func claimed(headers map[string]string, now time.Time) (
	signature []byte, timestamp string, err error,
) {
	text, ok := strings.CutPrefix(header(headers, signatureHeader), "v0=")
	if !ok {
		return nil, "", errUnsigned
	}
	signature, err = hex.DecodeString(text)
	if err != nil || len(signature) != sha256.Size {
		return nil, "", errUnsigned
	}
	timestamp = header(headers, timestampHeader)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != timestamp {
		return nil, "", errUnsigned
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return nil, "", errStale
	}
	return signature, timestamp, nil
}

// header is a header by its name in small letters. API Gateway writes the names so; whoever else
// invokes the function may not.
func header(headers map[string]string, name string) string {
	if value, ok := headers[name]; ok {
		return value
	}
	for key, value := range headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
