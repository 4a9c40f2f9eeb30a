// Package trouble tells humans of what needs one: by the error topic and in the error channel.
package trouble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"sym-postgres-quickstart/functions/internal/request"
)

// Poster posts in a channel that humans read.
type Poster interface {
	Post(context.Context, request.Trouble) error
}

// Reporter tells humans of trouble.
type Reporter struct {
	// Poster posts in the error channel. Nil is none.
	Poster Poster

	topic *sns.Client
	arn   string
	log   *slog.Logger
}

// New makes a reporter that publishes to a topic.
func New(topic *sns.Client, topicARN string, log *slog.Logger) *Reporter {
	return &Reporter{topic: topic, arn: topicARN, log: log}
}

// Report tells a human, as well as it can. What comes of that stands in the log: who reports
// has enough trouble already.
func (r *Reporter) Report(ctx context.Context, t request.Trouble) { _ = r.Tell(ctx, t) }

// timeout is how long telling may take: somebody may be waiting for an answer meanwhile.
const timeout = 3 * time.Second

// Tell tells a human by every way that there is. It fails where every way has failed, and may
// be tried again then.
func (r *Reporter) Tell(ctx context.Context, t request.Trouble) error {
	// The time for what went wrong may be what has run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	ways := map[string]func() error{
		"error topic": func() error { return r.publish(ctx, t) },
	}
	if r.Poster != nil {
		ways["error channel"] = func() error { return r.Poster.Post(ctx, t) }
	}
	var mu sync.Mutex
	var failures []error
	var all sync.WaitGroup
	for name, tell := range ways {
		all.Go(func() {
			if err := tell(); err != nil {
				r.log.ErrorContext(ctx, "a human could not be told", "by", name, "what", t.What,
					"whom", t.Whom, "do", t.Do, "request_id", t.RequestID, "error", err.Error())
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, fmt.Errorf("the %s: %w", name, err))
			}
		})
	}
	all.Wait()
	if len(failures) < len(ways) {
		return nil
	}
	return errors.Join(failures...)
}

func (r *Reporter) publish(ctx context.Context, t request.Trouble) error {
	lines := []string{"What: " + t.What}
	for _, line := range [][2]string{
		{"For whom: ", t.Whom}, {"What to do: ", t.Do}, {"Request: ", t.RequestID},
	} {
		if line[1] != "" {
			lines = append(lines, line[0]+line[1])
		}
	}
	_, err := r.topic.Publish(ctx, &sns.PublishInput{
		TopicArn: &r.arn,
		Subject:  aws.String(subject(t.What)),
		Message:  aws.String(strings.Join(lines, "\n\n")),
		MessageAttributes: map[string]types.MessageAttributeValue{originAttribute: {
			DataType: aws.String("String"), StringValue: aws.String(originRuntime),
		}},
	})
	return err
}

// The Runtime marks its own messages with this attribute. It posts them in the error channel
// itself, and skips them when they come back through the function's subscription.
const (
	originAttribute = "sym_origin"
	originRuntime   = "runtime"
)

// subject makes a line for a mail. SNS takes less than 100 ASCII characters that begin with a
// letter, a digit or a punctuation mark, without line breaks or control characters.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func subject(what string) string {
	const most = 99
	line := "Sym: " + strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case r > unicode.MaxASCII:
			return '?'
		}
		return r
	}, what)
	if len(line) > most {
		line = line[:most-3] + "..."
	}
	return line
}
