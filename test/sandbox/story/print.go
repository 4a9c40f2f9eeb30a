package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// narrator writes the story, each line with the time since the start. It may be
// used by several at once.
type narrator struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
	// live is whether lines can be written over, as on a terminal.
	live bool
	over bool
}

func newNarrator(out *os.File) *narrator {
	return &narrator{out: out, began: time.Now(), live: term.IsTerminal(int(out.Fd()))}
}

// chapter begins a part of the story.
func (n *narrator) chapter(title string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finishLine()
	fmt.Fprintf(n.out, "\n%s\n", n.bold(title))
}

// say tells one thing that happened.
func (n *narrator) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finishLine()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n             ")
	fmt.Fprintf(n.out, "  %7.1f s  %s\n", time.Since(n.began).Seconds(), text)
}

// progress tells how far something is. On a terminal each replaces the one
// before.
func (n *narrator) progress(format string, args ...any) {
	if !n.live {
		n.say(format, args...)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, "\r\033[K  %7.1f s  %s", time.Since(n.began).Seconds(), fmt.Sprintf(format, args...))
	n.over = true
}

// text writes lines as they are.
func (n *narrator) text(lines string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finishLine()
	fmt.Fprint(n.out, lines)
}

func (n *narrator) finishLine() {
	if n.over {
		fmt.Fprint(n.out, "\r\033[K")
		n.over = false
	}
}

func (n *narrator) bold(text string) string {
	if !n.live {
		return text
	}
	return "\033[1m" + text + "\033[0m"
}
