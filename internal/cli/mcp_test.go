//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
)

// inspect has the inspector of the protocol's makers speak with a server.
func inspect(t *testing.T, target []string, args ...string) (out struct {
	Tools   []struct{ Name, Description string }
	Content []struct{ Text string }
	IsError bool
}) {
	t.Helper()
	node, script := nodeparts.Find(t, "@modelcontextprotocol/inspector-cli/build/index.js")
	cmd := exec.CommandContext(t.Context(), node, slices.Concat([]string{script}, target, args)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return out
}

// TestMCP lists and calls the tools of a program and of a scenario's team, as a client
// that starts the command does, and one over HTTP.
func TestMCP(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir, "team.yaml", `version: 1
name: both
description: Two look at it.
team: {specialists: {agents: [fixer, helper]}}
agents: [{name: helper, model: m, instructions: Help.}]
script: {answers: [{agent: fixer, always: true, text: Fixed.}, {agent: helper, always: true, text: Helped.}]}
`)
	writeFile(t, dir, "one.yaml", `version: 1
name: one
team: {agent: lone}
agents: [{name: lone, description: Is alone., model: m, instructions: Help.}]
script: {answers: [{always: true, text: Alone.}]}
`)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(program string, args ...string) []string {
		link := filepath.Join(dir, program)
		if err := os.Symlink(self, link); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		return slices.Concat([]string{"env", raceExit, "AGENTRUN_STORE=sqlite:" + filepath.Join(dir, "hub.db"), link, "mcp"}, args)
	}
	names := func(target []string) string {
		t.Helper()
		var names []string
		for _, tool := range inspect(t, target, "--method", "tools/list").Tools {
			names = append(names, tool.Name)
		}
		return strings.Join(names, " ")
	}
	call := func(target []string, tool string) string {
		t.Helper()
		out := inspect(t, target, "--method", "tools/call", "--tool-name", tool, "--tool-arg", "input=Go.")
		if len(out.Content) != 1 || out.IsError {
			t.Fatalf("%+v", out)
		}
		return out.Content[0].Text
	}
	if got := names(start("solo")); got != "Hello_World" {
		t.Errorf("the tools of a program: %s", got)
	}
	if got := call(start("solo"), "Hello_World"); got != "Hello." {
		t.Errorf("an agent of a program answers %q", got)
	}
	one := start("bare", filepath.Join(dir, "one.yaml"))
	if got := names(one); got != "lone" {
		t.Errorf("the tools of a scenario: %s", got)
	}
	if got := call(one, "lone"); got != "Alone." {
		t.Errorf("an agent of a scenario answers %q", got)
	}
	if got := names(start("agentrun", filepath.Join(dir, "team.yaml"))); got != "both breaker clerk fixer holder mule" {
		t.Errorf("the tools of both: %s", got)
	}

	c := command(t, dir, "mcp", "team.yaml", "--http", "127.0.0.1:0", "-o", "json")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	var ready struct {
		Ready bool
		URL   string
		PID   int
	}
	if line, err := bufio.NewReader(out).ReadBytes('\n'); err != nil || json.Unmarshal(line, &ready) != nil || !ready.Ready || ready.PID != c.Process.Pid {
		t.Fatalf("%s: %v", line, err)
	}
	if got := call([]string{ready.URL}, "both"); !strings.Contains(got, "Fixed.") || !strings.Contains(got, "Helped.") {
		t.Errorf("the team answers %q", got)
	}
	// The runs are runs as others are, and remember where they come from.
	list, err := command(t, dir, "runs", "list", "-o", "jsonl").Output()
	if err != nil || strings.Count(string(list), `"status":"completed"`) != 3 {
		t.Errorf("%v, %s", err, list)
	}
	var run struct{ ID, Name string }
	if err := json.Unmarshal(bytes.SplitAfter(list, []byte("\n"))[0], &run); err != nil || run.Name != "team:both" {
		t.Errorf("the newest run is %+v, %v", run, err)
	}
	if shown, err := command(t, dir, "runs", "show", run.ID).Output(); err != nil || !strings.Contains(string(shown), "scenario   team.yaml\n") {
		t.Errorf("%v, %s", err, shown)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}

	for _, args := range [][]string{{"mcp", "team.yaml", "--http", "0.0.0.0:0"}, {"mcp", "none.yaml"}, {"mcp", "a", "b"}} {
		if err := command(t, dir, args...).Run(); err == nil || err.(*exec.ExitError).ExitCode() != 2 {
			t.Errorf("%v: %v", args, err)
		}
	}
}
