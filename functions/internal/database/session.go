package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxIdle is how long a connection is trusted without use. AWS's network forgets one after
// 350 seconds, and says nothing to those who go on to write to it.
const maxIdle = 4 * time.Minute

// Session keeps one connection warm from one invocation to the next.
type Session struct {
	connect func(context.Context) (*pgx.Conn, error)
	turn    chan struct{}
	conn    *pgx.Conn
	used    time.Time
}

// NewSession makes a session whose connections come from connect. It opens none yet.
func NewSession(connect func(context.Context) (*pgx.Conn, error)) *Session {
	return &Session{connect: connect, turn: make(chan struct{}, 1)}
}

// Do runs work with a connection, one at a time. After an error the connection is dropped,
// unless the error is one that the work returned with the connection put in order, which it
// says with keep. Where a warm connection turns out to be lost, the work is run once more
// with a new one: so the work has to be such that it can be repeated, even after a COMMIT
// whose answer was lost. The error is one that [Named] has been to.
func (s *Session) Do(
	ctx context.Context, keep func(error) bool, work func(context.Context, *pgx.Conn) error,
) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Named(ctx.Err())
	}
	if s.conn != nil && (s.conn.IsClosed() || time.Since(s.used) > maxIdle) {
		s.drop()
	}
	for {
		warm := s.conn != nil
		if !warm {
			conn, err := s.connect(ctx)
			if err != nil {
				return Named(err)
			}
			s.conn = conn
		}
		err := work(ctx, s.conn)
		s.used = time.Now()
		if err == nil || keep(err) {
			return err
		}
		s.drop()
		err = Named(err)
		var unavailable DatabaseUnavailable
		if !warm || ctx.Err() != nil || !errors.As(err, &unavailable) {
			return err
		}
	}
}

// drop closes the connection without waiting for the server's farewell.
func (s *Session) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = s.conn.Close(ctx) // It is given up in any case.
	s.conn = nil
}

// Close closes the connection, if there is one.
func (s *Session) Close() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.conn != nil {
		s.drop()
	}
}
