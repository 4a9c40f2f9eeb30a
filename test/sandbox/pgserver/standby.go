package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a hot standby of a running server: a server of its own that streams what
// the first writes, replays it, and answers whoever only reads. It has the first server's
// users and passwords; binaries and settings are the first's where the configuration has
// none, and its own settings win. Like every server it has to be stopped, before the first.
func (s *Server) Standby(ctx context.Context, config Config) (*Server, error) {
	config.Binaries = s.config.Binaries
	config.Superuser, config.Password = s.Superuser, s.Password
	if config.CertFile == "" {
		config.CertFile, config.KeyFile = s.config.CertFile, s.config.KeyFile
	}
	// A standby that has less room than its primary, as for prepared transactions, would
	// refuse to start.
	settings := append(slices.Clone(s.config.Settings),
		"primary_conninfo = "+quoteSetting(fmt.Sprintf("host=%s port=%d user=%s password=%s",
			s.Host, s.Port, quoteConnection(s.Superuser), quoteConnection(s.Password))))
	config.Settings = append(settings, config.Settings...)
	return start(ctx, config, func(
		_ *Server, ctx context.Context, account *account, data string,
	) error {
		if err := s.backup(ctx, account, data); err != nil {
			return fmt.Errorf("PostgreSQL on port %d could not be copied: %w", s.Port, err)
		}
		return account.write(filepath.Join(data, "standby.signal"), "")
	})
}

// CatchUp waits until a standby has replayed all that was committed here before the call.
func (s *Server) CatchUp(ctx context.Context, standby *Server) error {
	here, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer here.Close(context.WithoutCancel(ctx))
	there, err := pgx.Connect(ctx, standby.URL())
	if err != nil {
		return err
	}
	defer there.Close(context.WithoutCancel(ctx))

	// Only what is on the disk is streamed, and commits are not waited for here. One that is
	// has all before it written, too.
	var written string
	for _, statement := range []string{
		"SET synchronous_commit = local",
		"SELECT pg_logical_emit_message(true, 'pgserver', 'catch up')",
	} {
		if _, err := here.Exec(ctx, statement); err != nil {
			return err
		}
	}
	err = here.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&written)
	if err != nil {
		return err
	}
	for {
		var caughtUp bool
		err := there.QueryRow(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)",
			written).Scan(&caughtUp)
		if err != nil {
			return fmt.Errorf("the standby on port %d has not replayed %s: %w",
				standby.Port, written, err)
		}
		if caughtUp {
			return nil
		}
		// No version from 14 to 18 can tell a client when it gets there.
		select {
		case <-ctx.Done():
			return fmt.Errorf("the standby on port %d has not replayed %s: %w",
				standby.Port, written, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// backup copies the data of the running server. See "Making a Base Backup Using the Low
// Level API" in PostgreSQL's manual, which also says what may be left out.
func (s *Server) backup(ctx context.Context, account *account, to string) error {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // Its end would end the backup.

	begin, end := "pg_backup_start('standby', fast => true)", "pg_backup_stop(false)"
	if s.Major < 15 {
		begin, end = "pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)"
	}
	// What a standby has yet to stream must not be thrown away before it comes.
	for _, statement := range []string{
		"ALTER SYSTEM SET wal_keep_size = '1GB'", "SELECT pg_reload_conf()", "SELECT " + begin,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := copyData(account, filepath.Join(s.Dir, "data"), to); err != nil {
		return err
	}
	var label, tablespaces string
	err = conn.QueryRow(ctx, "SELECT labelfile, spcmapfile FROM "+end).Scan(&label, &tablespaces)
	if err != nil {
		return err
	}
	if tablespaces != "" {
		return errors.New("it has tablespaces, which lie outside of its folder")
	}
	return account.write(filepath.Join(to, "backup_label"), label)
}

// emptied are folders that a server fills anew; pg_wal comes by streaming.
var emptied = []string{"pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots",
	"pg_stat_tmp", "pg_subtrans", "pg_wal"}

// copyData copies a data folder while its server writes. A file that vanishes or is torn is
// no harm: the log has what it should have been.
func copyData(account *account, from, to string) error {
	source := os.DirFS(from)
	return fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(path))
		if entry.IsDir() {
			if err := account.own(target); err != nil {
				return err
			}
			if slices.Contains(emptied, path) {
				return fs.SkipDir
			}
			return nil
		}
		if path == "postmaster.pid" || path == "postmaster.opts" {
			return nil
		}
		file, err := source.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if err != nil {
			return err
		}
		return account.write(target, string(content))
	})
}

// quoteConnection quotes a value of a connection string. See "Keyword/Value Connection
// Strings" in PostgreSQL's manual.
func quoteConnection(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// quoteSetting quotes a value of postgresql.conf, in which a backslash escapes as well.
func quoteSetting(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value) + "'"
}
