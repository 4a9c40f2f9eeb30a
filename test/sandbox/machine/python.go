package machine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MotoVersion is the version of moto that the sandbox is tried with.
const MotoVersion = "5.2.1"

// Moto answers the path of a Python interpreter that has moto, or "" where none has: python3, the
// one that an installed moto_server runs with, or the one in the environment that the sandbox
// makes for itself, see [MotoEnvironment].
func Moto(ctx context.Context) string {
	candidates := []string{"python3", interpreterOf("moto_server")}
	if dir, err := MotoEnvironment(); err == nil {
		candidates = append(candidates, filepath.Join(dir, "bin", "python3"))
	}
	for _, python := range candidates {
		if found, ok := hasMoto(ctx, python); ok {
			return found
		}
	}
	return ""
}

// MotoEnvironment is the folder, in the user's cache, of the Python environment that moto is
// installed into where no other has it.
func MotoEnvironment() (string, error) { return Cache("moto-" + MotoVersion) }

// hasMoto answers whether an interpreter has what the sandbox needs of moto. The
// path it answers is the interpreter's own, where a version manager's shim
// stands in front of it.
func hasMoto(ctx context.Context, python string) (string, bool) {
	if python == "" {
		return "", false
	}
	out, err := exec.CommandContext(ctx, python, "-c", "import flask, antlr4, jsonpath_ng, sys, "+
		"importlib.metadata as m; print(m.version('moto')); print(sys.executable)").Output()
	version, executable, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return executable, err == nil && version == MotoVersion
}

// interpreterOf reads the first line of an installed Python program, as in an
// environment whose python3 is not on the path.
func interpreterOf(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	content, err := os.ReadFile(path) // #nosec G304 -- a file of the Python that was found
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(content), "\n")
	interpreter, ok := strings.CutPrefix(line, "#!")
	if !ok || !strings.Contains(interpreter, "python") {
		return ""
	}
	return strings.TrimSpace(interpreter)
}

// hasVenv answers whether python3 can make an environment with pip in it. Debian splits both off.
func hasVenv(ctx context.Context) bool {
	return exec.CommandContext(ctx, "python3", "-c", "import venv, ensurepip").Run() == nil
}
