package pgserver

import "sym-postgres-quickstart/test/sandbox/machine"

// Installation is a PostgreSQL server found on this machine.
type Installation = machine.Postgres

// Installed finds the servers on this machine, one for each major version, newest first. See
// [machine.PostgresServers].
func Installed() []Installation { return machine.PostgresServers() }
