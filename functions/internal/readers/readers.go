// Package readers finds the servers that answer queries with a database's data and cannot
// write it: standbys, RDS's read replicas, Aurora's readers. A session on one of them that
// did SET ROLE keeps the role when the REVOKE arrives there, and the primary cannot see it.
//
// A reader is known by name ([Config.Hosts]), from RDS's API ([Config.Cluster] and
// [Config.Instance]), or from the primary, which lists who replicates from it.
package readers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Origin is from where we know of a reader.
type Origin int

// The origins.
const (
	// Named is a reader in PG_READERS.
	Named Origin = iota
	// AWS is a reader that RDS's API lists.
	AWS
	// Server is a reader that only the primary lists: its address is where it replicates
	// from, and its port a guess.
	Server
)

// Reader is a server that may have sessions with the database's roles.
type Reader struct {
	// Name is what people know it by: RDS's identifier, or its address.
	Name   string
	Host   string
	Port   uint16
	Origin Origin
	// Writer tells that RDS lists it as the cluster's writer, which the primary's own
	// answer overrules, see [Finder.Find].
	Writer bool
	// Problem is why it cannot be connected to, in a sentence with what to do; empty where
	// it can be tried.
	Problem string
}

// Address is the host and port to connect to.
func (r Reader) Address() string {
	return net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
}

// Config says where readers are looked for, besides in the primary's own list.
type Config struct {
	// Hosts are readers that are known by name.
	Hosts []Reader
	// Cluster is the identifier or ARN of an Aurora or Multi-AZ DB cluster, and Instance of
	// an RDS instance, whose readers RDS's API lists.
	Cluster, Instance string
	// Primary is the host and Port the port of the primary. The port is also that of a host
	// that comes without one.
	Primary string
	Port    uint16
}

// FromEnvironment reads PG_READERS (host or host:port, separated by commas), PG_CLUSTER_ID
// and PG_INSTANCE_ID. Its error joins one for each of the readers that cannot be reached by what is
// written there. Where it is about the whole the configuration is empty.
func FromEnvironment(
	getenv func(string) string, primary string, port uint16,
) (Config, error) {
	c := Config{
		Cluster: getenv("PG_CLUSTER_ID"), Instance: getenv("PG_INSTANCE_ID"),
		Primary: primary, Port: port,
	}
	if c.Cluster != "" && c.Instance != "" {
		return Config{}, errors.New("PG_CLUSTER_ID and PG_INSTANCE_ID are both set, but a database " +
			"is either a cluster's or an instance's")
	}
	var wrong []error
	for entry := range strings.SplitSeq(getenv("PG_READERS"), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		reader, err := parse(entry, port)
		if err != nil {
			// It stays, as a reader that nobody can reach: sessions may be left there, and no end
			// is complete that has not asked it.
			reader = Reader{Name: entry, Problem: err.Error()}
			wrong = append(wrong, err)
		}
		c.Hosts = append(c.Hosts, reader)
	}
	return c, errors.Join(wrong...)
}

// parse reads host, host:port, or an IPv6 address, in brackets where a port follows.
func parse(entry string, port uint16) (Reader, error) {
	host := entry
	if _, err := netip.ParseAddr(entry); err != nil {
		if before, after, err := net.SplitHostPort(entry); err == nil {
			number, err := strconv.ParseUint(after, 10, 16)
			if err != nil || number == 0 {
				return Reader{}, fmt.Errorf("PG_READERS has %q, but a port is a number from 1 "+
					"to 65535", entry)
			}
			host, port = before, uint16(number)
		}
	}
	if host == "" || strings.ContainsAny(host, "/ []") {
		return Reader{}, fmt.Errorf("PG_READERS has %q, but a reader is a host name or address, "+
			"and maybe a colon and a port", entry)
	}
	return Reader{Name: entry, Host: host, Port: port}, nil
}

const (
	// fresh is for how long RDS's answer is used without asking again.
	fresh = time.Minute
	// pause is for how long RDS is not asked again after it failed, or after an answer that
	// the primary knew better than.
	pause = 10 * time.Second
	// maxAsk is the most that asking RDS may take: a network without a way to it says nothing.
	maxAsk = 5 * time.Second
)

// Finder finds readers, and remembers what RDS said. Many may use it at once.
type Finder struct {
	config  Config
	load    func() (aws.Config, error)
	now     func() time.Time
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mutex   sync.Mutex
	listed  []Reader
	asked   time.Time // when RDS was asked the last time
	failed  error     // what came of that
	learned map[string]netip.Addr
}

// New makes a finder. It asks nobody yet; load is called when RDS is asked.
func New(config Config, load func() (aws.Config, error)) *Finder {
	return &Finder{
		config: config, load: load, now: time.Now,
		resolve: net.DefaultResolver.LookupNetIP, learned: map[string]netip.Addr{},
	}
}

// Learn notes the address that a reader itself says it has. Behind an address translation it
// is the one that the primary sees, and the reader's name does not lead to it.
func (f *Finder) Learn(reader Reader, address netip.Addr) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.learned[reader.Address()] = address.Unmap()
}

// Listed tells whether the configuration names readers, or where to ask for them.
func (f *Finder) Listed() bool {
	return f.config.Cluster != "" || f.config.Instance != "" || len(f.config.Hosts) > 0
}

// List answers the readers in the configuration and those that RDS lists; the writer of a
// cluster is among them, and marked. Where RDS cannot be asked, its last answer comes with
// the error.
func (f *Finder) List(ctx context.Context) ([]Reader, error) {
	return f.list(ctx, fresh)
}

func (f *Finder) list(ctx context.Context, within time.Duration) ([]Reader, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.config.Cluster == "" && f.config.Instance == "" {
		return f.config.Hosts, nil
	}
	if f.failed != nil {
		within = pause
	}
	if f.asked.IsZero() || f.now().Sub(f.asked) >= within {
		listed, err := f.ask(ctx)
		f.asked, f.failed = f.now(), err
		if err == nil {
			f.listed = listed
		}
	}
	return slices.Concat(f.config.Hosts, f.listed), f.failed
}

// endpointService names the service of an interface endpoint for RDS's API.
func endpointService(region string) string {
	name := "com.amazonaws." + cmp.Or(region, "REGION") + ".rds"
	if strings.HasPrefix(region, "cn-") {
		return "cn." + name
	}
	return name
}

// ask asks RDS, in a deadline of its own.
func (f *Finder) ask(ctx context.Context) ([]Reader, error) {
	cloud, err := f.load()
	if err != nil {
		return nil, fmt.Errorf("RDS cannot be asked for the readers of the database: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	listed, err := discover(limited, cloud, f.config)
	if err != nil && limited.Err() != nil {
		return nil, fmt.Errorf("RDS did not answer in time which readers the database has: let "+
			"the function reach it, by a NAT gateway or an interface endpoint for %s",
			endpointService(cloud.Region))
	}
	if err != nil {
		return nil, fmt.Errorf("RDS does not say which readers the database has: %w", err)
	}
	return listed, nil
}
