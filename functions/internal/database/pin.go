package database

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pinned are the settings with which every connection starts. Whoever owns the database, or
// administers its roles, can set others for all sessions or for this user; what comes with the
// connection goes before those. They are what changes how values, identifiers and errors are
// read, and what could keep a session from doing its work.
var pinned = map[string]string{
	"client_encoding":                     "UTF8",
	"DateStyle":                           "ISO, YMD",
	"TimeZone":                            "UTC",
	"standard_conforming_strings":         "on",
	"IntervalStyle":                       "postgres",
	"bytea_output":                        "hex",
	"extra_float_digits":                  "1",
	"search_path":                         "pg_catalog, pg_temp",
	"role":                                "none",
	"row_security":                        "on",
	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_in_transaction_session_timeout": "0",
	"idle_session_timeout":                "0",
	"default_transaction_read_only":       "off",
	"default_transaction_isolation":       "read committed",
	"default_transaction_deferrable":      "off",
	"jit":                                 "off",
	"plan_cache_mode":                     "auto",
}

// tracked are those of the pinned that a pooler keeps for each client. It refuses the others,
// which each transaction sets for itself as well.
var tracked = []string{"client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"}

// Pin gives a connection its settings, and has nothing prepared, so that it works behind RDS
// Proxy and pgbouncer, which may run every transaction on another connection.
func Pin(settings *pgx.ConnConfig) {
	settings.RuntimeParams = maps.Clone(pinned)
	settings.DefaultQueryExecMode = pgx.QueryExecModeExec
	settings.StatementCacheCapacity, settings.DescriptionCacheCapacity = 0, 0
}

// poolers has the addresses at which a pooler refused a setting.
var poolers sync.Map

// Open opens a connection with its settings pinned. Where a pooler refuses one it connects with
// those that poolers know.
func Open(ctx context.Context, settings *pgx.ConnConfig) (*pgx.Conn, error) {
	address := settings.Host + ":" + strconv.Itoa(int(settings.Port))
	if _, known := poolers.Load(address); known {
		return pgx.ConnectConfig(ctx, withTracked(settings))
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if refusesSetting(err) {
		poolers.Store(address, true)
		return pgx.ConnectConfig(ctx, withTracked(settings))
	}
	if err != nil || major(conn) < 17 {
		return conn, err
	}
	// Older versions refuse this setting, so that it cannot come with every connection.
	var limit string
	err = conn.QueryRow(ctx, "SELECT current_setting('transaction_timeout')").Scan(&limit)
	if err == nil && limit == "0" {
		return conn, nil
	}
	_ = conn.Close(ctx) // It is given up in any case.
	settings = settings.Copy()
	settings.RuntimeParams["transaction_timeout"] = "0"
	return pgx.ConnectConfig(ctx, settings)
}

// refusesSetting tells the errors of a pooler, or of a server, that does not take a setting at
// the start of a connection. pgbouncer's is a protocol violation.
func refusesSetting(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"08P01", "0A000", "42704"}, server.Code)
}

func withTracked(settings *pgx.ConnConfig) *pgx.ConnConfig {
	settings = settings.Copy()
	maps.DeleteFunc(settings.RuntimeParams, func(name, _ string) bool {
		_, ours := pinned[name]
		return ours && !slices.Contains(tracked, name)
	})
	return settings
}

// major is the server's version, zero where it does not say.
func major(conn *pgx.Conn) int {
	version := conn.PgConn().ParameterStatus("server_version")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	number, _ := strconv.Atoi(version[:end])
	return number
}
