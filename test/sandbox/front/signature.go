package front

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxClockSkew is how far a signature's time may be from ours.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html.
const maxClockSkew = 15 * time.Minute

// signature is what a request says of how it was signed (Signature Version 4).
type signature struct {
	accessKeyID   string
	date          string
	region        string
	service       string
	signedHeaders []string
	value         string
	time          time.Time
	lifetime      time.Duration
	presigned     bool
}

// scope is the credential scope without the access key.
func (s signature) scope() string {
	return strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
}

// readSignature reads a request's signature from its Authorization header, or
// from its query where it is presigned. It answers false if there is none.
func readSignature(r *http.Request) (signature, bool) {
	var s signature
	var credential, signed, stamp string
	if query := r.URL.Query(); query.Has("X-Amz-Signature") {
		s.presigned = true
		credential, signed = query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders")
		s.value, stamp = query.Get("X-Amz-Signature"), query.Get("X-Amz-Date")
		seconds, err := time.ParseDuration(query.Get("X-Amz-Expires") + "s")
		if err != nil {
			return s, false
		}
		s.lifetime = seconds
	} else {
		fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
		if !ok {
			return s, false
		}
		for field := range strings.SplitSeq(fields, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				signed = value
			case "Signature":
				s.value = value
			}
		}
		stamp = r.Header.Get("X-Amz-Date")
		s.lifetime = maxClockSkew
	}
	parts := strings.Split(credential, "/")
	at, err := time.Parse("20060102T150405Z", stamp)
	if len(parts) != 5 || err != nil {
		return s, false
	}
	s.accessKeyID, s.date, s.region, s.service = parts[0], parts[1], parts[2], parts[3]
	s.signedHeaders, s.time = strings.Split(signed, ";"), at
	return s, true
}

// verify checks the signature of a request against the caller's key. The error
// is a sentence with AWS's code before a colon.
func (s signature) verify(r *http.Request, body []byte, k key) error {
	now := time.Now()
	if k.Expired() {
		return fmt.Errorf("ExpiredToken: The security token included in the request is expired")
	}
	if now.Before(s.time.Add(-maxClockSkew)) || now.After(s.time.Add(s.lifetime)) {
		return fmt.Errorf("RequestExpired: The request was signed at %s, which is too far from now",
			s.time.Format(time.RFC3339))
	}
	token := r.Header.Get("X-Amz-Security-Token")
	if s.presigned {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	if token != k.SessionToken {
		return fmt.Errorf("InvalidClientTokenId: The security token included in the request is invalid")
	}
	if !hmac.Equal([]byte(s.compute(r, body, k.SecretAccessKey)), []byte(s.value)) {
		return fmt.Errorf("SignatureDoesNotMatch: The request signature we calculated does not " +
			"match the signature you provided")
	}
	return nil
}

func (s signature) compute(r *http.Request, body []byte, secret string) string {
	var headers strings.Builder
	for _, name := range s.signedHeaders {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		for i := range values {
			values[i] = strings.Join(strings.Fields(values[i]), " ")
		}
		headers.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	canonical := strings.Join([]string{
		r.Method, s.canonicalPath(r.URL), canonicalQuery(r.URL.Query()),
		headers.String(), strings.Join(s.signedHeaders, ";"), s.payloadHash(r, body),
	}, "\n")
	toSign := strings.Join([]string{
		"AWS4-HMAC-SHA256", s.time.Format("20060102T150405Z"), s.scope(), hash([]byte(canonical)),
	}, "\n")
	signingKey := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		signingKey = mac(signingKey, part)
	}
	return hex.EncodeToString(mac(signingKey, toSign))
}

func (s signature) payloadHash(r *http.Request, body []byte) string {
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" {
		// A hash that is not the body's is a forged body; the words that stand
		// in for a hash ("UNSIGNED-PAYLOAD", "STREAMING-…") are signed as such.
		if len(given) == sha256.Size*2 && given != hash(body) {
			return "body differs from its hash"
		}
		return given
	}
	return hash(body)
}

// canonicalPath is the path, escaped once more, as every service but S3 has it.
func (s signature) canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	if s.service == "s3" {
		return path
	}
	return strings.ReplaceAll(escape(path), "%2F", "/")
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, value := range values {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape escapes as RFC 3986 has it, which is what AWS asks for.
func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
