package lambdaruntime

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// residentMiB is how much memory the process holds now, in MiB.
func (i *instance) residentMiB() int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", i.process.PID()))
	fields := bytes.Fields(data)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(string(fields[1]))
	return pages * os.Getpagesize() >> 20
}
