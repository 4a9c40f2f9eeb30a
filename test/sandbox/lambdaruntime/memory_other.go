//go:build !linux

package lambdaruntime

// residentMiB is not known here, so the memory limit is not enforced.
func (i *instance) residentMiB() int { return 0 }
