// Command probe is a function that does what its event asks for and answers
// what it sees, so that a test sees how functions are run.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

type order struct {
	// Do is what to do before the answer.
	Do string
	// URL is asked, and its answer awaited, by the order "ask".
	URL string
}

type sight struct {
	Environment map[string]string
	Process     int
	Deadline    bool
}

// OutOfLuck is how the probe fails.
type OutOfLuck struct{}

func (OutOfLuck) Error() string { return "as ordered" }

var held []string

func handle(ctx context.Context, o order) (any, error) {
	fmt.Println("doing", o.Do)
	switch o.Do {
	case "fail":
		return nil, OutOfLuck{}
	case "exit":
		os.Exit(7)
	case "hang":
		<-make(chan struct{})
	case "grow":
		for {
			held = append(held, strings.Repeat("x", 1<<20))
		}
	case "ask":
		answer, err := http.Get(o.URL)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if _, err := io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
	}
	_, deadline := ctx.Deadline()
	seen := sight{Environment: map[string]string{}, Process: os.Getpid(), Deadline: deadline}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		seen.Environment[name] = value
	}
	return seen, nil
}

func main() { lambda.Start(handle) }
