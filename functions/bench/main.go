// Command bench measures the Postgres function as it is deployed: the binary of its package
// behind a Lambda Runtime API, against a real server over TLS. Every number stands beside
// its floor, which is what pgx alone needs for the same at the same time.
//
//	go run ./functions/bench
//
// BENCH_JSON names a file for the numbers, BENCH_POSTGRES a major version (the newest on
// this machine otherwise), and BENCH_ROWS the sizes of the ledger (0,10000,1000000).
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sym-postgres-quickstart/test/sandbox/pgserver"
	"sym-postgres-quickstart/test/sandbox/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "The benchmark did not come to its end:", err)
		os.Exit(1)
	}
}

// Report is what BENCH_JSON receives.
type Report struct {
	Postgres   int       `json:"postgres"`
	Processors int       `json:"processors"`
	GoVersion  string    `json:"go_version"`
	Time       time.Time `json:"time"`
	Sizes      []Size    `json:"sizes"`
	// Times are in milliseconds.
	Times      []Time       `json:"times"`
	Throughput []Throughput `json:"throughput"`
}

// Size is a number of bytes.
type Size struct {
	What  string `json:"what"`
	Bytes int64  `json:"bytes"`
}

// Time is how long something takes, beside the floor.
type Time struct {
	What  string       `json:"what"`
	Rows  int          `json:"ledger_rows"`
	Count int          `json:"count"`
	P50   milliseconds `json:"p50_ms"`
	P99   milliseconds `json:"p99_ms"`
	Floor string       `json:"floor,omitempty"`
	F50   milliseconds `json:"floor_p50_ms,omitempty"`
	F99   milliseconds `json:"floor_p99_ms,omitempty"`
}

// Throughput is how many grants are given and taken in a second.
type Throughput struct {
	Users int     `json:"users"`
	Rows  int     `json:"ledger_rows"`
	Pairs float64 `json:"pairs_per_second"`
	Floor float64 `json:"floor_pairs_per_second"`
}

type milliseconds float64

func ms(d time.Duration) milliseconds {
	return milliseconds(d.Round(time.Microsecond).Seconds() * 1000)
}

// quantiles answers the median and the 99th percentile.
func quantiles(durations []time.Duration) (p50, p99 milliseconds) {
	slices.Sort(durations)
	at := func(q float64) milliseconds {
		return ms(durations[min(len(durations)-1, int(q*float64(len(durations))))])
	}
	return at(0.5), at(0.99)
}

func run(ctx context.Context) error {
	servers, missing := tools.Servers(ctx)
	if missing != nil {
		fmt.Fprintln(os.Stderr, missing)
	}
	if wanted := os.Getenv("BENCH_POSTGRES"); wanted != "" {
		servers = slices.DeleteFunc(servers, func(s pgserver.Installation) bool {
			return strconv.Itoa(s.Major) != wanted
		})
	}
	if len(servers) == 0 {
		return errors.New("there is no PostgreSQL server to measure against")
	}
	var rows []int
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("BENCH_ROWS"), "0,10000,1000000"), ",") {
		number, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || number < 0 || len(rows) > 0 && number < rows[len(rows)-1] {
			return fmt.Errorf("BENCH_ROWS is %q, but it has to be numbers that grow",
				os.Getenv("BENCH_ROWS"))
		}
		rows = append(rows, number)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	report := &Report{Postgres: servers[0].Major, Processors: runtime.NumCPU(),
		GoVersion: runtime.Version(), Time: time.Now().UTC().Truncate(time.Second)}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	say("Building the package …")
	if report.Sizes, err = build(ctx, dir); err != nil {
		return err
	}
	say("Starting PostgreSQL %d …", servers[0].Major)
	db, err := startDatabase(ctx, dir, servers[0])
	if err != nil {
		return err
	}
	defer db.stop()

	binary := filepath.Join(dir, "bootstrap")
	for i, count := range rows {
		say("%d rows in the ledger …", count)
		if err := db.fill(ctx, count); err != nil {
			return err
		}
		if i == 0 {
			if err := cold(ctx, report, db, binary); err != nil {
				return err
			}
		}
		if err := warm(ctx, report, db, binary, count); err != nil {
			return err
		}
		for _, users := range []int{1, 8, 64} {
			if err := throughput(ctx, report, db, binary, count, users); err != nil {
				return err
			}
		}
	}
	report.print()
	if path := os.Getenv("BENCH_JSON"); path != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(path, append(text, '\n'), 0o600) // #nosec G703 -- the file that the caller asked for
	}
	return nil
}

// print writes the tables.
func (r *Report) print() {
	fmt.Printf("PostgreSQL %d, %d processors, %s %s/%s\n\n",
		r.Postgres, r.Processors, r.GoVersion, runtime.GOOS, runtime.GOARCH)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, s := range r.Sizes {
		fmt.Fprintf(table, "%s\t%.1f MB\n", s.What, float64(s.Bytes)/1e6)
	}
	fmt.Fprintf(table, "\nTIME (ms)\tLEDGER\tN\tP50\tP99\tFLOOR P50\tP99\tTIMES THE FLOOR\tFLOOR IS\n")
	for _, t := range r.Times {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.2f\t%.2f\t", t.What, t.Rows, t.Count, t.P50, t.P99)
		if t.Floor != "" {
			fmt.Fprintf(table, "%.2f\t%.2f\t%.1f\t%s", t.F50, t.F99, t.P50/t.F50, t.Floor)
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintf(table, "\nGRANTS GIVEN AND TAKEN\tLEDGER\tUSERS\tPER SECOND\tFLOOR\tFLOOR / OURS\n")
	for _, t := range r.Throughput {
		fmt.Fprintf(table, "at once\t%d\t%d\t%.0f\t%.0f\t%.1f\n",
			t.Rows, t.Users, t.Pairs, t.Floor, t.Floor/t.Pairs)
	}
	_ = table.Flush() // The terminal is gone then.
}
