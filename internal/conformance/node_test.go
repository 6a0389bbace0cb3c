package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
)

// node is the program that runs JavaScript.
type node string

// findNode returns node, or skips if it or the packages are missing.
func findNode(t *testing.T) node {
	t.Helper()
	var path string
	for _, name := range []string{"@microsoft/durabletask-js", "@grpc/grpc-js", "@opentelemetry/api", "@opentelemetry/sdk-trace-base"} {
		path, _ = nodeparts.Find(t, name+"/package.json")
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatalf("node --version: %v", err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		nodeparts.Missing(t, "node 20 or later (there is "+strings.TrimSpace(string(out))+")")
	}
	return node(path)
}

// patience bounds a run of all programs. One takes about half a minute.
const patience = 4 * time.Minute

// event is a line of js/reporter.mjs: a test that ended, or what a program printed.
type event struct {
	Program string // its file's name without .test.mjs
	Test    string // "": output
	OK      bool
	Skip    bool
	Ms      float64
	Problem string
	Output  string
}

// run runs programs against a server, and reports each of their tests as a test. command is for those
// that start a server of their own.
func (n node) run(t *testing.T, files []string, command, endpoint string, telemetry bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args := append([]string{"--test", "--test-concurrency=4", "--test-reporter=./js/reporter.mjs"}, files...)
	cmd := exec.CommandContext(ctx, string(n), args...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "AGENTRUN_COMMAND="+command, "AGENTRUN_ENDPOINT="+endpoint, "NODE_NO_WARNINGS=1")
	if telemetry {
		cmd.Env = append(cmd.Env, "AGENTRUN_OTEL=1")
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	problem := err
	if ctx.Err() != nil {
		problem = context.Cause(ctx)
	}
	tests, output := parse(t, out)
	for _, file := range files {
		program := strings.TrimSuffix(filepath.Base(file), ".test.mjs")
		t.Run(program, func(t *testing.T) {
			if len(tests[program]) == 0 {
				t.Error("it ran no test")
			}
			for _, e := range tests[program] {
				t.Run(e.Test, e.report)
			}
			if t.Failed() && output[program] != "" {
				t.Logf("it printed:\n%s", tail([]byte(output[program]), 16<<10))
			}
		})
	}
	if problem != nil && (!t.Failed() || ctx.Err() != nil) {
		t.Errorf("node: %v", problem)
	}
	if stderr.Len() > 0 {
		t.Logf("node said:\n%s", tail(stderr.Bytes(), 16<<10))
	}
}

func (e *event) report(t *testing.T) {
	switch {
	case e.Skip:
		t.Skip(e.Problem)
	case !e.OK:
		t.Errorf("after %.0f ms: %s", e.Ms, e.Problem)
	}
}

// parse gives the tests and the output of each program.
func parse(t *testing.T, out []byte) (tests map[string][]event, output map[string]string) {
	t.Helper()
	tests, output = map[string][]event{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("the reporter wrote %.200q: %v", lines.Text(), err)
			continue
		}
		if e.Test == "" {
			output[e.Program] += e.Output
			continue
		}
		tests[e.Program] = append(tests[e.Program], e)
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return tests, output
}
