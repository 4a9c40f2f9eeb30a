package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"sym-postgres-quickstart/functions/internal/request"
)

// maxBody is the largest body that is looked at, in bytes.
const maxBody = 64 << 10

// fields are the members of a body that is a JSON object.
type fields map[string]json.RawMessage

// readBody reads a body whose members are among the known ones. A body may be left out where
// all of them may.
func readBody(
	event events.APIGatewayV2HTTPRequest, optional bool, known ...string,
) (fields, error) {
	body, err := rawBody(event)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if optional {
			return nil, nil
		}
		return nil, refuse(invalidJSON, "The body is empty. Send a JSON object with %s.",
			strings.Join(known, ", "))
	}
	if err := checkContentType(event); err != nil {
		return nil, err
	}
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, refuse(invalidJSON, "The body is not valid JSON (at byte %d). Send an "+
				"object with %s.", syntax.Offset, strings.Join(known, ", "))
		}
		f = nil
	}
	if f == nil {
		return nil, refuse(invalidJSON, "The body is JSON, but no object. Send an object with %s.",
			strings.Join(known, ", "))
	}
	if name := repeated(body); name != "" {
		return nil, refuse(invalidField, "The body has the field %.64q more than once. Send each "+
			"field once: readers differ in which one they take.", name)
	}
	for name := range f {
		if !slices.Contains(known, name) {
			return nil, refuse(unknownField, "The body has a field %.64q that is not known here. "+
				"The fields are %s.", name, strings.Join(known, ", "))
		}
	}
	return f, nil
}

// checkContentType refuses a body that its sender calls something else than JSON. A body without a
// type is read as JSON.
func checkContentType(event events.APIGatewayV2HTTPRequest) error {
	for name, value := range event.Headers {
		if !strings.EqualFold(name, "Content-Type") {
			continue
		}
		kind, parameters, err := mime.ParseMediaType(value)
		charset := parameters["charset"]
		if err == nil && kind == "application/json" &&
			(charset == "" || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
		return refuse(notJSON, "The body is sent as %.100q, and this API reads JSON alone. Send it "+
			"with the header Content-Type: application/json.", value)
	}
	return nil
}

// repeated returns the first member that a JSON object has more than once; empty where there is
// none.
func repeated(object []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, _ = decoder.Token() // it has been read before: it is an object
	seen := map[string]bool{}
	for decoder.More() {
		name, _ := decoder.Token()
		text, _ := name.(string)
		if seen[text] {
			return text
		}
		seen[text] = true
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			break
		}
	}
	return ""
}

func rawBody(event events.APIGatewayV2HTTPRequest) ([]byte, error) {
	body := []byte(event.Body)
	encoded := event.IsBase64Encoded
	if encoded && len(body) <= base64.StdEncoding.EncodedLen(maxBody) {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, refuse(invalidJSON, "The body cannot be decoded. Send it as JSON.")
		}
		body, encoded = decoded, false
	}
	if encoded || len(body) > maxBody {
		return nil, refuse(bodyTooLarge, "The body is larger than %d bytes, which is the most "+
			"that is read. Send only the fields of the call.", maxBody)
	}
	return body, nil
}

// text is a member that is a string; a missing one is empty.
func (f fields) text(name string) (string, error) {
	raw, given := f[name]
	if !given {
		return "", nil
	}
	var value *string
	if err := json.Unmarshal(raw, &value); err != nil || value == nil {
		return "", refuse(invalidField, "The field %q has to be a string.", name)
	}
	return *value, nil
}

// boolean is a member that is true or false; a missing one is false.
func (f fields) boolean(name string) (bool, error) {
	raw, given := f[name]
	if !given {
		return false, nil
	}
	var value *bool
	if err := json.Unmarshal(raw, &value); err != nil || value == nil {
		return false, refuse(invalidField, "The field %q has to be true or false.", name)
	}
	return *value, nil
}

// duration is a member that is a whole number of seconds; a missing one is nil.
func (f fields) duration(name string) (*time.Duration, error) {
	raw, given := f[name]
	if !given {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // ParseInt gives the nearest number then, which is too long or negative as well
	}
	// A time.Duration would overflow; this is still above any maximum.
	seconds = min(seconds, math.MaxInt32)
	if err != nil || seconds <= 0 {
		return nil, refuse(request.InvalidDuration, "The duration %.32s is not a whole number of "+
			"seconds above zero. Send a number such as 1800, or leave it out for the target's "+
			"default.", raw)
	}
	d := time.Duration(seconds) * time.Second
	return &d, nil
}
