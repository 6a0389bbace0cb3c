package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStrictReplay records a run of the example and replays the recording: by
// unchanged code it passes, every time; by code in which one tool has another
// name it ends with 3 and names the event that called the tool.
func TestStrictReplay(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "incident")
	build(t, bin)
	recording := filepath.Join(dir, "run.json")
	store := "sqlite:" + filepath.Join(dir, "run.db")
	for _, args := range [][]string{
		{"run", "examples/incident", "--id", "r", "--store", store},
		{"runs", "export", "r", "--out", recording, "--store", store},
	} {
		if code, out := run(t, bin, dir, args...); code != 0 {
			t.Fatalf("%v ended with %d:\n%s", args, code, out)
		}
	}
	times := 100
	if testing.Short() {
		times = 5
	}
	for i := range times {
		if code, out := run(t, bin, dir, "eval", "run", "--strict", recording); code != 0 {
			t.Fatalf("replay %d of %d ended with %d:\n%s", i+1, times, code, out)
		}
	}

	code, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(string(code), `tools.New("query_metrics"`, `tools.New("read_metrics"`, 1)
	if renamed == string(code) {
		t.Fatal("main.go has no tool query_metrics")
	}
	changed := filepath.Join(dir, "main.go")
	if err := os.WriteFile(changed, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: changed}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, bin, "-overlay", file)
	ended, out := run(t, bin, dir, "eval", "run", "--strict", recording)
	number := eventThatCalls(t, recording, "manifest:metrics") + 2 // with its result
	for _, want := range []string{fmt.Sprint("event ", number, " "), "changed: tools (query_metrics is gone, read_metrics is new); agent metrics"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not name %q:\n%s", want, out)
		}
	}
	if ended != 3 {
		t.Errorf("it ended with %d, not 3:\n%s", ended, out)
	}
}

func build(t *testing.T, bin string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-o", bin}, flags...)
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// run runs the program from the module's root and gives its exit code and all
// that it printed.
func run(t *testing.T, bin, dir string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "AGENTRUN_LATENCY=0", "AGENTRUN_INCIDENT_STATE="+filepath.Join(dir, "production"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// eventThatCalls finds the place of the first event with this name in a recording.
func eventThatCalls(t *testing.T, recording, name string) int {
	t.Helper()
	b, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	var rec struct {
		Instances []struct {
			Executions []struct {
				Events []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		t.Fatal(err)
	}
	for _, in := range rec.Instances {
		for _, x := range in.Executions {
			for i, ev := range x.Events {
				if ev.Name == name {
					return i
				}
			}
		}
	}
	t.Fatalf("the recording has no %s", name)
	return 0
}
