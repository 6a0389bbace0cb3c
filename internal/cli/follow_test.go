//go:build unix

package cli_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
)

// TestFollowThroughAKill has a second process follow a run whose process is killed in
// mid-answer, twice. What it has shown is announced to be void before the answer begins
// anew, nothing that is recorded comes twice, and the text is whole in the end.
func TestFollowThroughAKill(t *testing.T) {
	var words strings.Builder
	for i := range 500 {
		fmt.Fprintf(&words, "w%d ", i)
	}
	text := words.String() + "end."
	dir := t.TempDir()
	writeFile(t, dir, "talk.yaml", fmt.Sprintf(`version: 1
name: talk
team: {agent: clerk}
input: Talk.
script:
  answers:
    - {agent: clerk, calls: [{tool: now, arguments: {}}]}
    - {agent: clerk, text: %q, latency: 50s}
`, text))
	holder := start(t, dir, "run", "talk.yaml", "--id", "talk")
	holder.until("calls now")

	follower := command(t, dir, "runs", "follow", "talk", "-o", "jsonl")
	out, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = follower.Process.Kill() })

	kills, void, shown, done, try := 0, 0, "", "", ""
	seen := map[string]bool{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var ev agents.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		switch ev.Kind {
		case agents.EventDelta:
			if ev.Offset != len(shown) || shown != "" && ev.Try != try {
				t.Fatalf("%q is shown, and then comes %s", shown, line)
			}
			shown, try = shown+ev.Text, ev.Try
			if kills == 2 || len(shown) < 10 {
				continue
			}
			if err := holder.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = holder.Wait() // killed
			if kills++; kills == 2 {
				t.Setenv("AGENTRUN_LATENCY", "0")
			}
			holder = start(t, dir, "resume", "talk")
			continue
		case agents.EventSuperseded:
			if void++; ev.Try != try || ev.Offset != len(shown) {
				t.Errorf("of %q it says %s", shown, line)
			}
			shown = ""
			continue
		case agents.EventAnswer:
			if ev.Offset != len(shown) || !strings.HasPrefix(ev.Text, shown) {
				t.Errorf("%q is shown, and then comes %s", shown, line)
			}
			done, shown = ev.Text, ""
		}
		if ev.Kind == "" {
			continue // the report
		}
		key := fmt.Sprint(ev.Kind, ev.Time, ev.Instance, ev.Agent, ev.Turn, ev.Attempt, ev.Tool)
		if seen[key] {
			t.Errorf("twice: %s", line)
		}
		seen[key] = true
	}
	if err := follower.Wait(); err != nil {
		t.Error(err)
	}
	holder.ends(0)
	// What the last process wrote before the follower came to it began as the answer does.
	if kills != 2 || void < 1 || done != text {
		t.Errorf("killed %d times, taken back %d times, and shown %.100q", kills, void, done)
	}
	// An agent's beginning, two turns with answers, a call and its result, the run's end.
	if len(seen) != 8 {
		t.Errorf("events %v", seen)
	}
}
