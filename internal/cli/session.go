package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/scenario"
)

// envLatency is a factor for the latency of scripted answers: 0 makes them come at
// once. It is for tests of programs.
const envLatency = "AGENTRUN_LATENCY"

// latency reads it; nil leaves the latency as it is.
func latency() (func(time.Duration) time.Duration, error) {
	text := os.Getenv(envLatency)
	if text == "" {
		return nil, nil
	}
	factor, err := strconv.ParseFloat(text, 64)
	if err != nil || !(factor >= 0 && factor <= 1000) {
		return nil, usagef("%s=%q is not a factor from 0 to 1000", envLatency, text)
	}
	return func(d time.Duration) time.Duration { return time.Duration(float64(d) * factor) }, nil
}

// heldPatience is how long a store may be held before that is worth a word: short
// commands have it for a moment only.
const heldPatience = 300 * time.Millisecond

// whileHeld says what a run waits for. A server does not end by itself, as another run does.
func (a *app) whileHeld(ctx context.Context, h *durable.HeldError) string {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	r, err := server.Dial(ctx, a.store, version())
	if err == nil {
		_, err = r.Hubs(ctx)
		err = errors.Join(err, r.Close())
	}
	if err != nil || h.PID == 0 {
		return "waiting until it is free"
	}
	return fmt.Sprintf("it is a server: waiting until it is ended with: kill %d; in it, clients start runs of the program that it was given with --program", h.PID)
}

// open opens the store to run things. While another process holds it, that waits.
func (a *app) open(ctx context.Context, o scenario.Options) (*scenario.Session, error) {
	var notice *time.Timer
	held := func(h *durable.HeldError) {
		notice = time.AfterFunc(heldPatience, func() {
			a.term.printf("agentrun: %s; %s (Ctrl-C ends the waiting)\n", h, a.whileHeld(ctx, h))
		})
	}
	defer func() {
		if notice != nil {
			notice.Stop()
		}
	}()
	o.Store, o.Durable.OnHeld = a.store, held
	var err error
	if o.Latency, err = latency(); err != nil {
		return nil, err
	}
	return a.program.Open(ctx, o)
}

// with closes the session when do is done.
func (a *app) with(s *scenario.Session, do func() error) error {
	err := do()
	return errors.Join(err, s.Close())
}

// connect reaches the store for a short command.
func (a *app) connect(ctx context.Context, do func(*durable.Client) error) error {
	c, err := durable.Connect(ctx, a.existing(), durable.Options{}, agents.Define(agents.Options{}))
	if err != nil {
		return err
	}
	return errors.Join(do(c.Client), c.Close())
}

// readPatience bounds how long look tries again.
const readPatience = 5 * time.Second

// again is connect for what may be done twice, because it changes nothing or knows
// itself again. If the process that holds the store ends meanwhile (another short
// command, perhaps), it is done once more.
func (a *app) again(ctx context.Context, do func(*durable.Client) error) error {
	for begun := time.Now(); ; {
		err := a.connect(ctx, do)
		if !errors.Is(err, taskhub.ErrUnavailable) || time.Since(begun) > readPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// existing is the store's URL, or that of an empty one where there is none: a
// command that only looks leaves nothing behind.
func (a *app) existing() string {
	path, ok := strings.CutPrefix(a.store, "sqlite:")
	if _, err := os.Stat(strings.TrimPrefix(path, "//")); ok && path != "" && errors.Is(err, fs.ErrNotExist) {
		return "memory:"
	}
	return a.store
}

// typed is a command that the user can type to go on.
func (a *app) typed(words ...string) string {
	line := []string{a.command}
	for _, w := range words {
		line = append(line, quoted(w))
	}
	if a.store != defaultStore {
		line = append(line, "--store", quoted(a.store))
	}
	return strings.Join(line, " ")
}

// holdFlag lets a run leave every request to people who are somewhere else.
func (a *app) holdFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.hold, "hold", false, "leave requests in the inbox: ask nobody here, and take no decision of the scenario")
}

// begins says what runs, how to kill it, and how it then goes on.
func (a *app) begins(id string, sc *scenario.Scenario, live bool) {
	what := []string{}
	if sc != nil {
		what = append(what, sc.Path())
	}
	switch {
	case live:
		what = append(what, "live models")
	case sc != nil && sc.Script != nil:
		what = append(what, "scripted")
	}
	a.term.printf("run %s  %s\n", a.term.bold(id), a.term.dim(strings.Join(what, ", ")))
	a.term.printf("  kill it:  kill -9 %d\n  resume:   %s\n\n", os.Getpid(), a.typed("resume", id))
}

// follow stays with a run to its end, or until it waits for people.
func (a *app) follow(ctx context.Context, s *scenario.Session, sc *scenario.Scenario, id string) error {
	watch := newProgress(a, time.Now())
	r, err := s.Follow(ctx, id, newPeople(a, sc, watch), watch.event)
	switch {
	case errors.Is(context.Cause(ctx), errInterrupted):
		a.term.printf("\ninterrupted; %s goes on with: %s\n", id, a.typed("resume", id))
		return ended(exitInterrupted)
	case err != nil:
		a.term.printf("\n%s goes on with: %s\n", id, a.typed("resume", id))
		return err
	}
	return a.conclude(sc, r)
}

// conclude prints what became of a run, and gives its exit code.
func (a *app) conclude(sc *scenario.Scenario, r *scenario.Report) error {
	if err := a.printReport(r); err != nil {
		return err
	}
	code := exitOf(r.Status)
	if sc != nil && (r.Status != scenario.Waiting || sc.Expect != nil && sc.Expect.Status == scenario.Waiting) {
		for _, f := range sc.Verify(r.Result()) {
			a.term.printf("%s: %s\n", a.term.bold("not as expected"), f.String())
			code = max(code, exitFailed)
		}
	}
	if r.Status == scenario.Waiting {
		a.term.printf("then: %s\n", a.typed("resume", r.ID))
	}
	return ended(code)
}

func (a *app) printReport(r *scenario.Report) error {
	if a.format != formatTable {
		return a.printJSON(r)
	}
	if a.term.isTerm && r.Text() != "" {
		a.term.printf("\n") // the output begins a paragraph of its own
	}
	if err := a.printText(r.Text()); err != nil {
		return err
	}
	a.term.printf("\n%s\n", r.Summary())
	if r.Error != "" {
		a.term.printf("%s\n", oneLine(r.Error, 2000))
	}
	return nil
}
