// Command postgres is the Lambda function that grants and revokes roles in one PostgreSQL
// database. Outside of Lambda it answers one event from its standard input:
//
//	export PG_HOST=localhost PG_SSLMODE=disable PG_USER=sym_broker PG_PASSWORD=… PG_ROLES=readonly
//	cat event.json | go run ./functions/postgres
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		os.Exit(local(context.Background(), newHandler(os.Getenv, log), os.Stdin, os.Stdout))
	}
	lambda.Start(newHandler(os.Getenv, lambdacontext.NewLogger()))
}
