package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sym-postgres-quickstart/functions/internal/client"
)

// colour is how something is shown on a terminal, as the parameter of SGR.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// colours are those of the states: what waits for somebody is yellow, what is open green.
var colours = map[client.State]colour{
	client.Requested: yellow,
	client.Approved:  green,
	client.Active:    green,
	client.Revoking:  yellow,
	client.Denied:    red,
	client.Failed:    red,
	client.Expired:   dim,
	client.Done:      dim,
}

// coloured tells whether standard output takes colours. See https://no-color.org.
func (p *program) coloured() bool {
	return p.outTerminal && p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb"
}

func (p *program) paint(c colour, text string) string {
	if c == plain || text == "" || !p.coloured() {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// cell is a text in a table. It is aligned by its characters, whatever its colour.
type cell struct {
	text   string
	colour colour
}

func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i] = cell{text: text}
	}
	return row
}

// gap is between two columns.
const gap = "  "

// pairs prints names with what they name, whole, whatever the terminal: it is there to be read
// and copied.
func (p *program) pairs(indent string, rows [][]cell) {
	widths := widthsOf(rows)
	for _, row := range rows {
		p.line(indent, row, widths)
	}
}

// grid is rows below a heading.
type grid struct {
	heading []string
	rows    [][]cell
	notes   map[int][]string // what stands below a row, by its number
	cut     bool             // whether the last column may be cut to what is left of the line
}

// least is how much of a column has to be left of it when it is cut.
const least = 12

// grid prints rows in columns that are as wide as what is in them. Where they do not fit the
// terminal each row is spread over several lines.
func (p *program) grid(indent string, g grid) {
	heading := cells(g.heading...)
	for i := range heading {
		heading[i].colour = dim
	}
	widths := widthsOf(append([][]cell{heading}, g.rows...))
	last := len(widths) - 1
	used := len(indent)
	for _, width := range widths[:last] {
		used += width + len(gap)
	}
	room := p.room()
	needed := widths[last]
	if g.cut {
		needed = min(needed, least)
	}
	spread := room > 0 && used+needed > room
	if !spread {
		p.line(indent, heading, widths)
	}
	for i, row := range g.rows {
		if spread {
			p.spread(indent, row, g.cut)
		} else {
			if room > 0 && g.cut {
				row[last].text = cut(row[last].text, room-used)
			}
			p.line(indent, row, widths)
		}
		for _, note := range g.notes[i] {
			fmt.Fprintln(p.out, indent+"    "+p.paint(dim, note))
		}
	}
}

// room is how long a line can be; zero where it can be as long as it likes.
func (p *program) room() int {
	if !p.outTerminal {
		return 0
	}
	return p.width()
}

func widthsOf(rows [][]cell) (widths []int) {
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

// line prints a row in columns. The last one is not filled up.
func (p *program) line(indent string, row []cell, widths []int) {
	var b strings.Builder
	b.WriteString(indent)
	for i, c := range row {
		b.WriteString(p.paint(c.colour, c.text))
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)) + gap)
		}
	}
	fmt.Fprintln(p.out, strings.TrimRight(b.String(), " "))
}

// spread prints a row over as many lines as it takes.
func (p *program) spread(indent string, row []cell, mayCut bool) {
	room := p.room()
	var b strings.Builder
	b.WriteString(indent)
	used := len(indent)
	for i, c := range row {
		if c.text == "" {
			continue
		}
		if i > 0 && used+len(gap)+utf8.RuneCountInString(c.text) > room {
			b.WriteString("\n" + indent)
			used = len(indent)
		}
		if i == len(row)-1 && mayCut {
			c.text = cut(c.text, max(least, room-used-len(gap)))
		}
		if i > 0 {
			b.WriteString(gap)
			used += len(gap)
		}
		b.WriteString(p.paint(c.colour, c.text))
		used += utf8.RuneCountInString(c.text)
	}
	fmt.Fprintln(p.out, b.String())
}
