package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// TestKillAndResume runs the example as a real process, kills it with SIGKILL
// and lets `agentrun resume` finish it: after each of its commits in turn, at
// random moments, and between the intent and the receipt of its rollback. The
// report must be the one of a run that nobody killed.
//
// The witness is outside the store: each call of a model or tool appends a line to
// a file before it is made, and production is a journal of its own. They must show
// no rollback twice, and no call again whose answer was on disk.
func TestKillAndResume(t *testing.T) {
	bin := buildExample(t)
	undisturbed := newCrime(t, bin)
	want := undisturbed.finish("run", "examples/incident", "--id", "r")
	undisturbed.check(want)

	t.Run("commit", func(t *testing.T) {
		n := 1
		for ; ; n++ {
			c := newCrime(t, bin)
			c.latency = "0.02" // so that answers come one by one, and few share a commit
			killed := c.kill(fmt.Sprint("commit:", n), "run", "examples/incident", "--id", "r")
			if !killed {
				break
			}
			c.resume(want)
			if t.Failed() {
				t.Fatalf("killed after commit %d", n)
			}
		}
		t.Logf("killed after each of %d commits", n-1)
		if n < 20 {
			t.Errorf("the run has only %d commits", n-1)
		}
	})
	for i, points := range [][]string{
		{"intent:1"}, {"effect:1"}, {"intent:1", "intent:1"}, {"intent:1", "effect:1"}, {"effect:1", "before-commit:1"},
	} {
		t.Run(fmt.Sprint("intent-and-receipt-", i), func(t *testing.T) {
			c := newCrime(t, bin)
			args := []string{"run", "examples/incident", "--id", "r"}
			for _, p := range points {
				if !c.kill(p, args...) {
					t.Fatalf("%s was not reached", p)
				}
				args = []string{"resume", "r"}
			}
			c.resume(want)
		})
	}
	for i := range 20 {
		t.Run(fmt.Sprint("moment-", i), func(t *testing.T) {
			c := newCrime(t, bin)
			c.latency = "0.05"
			c.killLater(time.Duration(rand.IntN(600))*time.Millisecond, "run", "examples/incident", "--id", "r")
			c.resume(want)
		})
	}
}

func buildExample(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGKILL on Windows")
	}
	bin := filepath.Join(t.TempDir(), "incident")
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", bin, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// crime is one run with everything around it.
type crime struct {
	t            *testing.T
	bin, dir     string
	latency      string
	before       int  // lines of the witness at the last kill
	effectBefore bool // the rollback had taken effect at the last kill
	restarts     int  // kills in the middle of the rollback, before it took effect
	committed    []string
}

func newCrime(t *testing.T, bin string) *crime {
	return &crime{t: t, bin: bin, dir: t.TempDir(), latency: "0"}
}

func (c *crime) store() string { return "sqlite:" + filepath.Join(c.dir, "run.db") }

func (c *crime) command(point string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.CommandContext(c.t.Context(), c.bin, append(args, "--store", c.store(), "-o", "json")...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(),
		"AGENTRUN_CRASH="+point,
		"AGENTRUN_WITNESS="+filepath.Join(c.dir, "witness"),
		"AGENTRUN_INCIDENT_STATE="+filepath.Join(c.dir, "production"),
		"AGENTRUN_LATENCY="+c.latency,
	)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("%s %v:\n%s%s", point, args, errs.String(), out.String())
		}
	})
	return cmd, &out
}

// kill runs a command that dies at a crash point; false if it ended before.
func (c *crime) kill(point string, args ...string) bool {
	c.t.Helper()
	cmd, _ := c.command(point, args...)
	return c.died(cmd.Run())
}

// killLater kills a command from outside, after some time.
func (c *crime) killLater(after time.Duration, args ...string) {
	c.t.Helper()
	cmd, _ := c.command("", args...)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	c.died(cmd.Wait())
}

func (c *crime) died(err error) bool {
	c.t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return false
	}
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		c.t.Fatalf("the process was not killed, it ended with %v", err)
	}
	c.before = len(c.witness())
	c.effectBefore = len(c.rollbacks()) > 0
	if started := c.count("tool roll_back"); started > c.restarts && !c.effectBefore {
		c.restarts = started
	}
	c.committed = c.answers()
	return true
}

// finish runs a command to its end and gives the run's object.
func (c *crime) finish(args ...string) result {
	c.t.Helper()
	cmd, out := c.command("", args...)
	if err := cmd.Run(); err != nil {
		c.t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		c.t.Fatalf("%v in %q", err, out)
	}
	return r
}

type result struct {
	ID, Status string
	Output     json.RawMessage
	Turns      int
	ToolCalls  int
}

// resume finishes the run and compares it with one that nobody killed.
func (c *crime) resume(want result) {
	c.t.Helper()
	args := []string{"resume", "r"}
	if !c.exists() {
		args = []string{"run", "examples/incident", "--id", "r"} // killed before it was on disk
	}
	got := c.finish(args...)
	c.check(want)
	if got.Status != "completed" || string(got.Output) != string(want.Output) || got.Turns != want.Turns || got.ToolCalls != want.ToolCalls {
		c.t.Errorf("got %+v, want %+v", got, want)
	}
	for _, line := range c.witness()[c.before:] {
		if slices.Contains(c.committed, line) {
			c.t.Errorf("%s was asked again after its answer was on disk", line)
		}
	}
}

// check looks at the world: one rollback, started once, or again only where it
// was killed before it had taken effect.
func (c *crime) check(result) {
	c.t.Helper()
	if n := len(c.rollbacks()); n != 1 {
		c.t.Errorf("production was rolled back %d times", n)
	}
	if n := c.count("tool roll_back"); n != 1+c.restarts {
		c.t.Errorf("the rollback was started %d times, cut off %d times before its effect", n, c.restarts)
	}
}

func (c *crime) lines(name string) []string {
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

func (c *crime) witness() []string   { return c.lines("witness") }
func (c *crime) rollbacks() []string { return c.lines(filepath.Join("production", "effects.jsonl")) }

func (c *crime) count(prefix string) (n int) {
	for _, line := range c.witness() {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (c *crime) exists() bool {
	found := false
	c.client(func(ctx context.Context, cl *durable.Client) {
		_, err := cl.Get(ctx, "r")
		found = err == nil
	})
	return found
}

// answers lists the calls of models and tools whose answers are on disk, as the
// witness writes them.
func (c *crime) answers() (all []string) {
	c.client(func(ctx context.Context, cl *durable.Client) {
		for s, err := range cl.Query(ctx, durable.Query{}) {
			if err != nil {
				c.t.Fatal(err)
			}
			asked := map[int32]*history.Event{}
			for ev, err := range cl.History(ctx, s.ID, "") {
				if err != nil {
					c.t.Fatal(err)
				}
				switch ev.Kind {
				case history.TaskScheduled:
					asked[ev.ID] = ev
				case history.TaskCompleted:
					name := asked[ev.Answers].Name
					what, agent, _ := strings.Cut(name, ":")
					if what == "tool" {
						_, agent, _ = strings.Cut(agent, "/")
					}
					all = append(all, fmt.Sprintf("%s %s %s/%s/%d", what, agent, s.ID, s.Execution, ev.Answers))
				}
			}
		}
	})
	return all
}

// client looks into the store while no process has it.
func (c *crime) client(f func(context.Context, *durable.Client)) {
	if _, err := os.Stat(filepath.Join(c.dir, "run.db")); err != nil {
		return
	}
	ctx := c.t.Context()
	conn, err := durable.Connect(ctx, c.store(), durable.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	f(ctx, conn.Client)
}
