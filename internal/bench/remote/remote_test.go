package remote

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// workEnv makes this test's binary a worker process for the connection in it.
const workEnv = "BENCH_WORK"

func TestMain(m *testing.M) {
	if at := os.Getenv(workEnv); at != "" {
		c, err := ParseConnection(at)
		if err == nil {
			err = Work(context.Background(), c, os.Stdin, os.Stdout)
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestWorkloads has one worker process do hardly any steps for a server in this one.
// That all are done, once and rightly, is checked by the workloads themselves.
func TestWorkloads(t *testing.T) {
	s, err := server.Open(t.Context(), server.Options{Store: "memory:", GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	at, err := ParseConnection(s.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Workers: []int{1}, ServerPID: os.Getpid(),
		sizes: &sizes{runs: 3, steps: 2, chain: 4, fanOut: 5, repeat: 2, waiting: 6, streams: 7, settle: time.Millisecond, idle: time.Millisecond},
		Worker: func(ctx context.Context) *exec.Cmd {
			c := exec.CommandContext(ctx, os.Args[0])
			c.Env = append(os.Environ(), workEnv+"="+at.String(), "GORACE=atexit_sleep_ms=0")
			c.Stderr = os.Stderr
			return c
		},
	}
	if _, err := usageOf(os.Getpid()); err != nil {
		o.ServerPID = 0
	}
	results, err := Run(t.Context(), at, o, Names())
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		workload   string
		n, workers int
	}{{"parallel-chains", 3, 1}, {"chain", 4, 1}, {"fan-out", 5, 1}, {"waiting", 6, 0}, {"streams", 7, 0}}
	if len(results) != len(want) {
		t.Fatalf("%d results, want %d", len(results), len(want))
	}
	for i, r := range results {
		if w := want[i]; r.Workload != w.workload || r.N != w.n || r.Workers != w.workers {
			t.Errorf("result %d is of %s %d with %d workers, want %+v", i, r.Workload, r.N, r.Workers, w)
		}
		if r.Workload == "streams" {
			continue
		}
		if r.StepsPerSecond <= 0 || r.P99 < r.P50 || r.Workload != "waiting" && r.P50 <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if _, err := Run(t.Context(), at, o, []string{"chian"}); err == nil || !strings.Contains(err.Error(), "there are parallel-chains, chain, fan-out, idle") {
		t.Errorf("a workload that is none: %v", err)
	}
}

func TestParseConnection(t *testing.T) {
	for s, want := range map[string]Connection{
		"127.0.0.1:8080": {"127.0.0.1:8080", ""},
		"[::1]:8080":     {"[::1]:8080", ""},
		"Endpoint=http://localhost:80;TaskHub=default;Authentication=None": {"localhost:80", "default"},
		" authentication = none ;taskhub=a=b; ENDPOINT=http://[::1]:1/;;":  {"[::1]:1", "a=b"},
	} {
		got, err := ParseConnection(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", s, got, err, want)
		}
		if again, err := ParseConnection(got.String()); err != nil || again != got {
			t.Errorf("%q again: %+v, %v", got, again, err)
		}
	}
	for s, want := range map[string]string{
		"":                              "missing port",
		"localhost":                     "missing port",
		":8080":                         "no host",
		"localhost:0":                   "is not a number",
		"localhost:x":                   "is not a number",
		"http://h:8080":                 "too many colons",
		"Endpoint=http://h:1;TaskHub=x": "authentication is missing",
		"Endpoint=http://h:1;Authentication=None":                             "taskhub is missing",
		"TaskHub=x;Authentication=None":                                       "endpoint is missing",
		"Endpoint=http://h:1;TaskHub=;Authentication=None":                    "taskhub is missing",
		"Endpoint=http://h:1;TaskHub=x;Authentication=ManagedIdentity":        "only None",
		"Endpoint=https://h:1;TaskHub=x;Authentication=None":                  "is not http://",
		"Endpoint=h:1;TaskHub=x;Authentication=None":                          "is not http://",
		"Endpoint=http://h;TaskHub=x;Authentication=None":                     "missing port",
		"Endpoint=http://u@h:1;TaskHub=x;Authentication=None":                 "is not http://",
		"Endpoint=http://h:1/p;TaskHub=x;Authentication=None":                 "is not http://",
		"Endpoint=http://h:1;TaskHub=x;TaskHub=y;Authentication=None":         "twice",
		"Endpoint=http://h:1;TaskHub=x;Authentication=None;ClientID=y":        "means nothing here",
		"Endpoint=http://h:1;TaskHub=x;Authentication=None;and something odd": "no value",
	} {
		if got, err := ParseConnection(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want an error with %q", s, got, err, want)
		}
	}
}

// TestWrongAnswers shows that a server that mixes things up is found out.
func TestWrongAnswers(t *testing.T) {
	if r := step(&protocol.ActivityRequest{TaskId: 1, OrchestrationInstance: &protocol.OrchestrationInstance{InstanceId: "a"}}); r.FailureDetails == nil {
		t.Error("a step without its input is done")
	}
	for _, steps := range []int{1, 3} {
		if _, err := evaluate([]mark{{"a", 0, 1}, {"a", 1, 2}, {"a", stepEnd, 3}}, 1, steps); err == nil {
			t.Errorf("2 steps are taken for %d", steps)
		}
	}
	rep, err := evaluate([]mark{{"b", 1, 9}, {"a", stepEnd, 8}, {"a", 0, 1}, {"b", 0, 4}, {"a", 1, 3}, {"b", stepEnd, 12}}, 2, 2)
	if err != nil || rep.took != 11 || len(rep.gaps) != 2 || rep.gaps[0] != 2 || rep.gaps[1] != 5 {
		t.Errorf("%+v, %v", rep, err)
	}
	begin := &protocol.HistoryEvent{EventType: &protocol.HistoryEvent_ExecutionStarted{ExecutionStarted: &protocol.ExecutionStartedEvent{Name: chainName, Input: nil}}}
	t0 := readTurn(&protocol.OrchestratorRequest{InstanceId: "a", PastEvents: []*protocol.HistoryEvent{begin}})
	if actions, ends := t0.next("a"); !ends || actions[0].GetCompleteOrchestration().GetFailureDetails() == nil {
		t.Error("a start without its input goes on")
	}
}
