package main

import (
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/functions/internal/database"
)

func TestReadersInTheEnvironment(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for list, wrong := range map[string]string{
		"": "", "replica.example, 10.0.0.7:6432": "", "replica:port": "PG_READERS",
	} {
		_, err := readersOf(func(name string) string {
			return map[string]string{"PG_READERS": list}[name]
		}, database.Config{Host: "db.example", Port: 5432}, log)
		if wrong == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, wrong)
		}
	}
}
