//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const holdScenario = `version: 1
name: hold
team: {agent: holder}
input: Wait.
script: {answers: [{agent: holder, calls: [{tool: wait, arguments: {file: release}}]}, {agent: holder, text: It came.}]}
`

const greetScenario = `version: 1
name: greet
team: {agent: clerk}
input: What time is it?
script: {answers: [{agent: clerk, text: It is noon.}]}
`

const askScenario = `version: 1
name: fix
team: {agent: fixer}
input: Payments is slow.
script: {answers: [{agent: fixer, calls: [{tool: restart, arguments: {service: payments}}]}, {agent: fixer, text: Restarted.}]}
`

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// process is a command that runs while the test reads its standard error.
type process struct {
	*exec.Cmd
	t      *testing.T
	stderr *bufio.Reader
	out    bytes.Buffer
}

func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: command(t, dir, args...), t: t}
	p.Stdout = &p.out
	pipe, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = bufio.NewReader(pipe)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// until reads standard error up to a line that has text.
func (p *process) until(text string) {
	p.t.Helper()
	for {
		line, err := p.stderr.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			p.t.Fatalf("%v before %q", err, text)
		}
	}
}

// ends waits for the exit code, and gives the rest of standard error.
func (p *process) ends(code int) string {
	p.t.Helper()
	rest, err := io.ReadAll(p.stderr)
	if err != nil {
		p.t.Fatal(err)
	}
	err = p.Wait()
	if got := exitCodeOf(err); got != code {
		p.t.Fatalf("exit code %d, want %d; it said:\n%s", got, code, rest)
	}
	return string(rest)
}

func exitCodeOf(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestSignalsEndWith130(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "hold.yaml", holdScenario)
			p := start(t, dir, "run", "hold.yaml", "--id", "hold")
			p.until("calls wait")
			if err := p.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if rest := p.ends(130); !strings.Contains(rest, "interrupted; hold goes on with: ") {
				t.Errorf("it said:\n%s", rest)
			}
			writeFile(t, dir, "release", "")
			p = start(t, dir, "resume", "hold")
			p.ends(0)
			if got := p.out.String(); got != "It came.\n" {
				t.Errorf("output %q", got)
			}
		})
	}
}

// TestSecondSignal ends a process that a tool keeps from ending.
func TestSecondSignal(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "mule.yaml", strings.NewReplacer("holder", "mule", "tool: wait", "tool: ignore").Replace(holdScenario))
	p := start(t, dir, "run", "mule.yaml", "--id", "mule")
	p.until("calls ignore")
	for _, answer := range []string{"interrupted; mule goes on with: ", ""} {
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if answer != "" {
			p.until(answer)
		}
	}
	p.ends(130)
	writeFile(t, dir, "release", "")
	p = start(t, dir, "resume", "mule")
	p.ends(0)
}

// TestWaitsForTheLease starts a run while another process has the store.
func TestWaitsForTheLease(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "hold.yaml", holdScenario)
	writeFile(t, dir, "greet.yaml", greetScenario)
	holder := start(t, dir, "run", "hold.yaml", "--id", "hold")
	holder.until("calls wait")
	impatient := start(t, dir, "run", "greet.yaml", "--id", "never")
	impatient.until("waiting until it is free")
	if err := impatient.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	impatient.ends(130)
	second := start(t, dir, "run", "greet.yaml", "--id", "second")
	second.until("waiting until it is free")
	writeFile(t, dir, "release", "")
	holder.ends(0)
	second.ends(0)
	if got := second.out.String(); got != "It is noon.\n" {
		t.Errorf("output %q", got)
	}
}
