package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
)

// localTimeout stands in for the function's timeout.
const localTimeout = 30 * time.Second

// local answers one event as Lambda would, and returns the process's exit code: 0 for an
// answer, 1 for a function error, which is written as Lambda writes it.
func local(ctx context.Context, handler lambda.Handler, in io.Reader, out io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	payload, err := io.ReadAll(in)
	if err == nil {
		payload, err = handler.Invoke(ctx, payload)
	}
	if err == nil {
		fmt.Fprintf(out, "%s\n", payload)
		return 0
	}
	failure, _ := json.Marshal(messages.InvokeResponse_Error{ // Two strings always marshal.
		Message: err.Error(), Type: reflect.TypeOf(err).Name()})
	fmt.Fprintf(out, "%s\n", failure)
	return 1
}
