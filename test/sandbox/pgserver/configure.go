package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func (s *Server) initialize(
	ctx context.Context, account *account, data string,
) error {
	passwords := filepath.Join(s.Dir, "password")
	if err := account.write(passwords, s.Password+"\n"); err != nil {
		return err
	}
	defer os.Remove(passwords)
	cmd := exec.CommandContext(ctx, filepath.Join(s.config.Binaries, "initdb"), // #nosec G204 -- the server that was asked for
		"--pgdata="+data, "--username="+s.Superuser, "--pwfile="+passwords,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
	account.run(cmd, s.Dir, s.config.Binaries)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed in %s: %w\n%s", s.Dir, err, output)
	}
	return nil
}

// configure writes the server's configuration, anew at each start.
func (s *Server) configure(account *account, data, sockets string) error {
	config := s.config
	settings := []string{
		"# Written at each start.",
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = '" + sockets + "'",
		// What these servers hold is not worth waiting for a disk.
		"fsync = off", "synchronous_commit = off", "full_page_writes = off",
		// The log goes to this process, which waits for a sentence in it.
		"log_destination = 'stderr'", "logging_collector = off",
		"lc_messages = 'C'", "log_min_messages = warning",
	}
	if config.CertFile != "" {
		// PostgreSQL takes a key only from a file of its own user's.
		for from, to := range map[string]string{
			config.CertFile: "server.crt", config.KeyFile: "server.key",
		} {
			pem, err := os.ReadFile(from) // #nosec G304 -- the certificate that was asked for
			if err != nil {
				return fmt.Errorf("the server's certificate or key cannot be read: %w", err)
			}
			if err := account.write(filepath.Join(data, to), string(pem)); err != nil {
				return err
			}
		}
		settings = append(settings, "ssl = on",
			"ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'")
	}
	settings = append(settings, config.Settings...)
	hba := append(append([]string{}, config.HBA...),
		"local all all scram-sha-256", "host all all all scram-sha-256",
		// For standbys, which "all" databases leaves out.
		"host replication all all scram-sha-256")

	for name, lines := range map[string][]string{
		"postgresql.conf": settings, "pg_hba.conf": hba,
	} {
		text := strings.Join(lines, "\n") + "\n"
		if err := account.write(filepath.Join(data, name), text); err != nil {
			return err
		}
	}
	return nil
}
