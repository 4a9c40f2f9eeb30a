package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"sym-postgres-quickstart/functions/internal/delivery"
)

// LogName is the name of [Log] as a sink.
const LogName = "log"

// Log is a log group with a stream for each request, named by its id, and an event for each
// record.
type Log struct {
	client *cloudwatchlogs.Client
	group  string
	now    func() time.Time
}

// NewLog makes a sink of a log group that exists.
func NewLog(client *cloudwatchlogs.Client, group string) *Log {
	return &Log{client: client, group: group, now: time.Now}
}

// Name implements [delivery.Sink].
func (l *Log) Name() string { return LogName }

// Deliver writes a record once. CloudWatch Logs takes what it is given as often as it is given,
// so where an earlier try may have got through this looks for the record first.
func (l *Log) Deliver(ctx context.Context, item delivery.Item) error {
	stream := item.Request.ID
	if item.Again {
		there, err := l.has(ctx, stream, item.Record.Sequence)
		if err != nil || there {
			return err
		}
	}
	encoded, err := encode(item)
	if err != nil {
		return err
	}
	err = l.put(ctx, stream, item.Record.At, encoded)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err := l.create(ctx, stream); err != nil {
			return err
		}
		err = l.put(ctx, stream, item.Record.At, encoded)
	}
	if err != nil {
		return fmt.Errorf("writing to the stream %s of the log group %s: %w", stream, l.group, err)
	}
	return nil
}

// put writes one event at the time of its record. Where that is too long ago for CloudWatch Logs,
// which is two weeks, it is written as of now: the document has the time.
func (l *Log) put(ctx context.Context, stream string, at time.Time, message []byte) error {
	for _, at := range []time.Time{at, l.now()} {
		answer, err := l.client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{
			LogGroupName:  &l.group,
			LogStreamName: &stream,
			LogEvents: []types.InputLogEvent{{
				Message: aws.String(string(message)), Timestamp: aws.Int64(at.UnixMilli()),
			}},
		}, once)
		if _, there := errors.AsType[*types.DataAlreadyAcceptedException](err); there {
			return nil
		}
		if err != nil {
			return err
		}
		if answer.RejectedLogEventsInfo == nil {
			return nil
		}
	}
	return errors.New("the event was refused for its time")
}

// once has the SDK try no second time: the first may have got through, and only the answer not.
func once(o *cloudwatchlogs.Options) { o.Retryer = aws.NopRetryer{} }

func (l *Log) create(ctx context.Context, stream string) error {
	_, err := l.client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{
		LogGroupName: &l.group, LogStreamName: &stream,
	})
	if _, there := errors.AsType[*types.ResourceAlreadyExistsException](err); there {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the stream %s in the log group %s: %w", stream, l.group, err)
	}
	return nil
}

// has tells whether a record is in a stream.
func (l *Log) has(ctx context.Context, stream string, sequence int) (bool, error) {
	pages := cloudwatchlogs.NewGetLogEventsPaginator(l.client, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &l.group, LogStreamName: &stream, StartFromHead: aws.Bool(true),
	}, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) {
		// A page may be empty before the last; the same token again is the end.
		o.StopOnDuplicateToken = true
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("looking into the stream %s of the log group %s: %w", stream,
				l.group, err)
		}
		for _, event := range page.Events {
			var d document
			if json.Unmarshal([]byte(aws.ToString(event.Message)), &d) == nil &&
				d.Sequence == sequence {
				return true, nil
			}
		}
	}
	return false, nil
}
