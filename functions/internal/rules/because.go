package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// How much of a condition and of what it read is shown to people, in characters.
const (
	shownExpression = 200
	shownText       = 60
	shownGroups     = 10
)

// because says how a condition went, and with which values.
func (c *condition) because(went string, values map[string]any) string {
	said := shorten(strings.Join(strings.Fields(c.source), " "), shownExpression) + " " + went
	if len(c.reads) == 0 {
		return said
	}
	read := make([]string, len(c.reads))
	for i, name := range c.reads {
		read[i] = name + " = " + show(values[name])
	}
	return said + ", where " + enumerate(read, "and")
}

// show writes a variable's value so that no text in it is taken for anything else.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(shorten(v, shownText))
	case []string:
		shown := make([]string, 0, shownGroups)
		for i, element := range v {
			if i == shownGroups {
				shown = append(shown, "…")
				break
			}
			shown = append(shown, strconv.Quote(shorten(element, shownText)))
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case time.Time:
		return v.Format(time.RFC3339)
	case time.Duration:
		return span(v)
	default:
		return fmt.Sprint(v) // true
	}
}

// shorten cuts a text to so many characters, and shows that it did.
func shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// enumerate writes a list as people do: a, b and c.
func enumerate(items []string, last string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	return strings.Join(items[:len(items)-1], ", ") + " " + last + " " + items[len(items)-1]
}

// span writes a duration as a condition would, less the parts that are zero: 1h30m.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
