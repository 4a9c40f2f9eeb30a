package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sym-postgres-quickstart/test/sandbox"
)

// database is the example database as the user of the story sees it.
type database struct {
	box      *sandbox.Sandbox
	d        sandbox.Database
	password string
}

func (db database) open(ctx context.Context) (*pgx.Conn, error) {
	return db.box.Connect(ctx, db.d, user, db.password)
}

func (db database) version(ctx context.Context) (version string, err error) {
	session, err := db.open(ctx)
	if err != nil {
		return "", err
	}
	defer session.Close(context.WithoutCancel(ctx))
	return session.PgConn().ParameterStatus("server_version"), nil
}

// refuses asks the database and expects PostgreSQL to refuse it.
func (db database) refuses(ctx context.Context, n *narrator, who string) error {
	session, err := db.open(ctx)
	if err != nil {
		return err
	}
	defer session.Close(context.WithoutCancel(ctx))
	rows, err := count(ctx, session)
	var refused *pgconn.PgError
	if err == nil {
		return fmt.Errorf("%s can read without the role: %s answered %d", user, query, rows)
	}
	if !errors.As(err, &refused) || refused.Code != "42501" {
		return fmt.Errorf("%s should have been refused, but this happened: %w", user, err)
	}
	n.say("%s: %s → %s", who, query, refused.Message)
	return nil
}

func count(ctx context.Context, session *pgx.Conn) (rows int, err error) {
	return rows, session.QueryRow(ctx, query).Scan(&rows)
}
