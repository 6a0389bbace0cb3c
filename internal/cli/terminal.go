package cli

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"github.com/mattn/go-isatty"
)

// terminal is standard error: a terminal, or something that gets plain text. It is
// safe for concurrent use. While a question is open it keeps back what others
// print, so that nothing comes between question and answer.
type terminal struct {
	file   *os.File
	isTerm bool
	color  bool

	mu   sync.Mutex
	held bool
	kept bytes.Buffer
}

func newTerminal(f *os.File) *terminal {
	t := &terminal{file: f, isTerm: isTerminal(f)}
	t.color = t.isTerm && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows"
	return t
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }

// Write prints b, or keeps it back.
func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		return t.kept.Write(b)
	}
	return t.file.Write(b)
}

// printf prints for people. Nobody is there to be told that it failed.
func (t *terminal) printf(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }

// hold begins a question; what ask prints until release comes at once.
func (t *terminal) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = true
}

// ask prints a part of a question.
func (t *terminal) ask(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.file, format, args...)
}

// release ends a question and prints what was kept back.
func (t *terminal) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = false
	_, _ = t.kept.WriteTo(t.file)
}

// dim is s in a weaker colour, where there are colours.
func (t *terminal) dim(s string) string { return t.style("2", s) }

// bold is s in bold letters, where there are any.
func (t *terminal) bold(s string) string { return t.style("1", s) }

func (t *terminal) style(code, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// printable takes from a text what a terminal would obey: models write it, and
// what they read may come from anywhere.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.IsGraphic(r):
			return r
		case r == '\r' || unicode.Is(unicode.Cf, r): // these change the direction of text, for instance
			return -1
		}
		return unicode.ReplacementChar
	}, s)
}
