package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/agentrun-dev/agentrun/agents"
)

// asker asks the person at the terminal, one question at a time. Only what is typed
// while a question is on the screen answers it: a line from before would decide
// about something that nobody had seen.
type asker struct {
	term  *terminal
	turn  chan struct{} // holds a value while a question is open
	in    io.Reader
	tty   *os.File // the input, if what it holds unread can be dropped; else nil
	begin sync.Once

	mu    sync.Mutex
	open  bool     // lines count from now on
	lines []string // that came since then
	ended bool     // the input
	news  chan struct{}
}

// newAsker begins to read at once where that is the only way to drop what is typed
// before the first question. At a terminal that can drop its input nothing is read
// before there is a question: what is typed during a run without any is left to the
// shell, and a job in the background is not stopped for reading.
func newAsker(in io.Reader, t *terminal) *asker {
	k := &asker{term: t, turn: make(chan struct{}, 1), in: in, news: make(chan struct{}, 1)}
	if f, ok := in.(*os.File); ok && canDropInput && isTerminal(f) {
		k.tty = f
	} else {
		k.begin.Do(func() { go k.read() })
	}
	return k
}

// read takes the lines of the input, and drops those that nobody waits for. A read
// from a terminal cannot be cancelled, so that this ends with the input or the
// process: the process is about to end when it has no more questions.
func (k *asker) read() {
	s := bufio.NewScanner(k.in)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		k.took(strings.TrimSpace(s.Text()), false)
	}
	k.took("", true)
}

func (k *asker) took(line string, end bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case end:
		k.ended = true
	case k.open:
		k.lines = append(k.lines, line)
	default:
		return
	}
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// listen lets lines count from now on, and drops all that was typed before.
func (k *asker) listen() error {
	if k.tty != nil {
		if err := dropInput(k.tty); err != nil {
			return err
		}
	}
	k.mu.Lock()
	k.open, k.lines = true, nil
	k.mu.Unlock()
	k.begin.Do(func() { go k.read() })
	return nil
}

// unlisten ends what listen began.
func (k *asker) unlisten() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open, k.lines = false, nil
}

var errSettled = errors.New("settled elsewhere")

// line waits for what the person types; an error when nobody is asked any more:
// io.EOF, or errSettled.
func (k *asker) line(ctx context.Context) (string, error) {
	for {
		if s, ok, err := k.next(); ok || err != nil {
			return s, err
		}
		select {
		case <-k.news:
		case <-ctx.Done():
			return "", errSettled
		}
	}
}

func (k *asker) next() (s string, ok bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(k.lines) > 0:
		s, k.lines = k.lines[0], k.lines[1:]
		return s, true, nil
	case k.ended:
		return "", false, io.EOF
	}
	return "", false, nil
}

// ask asks about one request; ok is false when nobody answers.
func (k *asker) ask(ctx context.Context, a agents.Approval) (d agents.Decision, ok bool, err error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return d, false, nil
	}
	k.term.hold()
	defer k.term.release()
	k.show(a)
	err = k.listen() // after show, which takes as long as the terminal holds output up
	defer k.unlisten()
	if err == nil {
		d, err = k.decision(ctx, a)
	}
	switch {
	case err == nil:
		return d, true, nil
	case errors.Is(err, errSettled) && !errors.Is(context.Cause(ctx), errInterrupted):
		k.term.ask("\n  it was decided elsewhere meanwhile\n")
	default: // the input ended, or the terminal is gone
		k.term.ask("\n")
	}
	return d, false, nil
}

func (k *asker) show(a agents.Approval) {
	k.term.ask("\n%s  %s\n", k.term.bold("? "+question(a)), k.term.dim("["+a.ID+"]"))
	if a.Arguments != "" {
		k.term.ask("    %s\n", oneLine(a.Arguments, 2000))
	}
	if len(a.By) > 0 {
		k.term.ask("    %s\n", k.term.dim("for: "+strings.Join(a.By, ", ")))
	}
}

// mayEdit reports whether other arguments make sense: of a call that was not made.
func mayEdit(a agents.Approval) bool { return a.Kind == agents.KindTool && a.Arguments != "" }

// decision asks until the answer is one.
func (k *asker) decision(ctx context.Context, a agents.Approval) (agents.Decision, error) {
	choices := "yes or no"
	if mayEdit(a) {
		choices = "yes, no or edit"
	}
	for {
		k.term.ask("  %s (a comment may follow): ", choices)
		s, err := k.line(ctx)
		if err != nil {
			return agents.Decision{}, err
		}
		word, comment, _ := strings.Cut(s, " ")
		d := agents.Decision{By: userName(), From: fromTerminal, Digest: a.Digest, Comment: strings.TrimSpace(comment)}
		switch strings.ToLower(strings.Trim(word, ",.:")) {
		case "y", "yes":
			d.Approve = true
			return d, nil
		case "n", "no":
			return d, nil
		case "e", "edit":
			if !mayEdit(a) {
				continue
			}
			d.Approve = true
			d.Arguments, err = k.edited(ctx)
			if err != nil || d.Arguments != "" {
				return d, err
			}
		}
	}
}

// edited asks for other arguments; "" goes back to the question.
func (k *asker) edited(ctx context.Context) (string, error) {
	for {
		k.term.ask("  arguments, as JSON on one line (empty: back): ")
		s, err := k.line(ctx)
		if err != nil || s == "" {
			return "", err
		}
		err = checkArguments(s)
		if err == nil {
			return s, nil
		}
		k.term.ask("  %v\n", err)
	}
}

// checkArguments says what is wrong with arguments that a person wrote.
func checkArguments(s string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &object); err != nil || object == nil {
		return errors.New(`the arguments are not a JSON object; write them like {"city": "Oslo"}`)
	}
	return nil
}
