package mcpserver_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents/mcpserver"
	"github.com/agentrun-dev/agentrun/internal/nodeparts"
	"github.com/google/go-cmp/cmp"
)

// inspect has the inspector of the protocol's makers speak with a server, and gives what it printed.
func inspect(t *testing.T, args ...string) (out map[string]any) {
	t.Helper()
	node, script := nodeparts.Find(t, "@modelcontextprotocol/inspector-cli/build/index.js")
	cmd := exec.CommandContext(t.Context(), node, append([]string{script}, args...)...)
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

// TestInspector lists and calls the tools, both ways.
func TestInspector(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newSetup(t, mcpserver.Options{})
	for name, target := range map[string][]string{
		"http": {s.url + "/mcp"},
		// The inspector hands few variables on: the program env has the others.
		"stdio": {"env", storeEnv + "=memory:", "GORACE=atexit_sleep_ms=0", exe},
	} {
		t.Run(name, func(t *testing.T) {
			list := inspect(t, append(slices.Clone(target), "--method", "tools/list")...)
			var names []string
			for _, tool := range list["tools"].([]any) {
				names = append(names, tool.(map[string]any)["name"].(string))
			}
			if got := strings.Join(names, " "); got != "clerk decider fails plan shout waiter" {
				t.Errorf("tools: %s", got)
			}
			call := func(tool string, arguments ...string) map[string]any {
				args := append(slices.Clone(target), "--method", "tools/call", "--tool-name", tool)
				for _, a := range arguments {
					args = append(args, "--tool-arg", a)
				}
				out := inspect(t, args...)
				delete(out, "_meta")
				return out
			}
			content := func(text string) []any { return []any{map[string]any{"type": "text", "text": text}} }
			if diff := cmp.Diff(map[string]any{"content": content("LOUD")}, call("shout", "input=loud")); diff != "" {
				t.Errorf("shout (-want +got):\n%s", diff)
			}
			want := map[string]any{"content": content(`{"city":"Oslo","days":3}`), "structuredContent": map[string]any{"city": "Oslo", "days": 3.0}}
			if diff := cmp.Diff(want, call("decider", "input=where")); diff != "" {
				t.Errorf("decider (-want +got):\n%s", diff)
			}
			if got := call("fails", "input=x"); got["isError"] != true {
				t.Errorf("fails: %v", got)
			}
		})
	}
}
