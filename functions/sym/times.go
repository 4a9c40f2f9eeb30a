package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// span is a length of time for people: two units at most, the smaller one cut off.
func span(d time.Duration) string {
	d = d.Abs()
	day := 24 * time.Hour
	two := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		text := fmt.Sprintf("%d %s", d/big, bigName)
		if rest := d % big / small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, smallName)
		}
		return text
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute:
		return two(time.Minute, "min", time.Second, "s")
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return two(time.Hour, "h", time.Minute, "min")
	case d < 2*day:
		return two(day, "day", time.Hour, "h")
	default:
		return two(day, "days", time.Hour, "h")
	}
}

// seconds is a length of time that the API gives in seconds.
func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// relative is how far away a time is.
func (p *program) relative(t time.Time) string {
	switch d := t.Sub(p.now()); {
	case d.Abs() < time.Second:
		return "now"
	case d > 0:
		return "in " + span(d)
	default:
		return span(d) + " ago"
	}
}

// clock is a time in the person's own zone, with the day unless it is today.
func (p *program) clock(t time.Time) string {
	t, now := t.In(p.location), p.now().In(p.location)
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// at is a time with how far away it is.
func (p *program) at(t time.Time) string { return p.clock(t) + " (" + p.relative(t) + ")" }

// moment is a time that leaves no doubt.
func (p *program) moment(t time.Time) string {
	local := t.In(p.location)
	text := local.Format("2006-01-02 15:04:05 MST")
	if _, offset := local.Zone(); offset != 0 {
		text += " (" + t.UTC().Format("15:04:05 UTC") + ")"
	}
	return text
}

// moments are the ways to write a moment in one's own zone; zoned are those with a zone.
var (
	moments = []string{
		"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04",
	}
	zoned = []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04 Z07:00",
	}
)

// parseMoment reads a moment as a person writes it.
func (p *program) parseMoment(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	now := p.now().In(p.location)
	if text == "now" {
		return now, nil
	}
	// Of all the names of zones this is the only one that means one thing.
	for _, utc := range []string{" UTC", "UTC"} {
		if rest, found := strings.CutSuffix(text, utc); found {
			text = rest + "Z"
			break
		}
	}
	for _, form := range zoned {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	for _, form := range moments {
		if t, err := time.Parse(form, text); err == nil {
			return p.onTheClock(t)
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			return p.onTheClock(time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(),
				t.Second(), 0, time.UTC))
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a moment: write it as \"2026-03-03 15:04\", 15:04, "+
		"now or 2026-03-03T15:04:05Z", quoted(text))
}

// onTheClock is the moment at which the clocks of the person's time zone show a time. The time is
// given as if it were UTC. When the clocks are changed they may show it twice, or never: the error says
// so, since choosing one would answer another question.
func (p *program) onTheClock(shown time.Time) (time.Time, error) {
	const form = "2006-01-02 15:04:05"
	var found []time.Time
	// No zone is 24 hours from UTC, and none changes twice within two days.
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := shown.Add(near).In(p.location).Zone()
		t := shown.Add(-time.Duration(offset) * time.Second).In(p.location)
		if t.Format(form) == shown.Format(form) &&
			!slices.ContainsFunc(found, func(other time.Time) bool { return other.Equal(t) }) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, time.Time.Compare)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return time.Time{}, fmt.Errorf("there was no %s in your time zone (%s): the clocks were put "+
			"forward over it. Write another time, or one with its offset, such as %sZ", shown.Format(form),
			p.location, shown.Format(form))
	default:
		const zoned = form + "Z07:00"
		return time.Time{}, fmt.Errorf("there are two moments at which it was %s in your time zone "+
			"(%s), since the clocks were put back: write \"%s\" (%s) or \"%s\" (%s)",
			shown.Format(form), p.location, found[0].Format(zoned), utc(found[0]),
			found[1].Format(zoned), utc(found[1]))
	}
}

func utc(t time.Time) string { return t.UTC().Format("15:04 UTC") }
