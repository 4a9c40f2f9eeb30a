package machine

import (
	"fmt"
	"os"
	"path/filepath"
)

// project is the name of the folders in which the project keeps what outlives a run.
const project = "sym-postgres-quickstart"

// Cache is the folder, in the user's cache, of something that the project keeps from run to run.
func Cache(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for what is installed: %w", err)
	}
	return filepath.Join(base, project, name), nil
}
