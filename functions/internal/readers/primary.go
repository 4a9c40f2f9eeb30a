package readers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
)

// seen is a reader in the primary's own list: an Aurora instance by its name, a standby by
// the address that it replicates from, and neither where the ledger's owner may not look.
type seen struct{ name, address string }

// Find answers the readers that sessions may be on: those that [Finder.List] has, and those
// that only the primary knows. What RDS calls the writer is among them if the primary, which
// knows of a failover first, calls it a reader. With an error the answer may lack some; the
// connection must not be in a transaction.
func (f *Finder) Find(ctx context.Context, primary *pgx.Conn) ([]Reader, error) {
	listed, listErr := f.List(ctx)
	rows, err := primary.Query(ctx,
		"SELECT coalesce(name, '')::text, coalesce(address, '')::text FROM sym.readers()")
	if err != nil {
		return readersOf(listed), errors.Join(listErr, database.Named(err))
	}
	replicating, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s seen, err error) {
		return s, row.Scan(&s.name, &s.address)
	})
	if err != nil {
		return readersOf(listed), errors.Join(listErr, database.Named(err))
	}
	found, unknown := f.match(ctx, listed, replicating)
	if unknown && listErr == nil {
		// RDS may have more to say than it had when it was asked.
		if listed, listErr = f.list(ctx, pause); listErr == nil {
			found, _ = f.match(ctx, listed, replicating)
		}
	}
	return found, listErr
}

// readersOf leaves the writer out.
func readersOf(listed []Reader) []Reader {
	return slices.DeleteFunc(slices.Clone(listed), func(r Reader) bool { return r.Writer })
}

// match finds each reader that the primary sees in the list, and adds those that are not in
// it. Each in the list stands for one, so that of two standbys at one address, or behind one
// name, the second is missed.
func (f *Finder) match(
	ctx context.Context, listed []Reader, replicating []seen,
) (found []Reader, unknown bool) {
	found = readersOf(listed)
	matched := make([]bool, len(listed))
	take := func(fits func(i int) bool) (Reader, bool) {
		for i := range listed {
			if !matched[i] && fits(i) {
				matched[i] = true
				return listed[i], true
			}
		}
		return Reader{}, false
	}

	var at func(address netip.Addr) netip.Addr
	var addresses [][]netip.Addr
	var rest []seen
	for _, s := range replicating {
		if s.name != "" {
			reader, ok := take(func(i int) bool { return strings.EqualFold(listed[i].Name, s.name) })
			switch {
			case !ok:
				found, unknown = append(found, f.aurora(s)), true
			case reader.Writer:
				reader.Writer = false
				found = append(found, reader)
			}
			continue
		}
		if at == nil {
			at, addresses = f.addresses(ctx, listed)
		}
		address, err := netip.ParseAddr(s.address)
		_, ok := take(func(i int) bool {
			return err == nil && !listed[i].Writer && slices.Contains(addresses[i], at(address))
		})
		if !ok {
			rest = append(rest, s)
		}
	}
	for _, s := range rest {
		// Nothing but RDS's own replicas can replicate from RDS, and it need not be by the
		// address of their endpoint. Where the address is hidden, any will do.
		_, ok := take(func(i int) bool {
			return !listed[i].Writer && (listed[i].Origin == AWS || s.address == "")
		})
		if !ok {
			address, _ := netip.ParseAddr(s.address)
			found, unknown = append(found, f.guess(s, at(address).IsLoopback())), true
		}
	}
	return found, unknown
}

// addresses resolves the names in the list. The primary's own machine has many addresses for
// those on it: the function that comes along answers one loopback address for all of them.
func (f *Finder) addresses(
	ctx context.Context, listed []Reader,
) (at func(netip.Addr) netip.Addr, addresses [][]netip.Addr) {
	home, _ := f.resolve(ctx, "ip", f.config.Primary)
	for i := range home {
		home[i] = home[i].Unmap()
	}
	at = func(address netip.Addr) netip.Addr {
		address = address.Unmap().WithZone("")
		if address.IsLoopback() || slices.Contains(home, address) {
			return netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		return address
	}
	f.mutex.Lock()
	learned := make([]netip.Addr, len(listed))
	for i, reader := range listed {
		learned[i] = f.learned[reader.Address()]
	}
	f.mutex.Unlock()
	for i, reader := range listed {
		// One that cannot be resolved cannot be connected to either, which then says so.
		resolved, _ := f.resolve(ctx, "ip", reader.Host)
		if learned[i].IsValid() {
			resolved = append(resolved, learned[i])
		}
		for j := range resolved {
			resolved[j] = at(resolved[j])
		}
		addresses = append(addresses, resolved)
	}
	return at, addresses
}

// auroraEndpoint is the endpoint of an Aurora cluster. Its instances' endpoints are in the
// same domain; see "Amazon Aurora endpoint connections" in AWS's manual. In China the region comes
// after rds or, in older ones, before it.
var auroraEndpoint = regexp.MustCompile(`^[^.]+\.cluster-([a-z0-9]+\.` +
	`(?:[a-z0-9-]+\.rds\.amazonaws\.com(?:\.cn)?|rds\.[a-z0-9-]+\.amazonaws\.com\.cn))\.?$`)

// aurora is an Aurora reader that the primary knows by its name. Its endpoint follows from
// the cluster's, unless that is a proxy's or a name of the customer's own.
func (f *Finder) aurora(s seen) Reader {
	reader := Reader{Name: s.name, Origin: AWS, Port: f.config.Port}
	parts := auroraEndpoint.FindStringSubmatch(strings.ToLower(f.config.Primary))
	switch {
	case parts != nil:
		reader.Host = strings.ToLower(s.name) + "." + parts[1]
	case f.config.Cluster != "" || f.config.Instance != "":
		reader.Problem = "Aurora lists it, and RDS's API does not yet"
	default:
		reader.Problem = "Aurora lists it, and PG_HOST is not the cluster's own endpoint, from " +
			"which the reader's would follow: set PG_CLUSTER_ID (Terraform: readers.cluster_id)"
	}
	return reader
}

// guess is a standby that is in no list. Its port is likely the primary's, unless it is on
// the same machine.
func (f *Finder) guess(s seen, home bool) Reader {
	const name = "name it in PG_READERS (Terraform: readers.hosts)"
	switch {
	case s.address == "":
		return Reader{Name: "a replica", Origin: Server, Problem: "one more server replicates " +
			"from the database than the function knows of, and the owner of the schema sym may " +
			"not see where it is: grant the owner pg_read_all_stats, or " + name}
	case home:
		return Reader{Name: "a replica", Origin: Server, Problem: "a server on the database's " +
			"own machine replicates from it, and its port is not known: " + name}
	}
	return Reader{
		Name: fmt.Sprintf("the replica at %s", s.address), Origin: Server,
		Host: s.address, Port: f.config.Port,
	}
}
