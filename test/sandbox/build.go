package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"sym-postgres-quickstart/test/sandbox/compile"
)

// BuiltFunctions is the environment variable that names the folder of the functions' archives where
// something has built them already, for all sandboxes to come.
const BuiltFunctions = "SANDBOX_FUNCTIONS"

// Build builds the functions from the source in root for this machine, unless [BuiltFunctions]
// says where they are. It answers the folder of the archives and the architecture in Lambda's
// words.
func (s *Sandbox) Build(ctx context.Context, root string) (dir, architecture string, err error) {
	dir = s.FunctionsDir()
	architecture, err = Architecture()
	if os.Getenv(BuiltFunctions) != "" || err != nil {
		return dir, architecture, err
	}
	c := exec.CommandContext(ctx, "go", "run", "./functions/build", "-here", "-out", dir) // #nosec G204 -- our own program, into our own folder
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, architecture, nil
}

// FunctionsDir is the folder that Build builds the functions into.
func (s *Sandbox) FunctionsDir() string {
	if built := os.Getenv(BuiltFunctions); built != "" {
		return built
	}
	return filepath.Join(s.Dir, "dist")
}

// Architecture is this machine's, in Lambda's words.
func Architecture() (string, error) {
	name := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	if name == "" {
		return "", errors.New("functions do not run on processors of the kind " + runtime.GOARCH)
	}
	return name, nil
}

// functions are the arguments of `go list` for all that Build and the command-line client need.
var functions = []string{"-tags", "lambda.norpc", "./functions/build", "./functions/postgres",
	"./functions/runtime", "./functions/seed", "./functions/sym"}

// StaleFunctions counts the packages of the functions and the client that are not compiled yet.
func StaleFunctions(ctx context.Context) (int, error) { return compile.Stale(ctx, functions...) }

// CompileFunctions compiles what Build and the command-line client need, and tells how far it is.
func CompileFunctions(ctx context.Context, tell func(string)) error {
	return compile.Ahead(ctx, "functions", tell, functions...)
}
