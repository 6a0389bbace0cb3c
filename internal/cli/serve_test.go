//go:build unix

package cli_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// serving is a server in a process of its own.
type serving struct {
	*process
	Ready            bool   `json:"ready"`
	ConnectionString string `json:"connectionString"`
	GRPC             string `json:"grpc"`
	HTTP             string `json:"http"`
	PID              int    `json:"pid"`
}

// serve starts a program as a server on free ports.
func serve(t *testing.T, dir, program string, args ...string) *serving {
	t.Helper()
	c := command(t, dir, append([]string{"serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "-o", "json"}, args...)...)
	c.Args[0] = program
	s := &serving{process: &process{Cmd: c, t: t}}
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stderr = bufio.NewReader(errs)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		rest, _ := io.ReadAll(s.stderr)
		t.Fatalf("%v; it said:\n%s", err, rest)
	}
	if err := json.Unmarshal([]byte(line), s); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return s
}

// shortDir is a directory whose sockets have short paths.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestServeRunsItsOwn has a program's agents run where it serves, for a client that has only their
// names, also in a hub that is made on first use.
func TestServeRunsItsOwn(t *testing.T) {
	dir := shortDir(t)
	s := serve(t, dir, "solo", "--dev")
	if !s.Ready || s.PID != s.Process.Pid || s.ConnectionString != "Endpoint=http://"+s.GRPC+";TaskHub=default;Authentication=None" {
		t.Errorf("ready: %+v", s)
	}
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if m, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || m.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Error(m, err)
	}
	for path, want := range map[string]string{"/readyz": "ready", "/api/v1/hubs": "default", "/hubs/default/runs": "<html"} {
		resp, err := http.Get("http://" + s.HTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s %s %v", path, resp.Status, b, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	c, err := durable.Connect(t.Context(), "sqlite:"+filepath.Join(dir, "hub.db"), durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	greeter := agents.New(agents.Config{Name: "Hello_World", Instructions: "x", Model: "m"}) // for its name
	id, err := greeter.Schedule(t.Context(), c.Client, "Hi.")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := greeter.Wait(t.Context(), c.Client, id); err != nil || r.Text != "Hello." {
		t.Error(r, err)
	}
	if _, err := c.Schedule(t.Context(), "note", nil, durable.WithInstanceID("noted")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(t.Context(), "noted"); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, dir, "runs", "show", "noted").Output(); err != nil || !strings.Contains(string(out), "says       \"halfway\"\n") {
		t.Errorf("runs show: %v\n%s", err, out)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(0)
}

// TestServeRefuses asks for the list of hubs without a token: the answer says so once, and names no hub.
func TestServeRefuses(t *testing.T) {
	s := serve(t, shortDir(t), "agentrun", "--require-token")
	resp, err := http.Get("http://" + s.HTTP + "/api/v1/hubs")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if resp.Body.Close(); err != nil || resp.StatusCode != 401 || strings.Count(string(b), "not signed in") != 1 || strings.Contains(string(b), "default") {
		t.Errorf("%s %s %v", resp.Status, b, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(0)
}

// TestServeEnds ends servers by signals, also by the second one where a worker does not answer; the
// next server goes on, whatever was the end of the last one.
func TestServeEnds(t *testing.T) {
	dir := shortDir(t)
	s := serve(t, dir, "agentrun")
	c, err := durable.Connect(t.Context(), "sqlite:"+filepath.Join(dir, "hub.db"), durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Schedule(t.Context(), "agent:nobody", "Hi.", durable.WithInstanceID("waits")); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error)
	go func() {
		_, err := c.Wait(t.Context(), "waits")
		waits <- err
	}()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err == nil {
		t.Error("a wait for nothing ended")
	}
	if rest := s.ends(0); !strings.Contains(rest, "ending: calls under way may finish for 10s") {
		t.Errorf("it said:\n%s", rest)
	}

	s = serve(t, dir, "agentrun")
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := protocol.NewTaskHubSidecarServiceClient(conn).GetWorkItems(t.Context(), &protocol.GetWorkItemsRequest{})
	for item := (*protocol.WorkItem)(nil); item.GetOrchestratorRequest() == nil; item, err = stream.Recv() {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.until("ending: calls under way may finish")
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.ends(130)

	s = serve(t, dir, "agentrun")
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.ends(-1)
	s = serve(t, dir, "agentrun") // what SIGKILL leaves is in nobody's way
	writeFile(t, dir, "greet.yaml", greetScenario)
	second := start(t, dir, "run", "greet.yaml")
	second.until(fmt.Sprintf("it is a server: waiting until it is ended with: kill %d", s.PID))
	if err := s.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.ends(0)
	second.ends(0)
}

// TestBenchOfAServer measures a server with a worker process, all in processes of their own.
func TestBenchOfAServer(t *testing.T) {
	dir := shortDir(t)
	s := serve(t, dir, "bare")
	c := command(t, dir, "bench", "--quick", "-o", "json", "--connect", s.ConnectionString, "--workers", "1", "chain")
	c.Args[0] = "agentrun"
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var r struct {
		Workload       string
		N, Workers     int
		StepsPerSecond float64
	}
	if err := json.Unmarshal(out, &r); err != nil || r.Workload != "chain" || r.N != 20 || r.Workers != 1 || r.StepsPerSecond <= 0 {
		t.Errorf("%s: %+v, %v", out, r, err)
	}
}
