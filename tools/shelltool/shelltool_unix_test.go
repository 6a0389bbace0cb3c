//go:build unix

package shelltool_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/shelltool"
)

// shell is a tool that may run a shell, which these tests need to do what programs should not.
func shell(t *testing.T, c shelltool.Config, opts ...tools.Option) tools.Tool {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.Programs == nil {
		c.Programs = map[string]shelltool.Program{"sh": {}}
	}
	c.Env = append(c.Env, "PATH")
	tool, err := shelltool.New("run", "", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func run(t *testing.T, ctx context.Context, tool tools.Tool, dir, script string) (tools.Result, error) {
	t.Helper()
	encoded, err := json.Marshal(map[string]any{"program": "sh", "args": []string{"-c", script}, "dir": dir})
	if err != nil {
		t.Fatal(err)
	}
	return tool.Call(ctx, tools.Call{Key: "k", Arguments: string(encoded)})
}

func TestRun(t *testing.T) {
	t.Setenv("AGENTRUN_TEST_SECRET", "hush")
	t.Setenv("AGENTRUN_TEST_GIVEN", "from here")
	tool := shell(t, shelltool.Config{MaxOutput: 64, Env: []string{"AGENTRUN_TEST_GIVEN", "A=b=c", "AGENTRUN_TEST_ABSENT"}})
	if tool.Effect() != tools.EffectUnsafe {
		t.Errorf("effect %s", tool.Effect())
	}
	for _, test := range []struct {
		script, want string
		isError      bool
	}{
		{"echo out; echo err >&2; echo out", "[exit code 0]\nout\nerr\nout\n", false},
		{"exit 3", "[exit code 3]\n", true},
		{"true", "[exit code 0]\n", false},
		{"kill -9 $$", "[it did not exit by itself: signal: killed]\n", true},
		{"echo \"$AGENTRUN_TEST_SECRET,$HOME,$AGENTRUN_TEST_GIVEN,$A\"", "[exit code 0]\n,,from here,b=c\n", false},
		{"cat", "[exit code 0]\n", false}, // nothing on its standard input
		{`printf 'a\377b'`, "[exit code 0]\na\uFFFDb", false},
		{`printf '%0100d' 0`, "[exit code 0]\n" + strings.Repeat("0", 32) + "\n[36 of 100 bytes left out]\n" + strings.Repeat("0", 32), false},
	} {
		got, err := run(t, t.Context(), tool, "", test.script)
		if err != nil || got.Content != test.want || got.IsError != test.isError {
			t.Errorf("%s: %q, error %v, %v, want %q", test.script, got.Content, got.IsError, err, test.want)
		}
	}
}

func TestArguments(t *testing.T) {
	tool := shell(t, shelltool.Config{Programs: map[string]shelltool.Program{"print": {Path: "printf", Check: func(args []string) error {
		if len(args) > 5 {
			return errors.New("too many")
		}
		return nil
	}}}})
	call := func(arguments string) (tools.Result, error) {
		return tool.Call(t.Context(), tools.Call{Arguments: arguments})
	}
	if got, err := call(`{"program": "print", "args": ["<%s>", "$(id)", "a b;c", "*"]}`); err != nil || got.Content != "[exit code 0]\n<$(id)><a b;c><*>" {
		t.Errorf("%q, %v", got.Content, err)
	}
	for arguments, want := range map[string]string{
		`{"program": "printf"}`:                             "/program",
		`{"program": "/usr/bin/printf"}`:                    "/program",
		`{"program": "../print"}`:                           "/program",
		`{"program": "PRINT"}`:                              "/program",
		`{"program": "print", "args": ["a\u0000b"]}`:        "NUL",
		`{"program": "print", "args": [1]}`:                 "/args/0",
		`{"program": "print", "args": ["","","","","",""]}`: "too many",
		`{"program": "print", "env": {"A": "b"}}`:           "unknown field",
		`{}`: "/program",
	} {
		if got, err := call(arguments); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want an error with %q", arguments, got.Content, err, want)
		}
	}
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	for _, err := range []error{os.MkdirAll(filepath.Join(dir, "a/b"), 0o700), os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink("a", filepath.Join(dir, "within")),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	tool := shell(t, shelltool.Config{Dir: dir})
	for path, want := range map[string]string{"": real, ".": real, "a/b": real + "/a/b", "a/./b/": real + "/a/b"} {
		if got, err := run(t, t.Context(), tool, path, "pwd -P"); err != nil || got.Content != "[exit code 0]\n"+want+"\n" {
			t.Errorf("in %q: %q, %v", path, got.Content, err)
		}
	}
	for path, want := range map[string]string{"..": "goes up", "a/../..": "goes up", "/": "absolute", outside: "absolute", "out": "link", "within": "link", "within/b": "link", "file": "not a folder", "none": "no such file", "a\x00": "control"} {
		if got, err := run(t, t.Context(), tool, path, "pwd -P"); err == nil || !strings.Contains(err.Error(), want) || path != outside && strings.Contains(err.Error(), dir) {
			t.Errorf("in %q: %q, %v, want an error with %q", path, got.Content, err, want)
		}
	}
}

// alive is a named pipe that processes hold open, and a channel that is closed when none does any more.
func alive(t *testing.T) (path string, gone <-chan struct{}) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.Open(path) // waits for the first who writes
		if err == nil {
			io.Copy(io.Discard, f)
			f.Close()
		}
	}()
	return path, done
}

// TestTimeout has a program that does not hear the signal to end, and a child of it that holds the output open.
func TestTimeout(t *testing.T) {
	t.Parallel()
	path, gone := alive(t)
	tool := shell(t, shelltool.Config{Timeout: 2 * time.Second, Grace: 2 * time.Second})
	got, err := run(t, t.Context(), tool, "", "trap '' TERM; exec 3>'"+path+"'; echo started; sleep 1000 & while :; do sleep 1000; done")
	if err != nil || !got.IsError || got.Content != "[stopped after 2s, which is how long it may run]\nstarted\n" {
		t.Errorf("%q, %v", got.Content, err)
	}
	<-gone
}

// TestAsked has a program that tidies up when it is asked to end.
func TestAsked(t *testing.T) {
	t.Parallel()
	tool := shell(t, shelltool.Config{Timeout: 2 * time.Second, Grace: time.Minute})
	got, err := run(t, t.Context(), tool, "", "trap 'echo tidied; exit 0' TERM; while :; do sleep 0.01; done")
	if err != nil || !got.IsError || !strings.HasPrefix(got.Content, "[stopped after 2s, which is how long it may run]\n") || !strings.HasSuffix(got.Content, "tidied\n") {
		t.Errorf("%q, %v", got.Content, err)
	}
}

// TestBackground leaves a child behind that holds the output open.
func TestBackground(t *testing.T) {
	path, gone := alive(t)
	got, err := run(t, t.Context(), shell(t, shelltool.Config{Grace: time.Minute}), "", "exec 3>'"+path+"'; sleep 1000 & echo done")
	if err != nil || got.IsError || got.Content != "[exit code 0]\ndone\n" {
		t.Errorf("%q, %v", got.Content, err)
	}
	<-gone
}

// TestCancel ends the run while a program runs.
func TestCancel(t *testing.T) {
	path, gone := alive(t)
	for _, opts := range [][]tools.Option{nil, {tools.Pure()}} {
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		started := filepath.Join(dir, "started")
		if err := syscall.Mkfifo(started, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() {
			f, err := os.Open(started)
			if err == nil {
				f.Close()
			}
			cancel()
		}()
		_, err := run(t, ctx, shell(t, shelltool.Config{Dir: dir}, opts...), "", "exec 3>'"+path+"'; : > started; sleep 1000; sleep 1000")
		_, unknown := errors.AsType[*tools.UnknownOutcomeError](err)
		if !errors.Is(err, context.Canceled) || unknown != (opts == nil) {
			t.Errorf("%v, unknown outcome %v", err, unknown)
		}
		<-gone
		path, gone = alive(t)
	}
	// The last pipe has no writer: open it once so that its reader ends.
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		f.Close()
	}
	<-gone
}

// TestEndless has a program whose output never ends, and one that writes much at once.
func TestEndless(t *testing.T) {
	tool := shell(t, shelltool.Config{Timeout: 300 * time.Millisecond, MaxOutput: 1000})
	got, err := run(t, t.Context(), tool, "", "while :; do echo spam; done")
	if err != nil || !got.IsError || len(got.Content) > 1200 || !strings.Contains(got.Content, "bytes left out]") {
		t.Errorf("%d bytes, %v", len(got.Content), err)
	}
	got, err = run(t, t.Context(), shell(t, shelltool.Config{MaxOutput: 1000}), "", "head -c 10000000 /dev/zero; echo end")
	if err != nil || got.IsError || len(got.Content) > 1200 || !strings.Contains(got.Content, "9999004 of 10000004 bytes left out") || !strings.HasSuffix(got.Content, "end\n") {
		t.Errorf("%d bytes, %v", len(got.Content), err)
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "mine")
	if err := os.WriteFile(bin, []byte("#!/bin/sh\necho mine\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	programs := map[string]shelltool.Program{"sh": {}}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for want, c := range map[string]shelltool.Config{
		"no programs":          {Dir: dir},
		"set Dir":              {Programs: programs},
		"working directory":    {Programs: programs, Dir: filepath.Join(dir, "none")},
		"is no folder":         {Programs: programs, Dir: bin},
		"must be positive":     {Programs: programs, Dir: dir, Timeout: -1},
		"neither NAME=value":   {Programs: programs, Dir: dir, Env: []string{"=x"}},
		"it has no name":       {Programs: map[string]shelltool.Program{"": {}}, Dir: dir},
		"not found in $PATH":   {Programs: map[string]shelltool.Program{"agentrun-no-such-program": {}}, Dir: dir},
		"a call could replace": {Programs: map[string]shelltool.Program{"mine": {}}, Dir: dir},
		"two effects":          {Programs: programs, Dir: dir},
	} {
		if _, err := shelltool.New("run", "", c, tools.Pure(), tools.Unsafe()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", c, err, want)
		}
	}
	meant := shell(t, shelltool.Config{Programs: map[string]shelltool.Program{"mine": {Path: bin}}, Dir: dir})
	if got, err := meant.Call(t.Context(), tools.Call{Arguments: `{"program": "mine"}`}); err != nil || got.Content != "[exit code 0]\nmine\n" {
		t.Errorf("%q, %v", got.Content, err)
	}
	if err := os.Remove(bin); err != nil {
		t.Fatal(err)
	}
	if got, err := meant.Call(t.Context(), tools.Call{Arguments: `{"program": "mine"}`}); err == nil || err.Error() != "mine cannot be started: no such file or directory" {
		t.Errorf("a program that is gone: %q, %v", got.Content, err)
	}
}

// TestNoEnvironment has no list of variables, which must not mean all.
func TestNoEnvironment(t *testing.T) {
	tool, err := shelltool.New("run", "", shelltool.Config{Dir: t.TempDir(), Programs: map[string]shelltool.Program{"env": {}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tool.Call(t.Context(), tools.Call{Arguments: `{"program": "env"}`}); err != nil || got.Content != "[exit code 0]\n" {
		t.Errorf("%q, %v", got.Content, err)
	}
}
