package main

import (
	"io"
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

// table prints rows in columns that are as wide as what is in them. On a terminal the last
// column is cut to what is left of the line.
func (p *program) table(w io.Writer, indent string, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		b.WriteString(indent)
		used := len(indent)
		for i, c := range row {
			if i == len(row)-1 {
				b.WriteString(p.paint(c.colour, p.fit(c.text, used)))
				break
			}
			b.WriteString(p.paint(c.colour, c.text))
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)) + gap)
			used += widths[i] + len(gap)
		}
		io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n")
	}
}

// fit cuts a text to what is left of a terminal's line; where that is next to nothing the line
// may as well wrap.
func (p *program) fit(text string, used int) string {
	const least = 12
	width := p.width()
	if !p.outTerminal || width-used < least {
		return text
	}
	return cut(text, width-used)
}
