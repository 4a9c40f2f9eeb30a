// Command seed is the Lambda function that fills the example database. It alone may read
// the master user's password, so that the function that changes roles never needs to.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	lambda.Start(newSeeder(os.Getenv, lambdacontext.NewLogger()).handle)
}
