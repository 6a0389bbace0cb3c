package agentrun_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
)

// shell runs the commands of a document with a store of its own. Where they say 8080 and 8082 they
// have free ports instead.
type shell struct {
	t           *testing.T
	path        string
	env         []string
	ports, back *strings.Replacer
	last        string        // what the command before has printed
	more        *bufio.Reader // what it goes on printing, if it stays
	stay        map[string]*staying
	node        *bool
}

// staying is a program that runs on.
type staying struct {
	*exec.Cmd
	out *bufio.Reader
}

func newShell(t *testing.T, path string) *shell {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the commands of documents are for a Unix shell")
	}
	if testing.Short() {
		t.Skip("short: the commands of documents take a while")
	}
	dir := t.TempDir()
	protocol, pages := freePort(t), freePort(t)
	s := &shell{
		t: t, path: path, stay: map[string]*staying{},
		ports: strings.NewReplacer(":8080", ":"+protocol, ":8082", ":"+pages,
			"agentrun serve --grpc", "agentrun serve --grpc",
			"agentrun serve", "agentrun serve --grpc 127.0.0.1:"+protocol+" --http 127.0.0.1:"+pages),
		back: strings.NewReplacer(":"+protocol, ":8080", ":"+pages, ":8082"),
		env: append(os.Environ(),
			"AGENTRUN_STORE=sqlite:"+filepath.Join(dir, "readme.db"),
			"AGENTRUN_INCIDENT_STATE="+filepath.Join(dir, "production"),
			"AGENTRUN_ADDRESS=localhost:"+protocol,
		),
	}
	t.Cleanup(func() {
		for name := range s.stay {
			s.end(name)
		}
	})
	return s
}

// freePort is a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return strconv.Itoa(lis.Addr().(*net.TCPAddr).Port)
}

// hasNode reports whether there is a Node.js with the SDK; without, what needs it is left out.
func (s *shell) hasNode() bool {
	if s.node == nil {
		_, err := exec.LookPath("node")
		if err == nil {
			_, err = os.Stat("node_modules/@microsoft/durabletask-js/package.json")
		}
		if err != nil && os.Getenv(nodeparts.RequireEnv) == "1" {
			s.t.Fatalf("%v and %s=1; run make deps", err, nodeparts.RequireEnv)
		}
		if err != nil {
			s.t.Logf("what needs Node.js and its packages is left out; run make deps (%v)", err)
		}
		has := err == nil
		s.node = &has
	}
	return *s.node
}

var endsWith = regexp.MustCompile(`# ends with (\d+)`)

// run runs a block. A program that stays takes the place of an earlier one of its name, and is there
// when it has printed its first line.
func (s *shell) run(b block) {
	t := s.t
	t.Helper()
	text := s.ports.Replace(b.text)
	if b.stays != "" {
		s.end(b.stays)
		cmd := exec.Command("bash", "-c", "exec env "+text)
		cmd.Env, cmd.Stderr = s.env, os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := &staying{cmd, bufio.NewReader(out)}
		s.stay[b.stays], s.more = p, p.out
		if s.last, err = p.out.ReadString('\n'); err != nil {
			t.Fatalf("%s:%d: it printed no line: %v", s.path, b.line, err)
		}
		return
	}
	want := 0
	if m := endsWith.FindStringSubmatch(b.text); m != nil {
		want, _ = strconv.Atoi(m[1])
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bash", "-c", text)
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, s.env
	err := cmd.Run()
	s.last, s.more = out.String(), nil
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s:%d: ended with %d (%v), not %d:\n%s%s%s", s.path, b.line, got, err, want, text, errs.String(), out.String())
	}
}

// printed compares what the last command has printed, or of one that stays the first lines, with what
// is shown, where "…" is whatever there is.
func (s *shell) printed(b block) {
	s.t.Helper()
	for s.more != nil && strings.Count(s.last, "\n") < strings.Count(b.text, "\n") {
		line, err := s.more.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s:%d: it printed\n%s\nand no more: %v", s.path, b.line, s.last, err)
		}
		s.last += line
	}
	got, want := s.back.Replace(s.last), strings.ReplaceAll(regexp.QuoteMeta(b.text), "…", ".*")
	if !regexp.MustCompile("^" + want + "$").MatchString(got) {
		s.t.Errorf("%s:%d: shows\n%s\nbut the command printed\n%s", s.path, b.line, b.text, got)
	}
}

// end ends a program that stays, as Ctrl-C does.
func (s *shell) end(name string) {
	p := s.stay[name]
	if p == nil {
		return
	}
	delete(s.stay, name)
	_ = p.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.Wait() // a worker ends by the signal
}
