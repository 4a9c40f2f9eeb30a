// Package later has a function call itself, for what can wait until after a reply.
package later

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Function is the function that this code runs in.
type Function struct {
	client *lambda.Client
	name   string
}

// New makes a function of its name.
func New(client *lambda.Client, name string) *Function {
	return &Function{client: client, name: name}
}

// Do has the function invoked with a payload, and does not wait for it. Once it returns without
// an error Lambda has kept the payload: it comes once or, seldom, twice.
func (f *Function) Do(ctx context.Context, payload any) error {
	encoded, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encoding what the function %s has to do later: %w", f.name, err)
	}
	_, err = f.client.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &f.name, InvocationType: types.InvocationTypeEvent, Payload: encoded,
	})
	if err != nil {
		return fmt.Errorf("leaving something for the function %s to do later: %w", f.name, err)
	}
	return nil
}
