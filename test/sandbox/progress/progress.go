// Package progress says how far a piece of work is, and how long it still takes, by how long it
// took the last time on this machine.
package progress

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sym-postgres-quickstart/test/sandbox/machine"
)

// Work is a piece of work that goes on.
type Work struct {
	name, unit string
	total      int
	began      time.Time
	last       time.Duration // what a unit took the last time; 0 where that is not known
	steady     bool

	mu   sync.Mutex
	done int
}

// Begin begins work on so many units. Its name is what it is remembered by.
func Begin(name, unit string, total int) *Work {
	w := &Work{name: name, unit: unit, total: total, began: time.Now()}
	var perUnit float64
	if path, err := remembered(name); err == nil {
		// #nosec G304 -- a number of ours in the cache
		if text, err := os.ReadFile(path); err == nil {
			_, _ = fmt.Sscan(string(text), &perUnit)
		}
	}
	w.last = time.Duration(perUnit * float64(time.Second))
	return w
}

// Steady says that one unit takes about as long as another. Where nobody knows how long they took
// the last time, those that are done then tell about the others.
func (w *Work) Steady() *Work {
	w.steady = true
	return w
}

// Step counts one more unit as done, and answers how far the work is.
func (w *Work) Step() string {
	w.mu.Lock()
	w.done++
	w.mu.Unlock()
	return w.String()
}

// String says how far the work is, such as "120 of 809 packages, 14 s, about 81 s left".
func (w *Work) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	spent := time.Since(w.began)
	text := fmt.Sprintf("%d of %d %s, %.0f s", w.done, w.total, w.unit, spent.Seconds())
	each := w.last
	if each == 0 && w.steady && w.done >= w.total/10 {
		each = spent / time.Duration(max(w.done, 1))
	}
	// What is done takes longer in one place and less in another: the whole is what is known.
	left := each*time.Duration(w.total) - spent
	if w.done < w.total && left > time.Second {
		return fmt.Sprintf("%s, about %.0f s left", text, left.Seconds())
	}
	return text
}

// Total is how many units there are.
func (w *Work) Total() int { return w.total }

// End remembers how long the work took, for the next time. Where that fails, the next time says
// less.
func (w *Work) End() (took time.Duration) {
	took = time.Since(w.began)
	if path, err := remembered(w.name); err == nil && w.total > 0 {
		if os.MkdirAll(filepath.Dir(path), 0o750) == nil {
			perUnit := took.Seconds() / float64(w.total)
			_ = os.WriteFile(path, fmt.Appendf(nil, "%.6f\n", perUnit), 0o600)
		}
	}
	return took
}

func remembered(name string) (string, error) {
	dir, err := machine.Cache("times")
	return filepath.Join(dir, name), err
}
