package front

import (
	"context"
	"net/http"
	"sync"
	"time"

	"sym-postgres-quickstart/test/sandbox/lambdaruntime"
)

// logShipper puts the lines that functions write where CloudWatch Logs would
// have them, so that `aws logs tail` shows them. It never holds a function up:
// lines wait in memory and go out together.
type logShipper struct {
	front   *Front
	lines   chan logLine
	ended   chan struct{}
	streams map[string]bool
	once    sync.Once
}

type logLine struct {
	account, group, stream string
	at                     int64
	text                   string
}

func newLogShipper(f *Front) *logShipper {
	s := &logShipper{
		front: f, lines: make(chan logLine, 10_000), ended: make(chan struct{}),
		streams: map[string]bool{},
	}
	go s.run()
	return s
}

func (s *logShipper) add(function lambdaruntime.Function, stream, text string) {
	line := logLine{accountOf(function.ARN), function.LogGroup, stream, time.Now().UnixMilli(), text}
	select {
	case s.lines <- line:
	case <-s.ended:
	default: // The file still has the line.
	}
}

func (s *logShipper) close() { s.once.Do(func() { close(s.ended) }) }

func (s *logShipper) run() {
	for {
		select {
		case <-s.ended:
			return
		case line := <-s.lines:
			s.ship(line)
		}
	}
}

func (s *logShipper) ship(line logLine) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	call := func(action string, in any) error {
		return s.front.askJSON(ctx, line.account, "logs", http.MethodPost, "/",
			"Logs_20140328."+action, in, nil)
	}
	type event struct {
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	if id := line.account + line.group + line.stream; !s.streams[id] {
		// A group that Terraform made is there already, and so may be the stream.
		_ = call("CreateLogStream", map[string]string{
			"logGroupName": line.group, "logStreamName": line.stream,
		})
		s.streams[id] = true
	}
	if err := call("PutLogEvents", map[string]any{
		"logGroupName": line.group, "logStreamName": line.stream,
		"logEvents": []event{{line.at, line.text}},
	}); err != nil {
		s.front.Log.Debug("a log line stays in its file only", "group", line.group, "error", err)
	}
}
