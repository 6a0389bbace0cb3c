package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
)

// screen is what an asker shows.
type screen struct {
	t    *testing.T
	term *terminal
	file *os.File
	seen []byte
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &screen{t: t, term: newTerminal(w), file: r}
}

// until waits for a text, and forgets what came up to it.
func (s *screen) until(text string) {
	s.t.Helper()
	for b := make([]byte, 1024); ; {
		if _, rest, ok := bytes.Cut(s.seen, []byte(text)); ok {
			s.seen = rest
			return
		}
		n, err := s.file.Read(b)
		if err != nil {
			s.t.Fatal(err)
		}
		s.seen = append(s.seen, b[:n]...)
	}
}

// Only what is typed while a question is shown answers it.
func TestLinesBeforeTheQuestion(t *testing.T) {
	s := newScreen(t)
	in, keyboard := io.Pipe()
	k := newAsker(in, s.term)
	types := func(lines string) {
		t.Helper()
		// An empty write ends with the next read, for which all lines were taken.
		for _, b := range []string{lines, ""} {
			if _, err := io.WriteString(keyboard, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	type answer struct {
		decision agents.Decision
		ok       bool
		err      error
	}
	ask := func() <-chan answer {
		c := make(chan answer, 1)
		go func() {
			d, ok, err := k.ask(t.Context(), agents.Approval{Request: agents.Request{Kind: agents.KindTool, Tool: "pay", Agent: "clerk"}})
			c <- answer{d, ok, err}
		}()
		s.until("(a comment may follow): ")
		return c
	}
	// Each question is answered by the line after it, not by those before: too many for
	// one read, in the middle of a run, and behind the last answer.
	for _, comment := range []string{"first", "second", "third"} {
		types("yes early\nyes\nyes again\n")
		c := ask()
		types("no " + comment + "\nyes behind it\n")
		if a := <-c; !a.ok || a.err != nil || a.decision.Approve || a.decision.Comment != comment {
			t.Errorf("%s question: %+v", comment, a)
		}
	}
	// The end of the input counts whenever it comes: nobody is there any more.
	types("yes\n")
	if err := keyboard.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-ask(); a.ok || a.err != nil {
		t.Errorf("after the end of the input: %+v", a)
	}
}

// A question that is settled elsewhere leaves nothing behind that the next one takes
// for its answer.
func TestLinesAfterASettledQuestion(t *testing.T) {
	s := newScreen(t)
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	k := newAsker(in, s.term)
	ctx, settle := context.WithCancel(t.Context())
	done := make(chan bool)
	ask := func(ctx context.Context) {
		d, ok, err := k.ask(ctx, agents.Approval{Request: agents.Request{Question: "Sure?"}})
		if err != nil {
			t.Error(err)
		}
		done <- ok && d.Approve
	}
	go ask(ctx)
	s.until("follow): ")
	settle()
	if <-done {
		t.Error("a settled question was answered")
	}
	for _, b := range []string{"yes\n", ""} { // for the question that is gone
		if _, err := io.WriteString(keyboard, b); err != nil {
			t.Fatal(err)
		}
	}
	go ask(t.Context())
	s.until("follow): ")
	if _, err := io.WriteString(keyboard, "no\n"); err != nil {
		t.Fatal(err)
	}
	if <-done {
		t.Error("what was typed before the question answered it")
	}
}
