//go:build unix

package cli_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/internal/cli"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/openai"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestMain makes this binary five commands: agentrun, a program with agents of its
// own; solo, which has one agent, and a model that costs nothing; payer, whose tools
// do something outside; bare, which has none; and lesser, whose agents have no tools.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"agentrun": func() { os.Exit(cli.Main(testProgram(), os.Args[1:])) },
		"solo":     func() { os.Exit(cli.Main(soloProgram(), os.Args[1:])) },
		"payer":    func() { os.Exit(cli.Main(payerProgram(), os.Args[1:])) },
		"bare":     func() { os.Exit(cli.Main(&scenario.Program{Providers: providers()}, os.Args[1:])) },
		"lesser": func() {
			fixer := agents.New(agents.Config{Name: "fixer", Instructions: "Be brief.", Model: "m"})
			os.Exit(cli.Main(&scenario.Program{Agents: []*agents.Agent{fixer}, Providers: providers()}, os.Args[1:]))
		},
	})
}

func providers() []models.Provider { return []models.Provider{openai.FromEnv(os.Getenv)} }

type nothing struct{}

type restart struct {
	Service string `json:"service"`
}

// gate is the file that the tool wait waits for.
type gate struct {
	File string `json:"file"`
}

func testProgram() *scenario.Program {
	now := tools.New("now", "The time.", func(context.Context, nothing) (string, error) { return "12:00", nil }, tools.Pure())
	wait := tools.New("wait", "Wait for a file.", waitForFile, tools.Pure())
	again := tools.New("restart", "Restart a service.",
		func(_ context.Context, r restart) (string, error) { return "restarted " + r.Service, nil },
		tools.NeedsApproval(tools.Approval{Question: "Restart it?"}))
	fail := tools.New("fail", "Fail for good.",
		func(context.Context, nothing) (string, error) {
			return "", &tools.StopError{Err: errors.New("the disk is gone")}
		}, tools.Pure())
	stubborn := tools.New("ignore", "Wait for a file, whatever happens.",
		func(_ context.Context, g gate) (string, error) { return waitForFile(context.Background(), g) }, tools.Pure())
	agent := func(name string, t ...tools.Tool) *agents.Agent {
		return agents.New(agents.Config{Name: name, Instructions: "Be brief.", Model: "m", Tools: t})
	}
	return &scenario.Program{
		Agents:    []*agents.Agent{agent("clerk", now), agent("fixer", again), agent("holder", wait), agent("breaker", fail), agent("mule", stubborn)},
		Tools:     []tools.Tool{now},
		Providers: providers(),
	}
}

func soloProgram() *scenario.Program {
	note := durable.NewOrchestration("note", func(ctx *durable.Context, _ struct{}) (struct{}, error) {
		ctx.SetCustomStatus("halfway")
		return struct{}{}, nil
	})
	return &scenario.Program{
		Definitions: []durable.Definition{note},
		Agents:      []*agents.Agent{agents.New(agents.Config{Name: "Hello_World", Instructions: "Greet.", Model: "m"})},
		Models:      map[string]models.Model{"m": scripted.New(scripted.Entry{Text: "Hello."})},
	}
}

// payerProgram has an agent whose tools do something outside.
func payerProgram() *scenario.Program {
	return &scenario.Program{Prices: models.Prices{"m": {Input: models.Dollar, Output: 2 * models.Dollar}}, Agents: []*agents.Agent{agents.New(agents.Config{Name: "payer", Instructions: "Pay.", Model: "m", Tools: []tools.Tool{
		tools.New("look", "Look.", func(ctx context.Context, _ nothing) (string, error) {
			tools.Progress(ctx, "half of it")
			return "seen", nil
		}, tools.Pure()),
		tools.New("note", "Take a note.", func(ctx context.Context, _ nothing) (string, error) { return "noted as " + tools.Key(ctx), nil }, tools.Idempotent()),
		tools.New("pay", "Pay when a file is there.", waitForFile, tools.Unsafe()),
		tools.New("send", "Send when a file is there.", waitForFile, tools.Unsafe(), tools.Reconcile(
			func(context.Context, string, gate) (string, bool, error) {
				return "", false, errors.New("the office is closed")
			})),
	}})}}
}

func waitForFile(ctx context.Context, g gate) (string, error) {
	for {
		if _, err := os.Stat(g.File); err == nil {
			return "it is there", nil
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// pause is what a poll does between two looks.
func pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestScripts(t *testing.T) {
	goEnv := goEnvironment(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, goEnv...)
			e.Vars = append(e.Vars, "NO_COLOR=1", "USER=tester", raceExit, "XDG_CACHE_HOME="+filepath.Join(e.WorkDir, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "until": until, "capture": capture, "signal": signal, "newer": newer,
		},
	})
}

// goEnvironment is what a script needs to build programs.
func goEnvironment(t *testing.T) []string {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	vars := []string{"REPO=" + root}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		vars = append(vars, name+"="+strings.TrimSpace(string(out)))
	}
	return vars
}

// exits CODE COMMAND... runs a command, which must end with that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// until REGEXP COMMAND... runs a command again and again until its output has a
// match.
func until(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for pattern := regexp.MustCompile(args[0]); ; {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); err == nil && pattern.MatchString(out) {
			return
		}
		if pause(ctx) != nil {
			ts.Fatalf("no output of %v matches %s", args[1:], args[0])
		}
	}
}

// capture NAME REGEXP sets a variable to the first group of a match in the last
// output.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("the output has no match of %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// signal NAME sends a signal to all commands in the background.
func signal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(signals[args[0]]))
	}
}

// newer FILE makes a database say that a later version wrote it.
func newer(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	const userVersion = 60 // offset in SQLite's header
	_, err = f.WriteAt(binary.BigEndian.AppendUint32(nil, 9999), userVersion)
	ts.Check(errors.Join(err, f.Close()))
}

// command is this test's agentrun, for tests that need more than a script can do.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Args[0] = "agentrun"
	c.Dir = dir
	c.Env = append(os.Environ(), "NO_COLOR=1", raceExit, fmt.Sprintf("AGENTRUN_STORE=sqlite:%s", filepath.Join(dir, "hub.db")))
	return c
}

// raceExit keeps the race detector from sleeping for a second whenever a process
// ends.
const raceExit = "GORACE=atexit_sleep_ms=0"
