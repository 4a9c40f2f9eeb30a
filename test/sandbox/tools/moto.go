package tools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sym-postgres-quickstart/test/sandbox/machine"
)

// moto is what pip is asked for: moto with its server, and the extras of the
// services that the modules use.
const moto = "moto[server,stepfunctions,dynamodb,ssm]==" + machine.MotoVersion

// Moto answers the path of a Python interpreter that has moto. It makes an
// environment with moto in the user's cache if this machine's Python has none.
func Moto(ctx context.Context) (string, error) {
	if found := machine.Moto(ctx); found != "" {
		return found, nil
	}
	dir, unlock, err := cache("moto-" + machine.MotoVersion)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have installed it meanwhile.
	if found := machine.Moto(ctx); found != "" {
		return found, nil
	}
	own := filepath.Join(dir, "bin", "python3")
	fmt.Fprintf(os.Stderr, "Installing moto %s into %s, which takes about half a minute\n",
		machine.MotoVersion, dir)
	for _, command := range [][]string{
		{"python3", "-m", "venv", dir},
		{own, "-m", "pip", "install", "--quiet", moto},
	} {
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput() // #nosec G204 -- the two commands above
		if err != nil {
			return "", fmt.Errorf("moto is not on this machine and could not be installed (%w: %.300s): "+
				"install it with: python3 -m pip install '%s'", err, strings.TrimSpace(string(out)), moto)
		}
	}
	return own, nil
}
