package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// session is a command at a terminal.
type session struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File
	seen     bytes.Buffer
}

func atTerminal(t *testing.T, dir string, args ...string) *session {
	t.Helper()
	return atBusyTerminal(t, "", dir, args...)
}

// atBusyTerminal is atTerminal where something was typed before the command began.
func atBusyTerminal(t *testing.T, typed, dir string, args ...string) *session {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	fd := int(terminal.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	s := &session{t: t, cmd: command(t, dir, args...), terminal: terminal}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if _, err := io.WriteString(terminal, typed); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

// until reads what is shown up to a match, and forgets it.
func (s *session) until(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	for b := make([]byte, 4096); ; {
		if m := re.FindStringSubmatchIndex(s.seen.String()); m != nil {
			groups := re.FindStringSubmatch(s.seen.String())
			s.seen.Next(m[1])
			return groups
		}
		n, err := s.terminal.Read(b)
		if err != nil {
			s.t.Fatalf("%v before %q; it showed:\n%s", err, pattern, s.seen.String())
		}
		s.seen.Write(b[:n])
	}
}

func (s *session) types(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.terminal, line+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) ends(code int) {
	s.t.Helper()
	if got := exitCodeOf(s.cmd.Wait()); got != code {
		s.t.Errorf("exit code %d, want %d", got, code)
	}
}

const prompt = `yes, no or edit \(a comment may follow\): `

func TestAsksInPlace(t *testing.T) {
	for _, test := range []struct {
		name  string
		talk  func(*session)
		shown string // by runs show
	}{
		{"yes", func(s *session) { s.types("yes go ahead") }, "tool: restarted payments"},
		{"no", func(s *session) { s.types("n not today") }, "says: not today"},
		{"nonsense", func(s *session) {
			s.types("perhaps")
			s.until(prompt)
			s.types("Y")
		}, "tool: restarted payments"},
		{"edit", func(s *session) {
			s.types("edit")
			s.until("arguments, as JSON")
			s.types("{nonsense")
			s.until("not a JSON object")
			s.types(`{"service":"checkout"}`)
		}, "tool: restarted checkout"},
		{"edit, but no", func(s *session) {
			s.types("e")
			s.until("arguments, as JSON")
			s.types("")
			s.until(prompt)
			s.types("yes")
		}, "tool: restarted payments"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "ask.yaml", askScenario)
			s := atTerminal(t, dir, "run", "ask.yaml", "--id", "ask")
			s.until(`fixer wants to call restart: Restart it\?`)
			s.until(`{"service":"payments"}`)
			s.until(prompt)
			test.talk(s)
			s.until("ask: completed")
			s.ends(0)
			out, err := command(t, dir, "runs", "show", "ask").Output()
			if err != nil || !strings.Contains(string(out), test.shown) {
				t.Errorf("%v, no %q in:\n%s", err, test.shown, out)
			}
		})
	}
}

// TestTypedAhead has whole lines and a part of one in the terminal before there is a
// question: they do not answer it.
func TestTypedAhead(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "ask.yaml", askScenario)
	s := atBusyTerminal(t, "yes\nyes\ny", dir, "run", "ask.yaml", "--id", "ask")
	s.until(prompt)
	s.types("no I was not asked")
	s.until("ask: completed")
	s.ends(0)
	out, err := command(t, dir, "runs", "show", "ask").Output()
	if err != nil || !strings.Contains(string(out), "says: I was not asked") {
		t.Errorf("%v, not rejected in:\n%s", err, out)
	}
}

// TestDecidedElsewhere approves from another process while the terminal asks.
func TestDecidedElsewhere(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "ask.yaml", askScenario)
	s := atTerminal(t, dir, "run", "ask.yaml")
	id := s.until(`\[([0-9a-f]{8})\]`)[1]
	s.until(prompt)
	if out, err := command(t, dir, "approve", id).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.until("it was decided elsewhere meanwhile")
	s.until("Restarted")
	s.until("completed")
	s.ends(0)
}

// TestNobodyAnswers ends the input: the request stays in the inbox.
func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "ask.yaml", askScenario)
	s := atTerminal(t, dir, "run", "ask.yaml", "--id", "ask")
	s.until(prompt)
	if _, err := s.terminal.Write([]byte{4}); err != nil { // Ctrl-D
		t.Fatal(err)
	}
	s.until("approve: ")
	s.until("waiting")
	s.ends(6)
}

// TestInterruptedQuestion presses Ctrl-C at a question.
func TestInterruptedQuestion(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "ask.yaml", askScenario)
	s := atTerminal(t, dir, "run", "ask.yaml", "--id", "ask")
	s.until(prompt)
	if _, err := s.terminal.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	s.until("interrupted; ask goes on with: ")
	s.ends(130)
}
