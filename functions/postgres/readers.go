package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"sym-postgres-quickstart/functions/internal/database"
	"sym-postgres-quickstart/functions/internal/ledger"
	"sym-postgres-quickstart/functions/internal/readers"
)

// readersOf reads where the readers of a database are: PG_READERS, PG_CLUSTER_ID and
// PG_INSTANCE_ID. The function logs in to them as to the primary. Its error is about some of them,
// or about all where there are no readers with it.
func readersOf(
	getenv func(string) string, primary database.Config, log *slog.Logger,
) (*ledger.Readers, error) {
	config, wrong := readers.FromEnvironment(getenv, primary.Host, primary.Port)
	if wrong != nil && len(config.Hosts) == 0 {
		return nil, wrong
	}
	// Loaded once for the life of the process, so not by one invocation's deadline.
	load := sync.OnceValues(func() (aws.Config, error) {
		return awsconfig.LoadDefaultConfig(context.Background())
	})
	return ledger.NewReaders(readers.New(config, load), primary, log), wrong
}
