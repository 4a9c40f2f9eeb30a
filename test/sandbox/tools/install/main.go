// Command install makes sure that what the sandbox needs is on this machine, and
// says where it is. With a name it prints that one path alone, for scripts.
//
//	go run ./test/sandbox/tools/install [terraform|provider|moto|postgres|servers]
//
// The servers are those that the suites run on, 14 to 18. POSTGRES_VERSIONS=15,18 restricts
// them, here and in the suites.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, strings.Join(os.Args[1:], " ")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	for _, tool := range []struct {
		name string
		find func(context.Context) (string, error)
	}{
		{"terraform", tools.Terraform},
		{"provider", func(ctx context.Context) (string, error) {
			terraform, err := tools.Terraform(ctx)
			if err != nil {
				return "", err
			}
			return tools.Provider(ctx, terraform)
		}},
		{"moto", tools.Moto},
		{"postgres", func(ctx context.Context) (string, error) {
			installed := pgserver.Installed()
			if len(installed) == 0 {
				return "", errors.New("there is no PostgreSQL server on this machine: " +
					"go run ./test/sandbox/machine/prepare sandbox installs one, or says how")
			}
			return installed[0].Binaries, nil
		}},
		{"servers", func(ctx context.Context) (string, error) {
			servers, err := tools.Servers(ctx)
			var folders []string
			for _, server := range servers {
				folders = append(folders, server.Binaries)
			}
			return strings.Join(folders, string(os.PathListSeparator)), err
		}},
	} {
		if only != "" && only != tool.name {
			continue
		}
		path, err := tool.find(ctx)
		if err != nil {
			return err
		}
		if only != "" {
			fmt.Println(path)
			return nil
		}
		fmt.Printf("%-10s %s\n", tool.name, path)
	}
	if only != "" {
		return fmt.Errorf("there is no tool %q: terraform, provider, moto, "+
			"postgres and servers are known", only)
	}
	return nil
}
