package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/agentrun-dev/agentrun/agents"
)

// asker asks the person at the terminal, one question at a time.
type asker struct {
	term  *terminal
	turn  chan struct{} // holds a value while a question is open
	in    io.Reader
	begin sync.Once
	lines chan string // closed at the end of input
}

func newAsker(in io.Reader, t *terminal) *asker {
	return &asker{term: t, turn: make(chan struct{}, 1), in: in, lines: make(chan string)}
}

// read sends the lines of the input. A read from a terminal cannot be cancelled,
// so that this ends with the input or the process.
func (k *asker) read() {
	defer close(k.lines)
	s := bufio.NewScanner(k.in)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		k.lines <- strings.TrimSpace(s.Text())
	}
}

var errSettled = errors.New("settled elsewhere")

// line waits for what the person types; an error when nobody is asked any more:
// io.EOF, or errSettled.
func (k *asker) line(ctx context.Context) (string, error) {
	select {
	case s, ok := <-k.lines:
		if !ok {
			return "", io.EOF
		}
		return s, nil
	case <-ctx.Done():
		return "", errSettled
	}
}

// ask asks about one request; ok is false when nobody answers.
func (k *asker) ask(ctx context.Context, a agents.Approval) (d agents.Decision, ok bool, err error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return d, false, nil
	}
	k.begin.Do(func() { go k.read() })
	select { // what was typed before the question is no answer to it
	case <-k.lines:
	default:
	}
	k.term.hold()
	defer k.term.release()
	k.show(a)
	switch d, err = k.decision(ctx, a); {
	case err == nil:
		return d, true, nil
	case errors.Is(err, errSettled) && !errors.Is(context.Cause(ctx), errInterrupted):
		k.term.ask("\n  it was decided elsewhere meanwhile\n")
	default:
		k.term.ask("\n")
	}
	return d, false, nil
}

func (k *asker) show(a agents.Approval) {
	k.term.ask("\n%s\n", k.term.bold("? "+question(a)))
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
		d := agents.Decision{By: userName(), From: fromTerminal, Comment: strings.TrimSpace(comment)}
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
