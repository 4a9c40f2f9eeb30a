package progress

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheNextTimeKnowsHowLongItTook(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	first := Begin("apply", "resources", 100)
	assert.Equal(t, "1 of 100 resources, 0 s", first.Step(), "nobody knows yet how long it takes")
	first.began = first.began.Add(-200_000_000_000)
	assert.InDelta(t, 200, first.End().Seconds(), 5)

	second := Begin("apply", "resources", 50)
	assert.Regexp(t, `^1 of 50 resources, \d s, about (100|9\d) s left$`, second.Step())
	for range 48 {
		second.Step()
	}
	assert.NotContains(t, second.Step(), "left")
	assert.Contains(t, Begin("destroy", "resources", 100).String(), "0 of 100 resources, 0 s")
}

func TestTheFirstTimeIsEstimatedWhereUnitsAreAlike(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	w := Begin("compile", "packages", 100).Steady()
	w.began = w.began.Add(-20_000_000_000)
	assert.NotContains(t, w.Step(), "left", "one of a hundred says nothing")
	for range 18 {
		w.Step()
	}
	assert.Regexp(t, `^20 of 100 packages, 2\d s, about 8\d s left$`, w.Step())
}
