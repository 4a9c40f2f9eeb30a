package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// motoVersion is the version that the sandbox is tried with.
const motoVersion = "5.2.1"

// moto is what pip is asked for: moto with its server, and the extras of the
// services that the modules use.
const moto = "moto[server,stepfunctions,dynamodb,ssm]==" + motoVersion

// Moto answers the path of a Python interpreter that has moto. It makes an
// environment with moto in the user's cache if this machine's Python has none.
func Moto(ctx context.Context) (string, error) {
	for _, python := range []string{"python3", interpreterOf("moto_server")} {
		if found, ok := hasMoto(ctx, python); ok {
			return found, nil
		}
	}
	dir, unlock, err := cache("moto-" + motoVersion)
	if err != nil {
		return "", err
	}
	defer unlock()
	own := filepath.Join(dir, "bin", "python3")
	if found, ok := hasMoto(ctx, own); ok {
		return found, nil
	}
	for _, command := range [][]string{
		{"python3", "-m", "venv", dir},
		{own, "-m", "pip", "install", "--quiet", moto},
	} {
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("moto is not on this machine and could not be installed (%w: %.300s): "+
				"install it with: python3 -m pip install '%s' (python3 and its venv module: Debian has "+
				"python3-venv, macOS: brew install python)", err, strings.TrimSpace(string(out)), moto)
		}
	}
	return own, nil
}

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
	return executable, err == nil && version == motoVersion
}

// interpreterOf reads the first line of an installed Python program, as in an
// environment whose python3 is not on the path.
func interpreterOf(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	content, err := os.ReadFile(path)
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
