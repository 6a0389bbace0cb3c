package mcpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/agents/mcpserver"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/mcp"
)

// TestResults calls each kind of tool.
func TestResults(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	c := s.client()
	for _, tt := range []struct {
		tool      string
		arguments any
		want      string
		structure string // JSON; "": none
		isError   bool
	}{
		{"shout", map[string]any{"input": "grüezi"}, "GRÜEZI", "", false},
		{"plan", map[string]any{"name": "Oslo"}, `{"city":"Oslo","days":2}`, `{"city":"Oslo","days":2}`, false},
		{"plan", map[string]any{"town": "Oslo"}, "/town: unknown field, the fields are days, name", "", true},
		{"plan", map[string]any{"name": ""}, "minLength", "", true},
		{"decider", map[string]any{"input": "where?"}, `{"city":"Oslo","days":3}`, `{"city":"Oslo","days":3}`, false},
		{"fails", map[string]any{"input": "x"}, "no such alert", "", true},
	} {
		r, err := c.call(t.Context(), tt.tool, "", tt.arguments)
		if got := text(t, r, err); r.IsError != tt.isError || !strings.Contains(got, tt.want) || !tt.isError && got != tt.want {
			t.Errorf("%s %v: %q, error %v, want %q", tt.tool, tt.arguments, got, r.IsError, tt.want)
		}
		b, err := json.Marshal(r.StructuredContent)
		if err != nil || r.StructuredContent != nil && string(b) != tt.structure || r.StructuredContent == nil && tt.structure != "" {
			t.Errorf("%s: structured %s, %v, want %q", tt.tool, b, err, tt.structure)
		}
	}
	list, err := c.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 6 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, err := mcpserver.New(s.rt, mcpserver.Options{}, mcpserver.Agent(s.clerk), mcpserver.Agent(s.clerk)); err == nil || !strings.Contains(err.Error(), `"clerk"`) {
		t.Errorf("two tools of a name: %v", err)
	}
}

// TestProgress is told what an agent does.
func TestProgress(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	c := s.client()
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := c.call(t.Context(), "waiter", "", map[string]any{"input": "wait"})
		if got := text(t, r, err); got != "Somebody came." {
			t.Errorf("%q", got)
		}
		if runs := s.runs("agent:waiter"); len(runs) != 1 || r.Meta[mcpserver.RunMeta] != runs[0] {
			t.Errorf("run %v, want %v", r.Meta, runs)
		}
	})
	for _, want := range []string{"waiter begins", "waiter: turn 1", "waiter calls gate"} {
		if got := <-c.told; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	s.gate <- "come in"
	wg.Wait()
}

// TestApproval tells the client for whom the run waits, also one who comes later.
func TestApproval(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	var wg sync.WaitGroup
	ask := func() *client {
		c := s.client()
		wg.Go(func() {
			r, err := c.call(t.Context(), "clerk", "k", map[string]any{"input": "pay"})
			if got := text(t, r, err); got != "It is paid." {
				t.Errorf("%q", got)
			}
		})
		return c
	}
	first := ask().waitFor("waits for a decision")
	if second := ask().waitFor("waits for a decision"); second != first || !strings.Contains(first, "about a call of pay, request ") || !strings.HasSuffix(first, ": Pay it?") {
		t.Errorf("told %q, then %q", first, second)
	}
	_, id, _ := strings.Cut(first, "request ")
	id, _, _ = strings.Cut(id, ":")
	if _, err := agents.Decide(t.Context(), s.rt.Client(), id, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if runs := s.runs("agent:clerk"); len(runs) != 1 {
		t.Errorf("%d runs for one key", len(runs))
	}
}

// TestSameKey makes calls again.
func TestSameKey(t *testing.T) {
	s := newSetup(t, mcpserver.Options{Caller: func(h http.Header) string { return h.Get("X-Caller") }})
	c := s.client()
	call := func(tool, key string, in string) string {
		r, err := c.call(t.Context(), tool, key, map[string]any{"input": in})
		return text(t, r, err)
	}
	if a, b := call("shout", "k", "a"), call("shout", "k", "a"); a != "A" || b != "A" || len(s.runs("shout")) != 1 {
		t.Errorf("%q, %q in %d runs", a, b, len(s.runs("shout")))
	}
	if got := call("shout", "k", "b"); !strings.Contains(got, "other arguments") || len(s.runs("shout")) != 1 {
		t.Errorf("the key for something else: %q in %d runs", got, len(s.runs("shout")))
	}
	if call("shout", "k2", "a"); len(s.runs("shout")) != 2 {
		t.Errorf("another key: %d runs", len(s.runs("shout")))
	}
	if call("fails", "k", "a"); len(s.runs("fails")) != 1 {
		t.Errorf("the key with another tool: %d runs", len(s.runs("fails")))
	}
	call("shout", "", "a")
	if call("shout", "", "a"); len(s.runs("shout")) != 4 {
		t.Errorf("no key: %d runs", len(s.runs("shout")))
	}
	if got := call("shout", strings.Repeat("k", 2000), "a"); !strings.Contains(got, "at most 1024") {
		t.Errorf("a long key: %q", got)
	}

	// The same request over HTTP again, by one client and by another.
	post := func(session, caller, id, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, id, body)))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": session, "X-Caller": caller, "Mcp-Protocol-Version": "2025-11-25"} {
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Contains(b, []byte(`"LOUD"`)) {
			t.Errorf("%s %s, %v", res.Status, b, err)
		}
		return string(b)
	}
	before := len(s.runs("shout"))
	const loud = `"method":"tools/call","params":{"name":"shout","arguments":{"input":"loud"}`
	for n, step := range []struct {
		caller, id, body string
		more             int
	}{
		{"", "71", loud + "}", 1},
		{"", "71", loud + "}", 1},
		{"", "72", loud + "}", 2},
		{"", "73", loud + `,"_meta":{"agentrun/idempotency-key":"z"}}`, 3},
		{"", "74", loud + `,"_meta":{"agentrun/idempotency-key":"z"}}`, 3},
		{"eva", "75", loud + `,"_meta":{"agentrun/idempotency-key":"z"}}`, 4},
	} {
		if post(c.ID(), step.caller, step.id, step.body); len(s.runs("shout")) != before+step.more {
			t.Errorf("step %d: %d runs, want %d", n, len(s.runs("shout"))-before, step.more)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestCancel cancels requests, and breaks connections, which is something else.
func TestCancel(t *testing.T) {
	cancels := func(_ *client, cancel context.CancelFunc) { cancel() }
	for _, tt := range []struct {
		name    string
		o       mcpserver.Options
		piped   bool
		waiters int
		leave   func(c *client, cancel context.CancelFunc)
		want    history.Status
	}{
		{"cancel", mcpserver.Options{}, false, 1, cancels, history.Canceled},
		{"cancel through pipes", mcpserver.Options{}, true, 1, cancels, history.Canceled},
		{"left running", mcpserver.Options{LeaveRunning: true}, false, 1, cancels, history.Completed},
		{"another waits", mcpserver.Options{}, false, 2, cancels, history.Completed},
		{"pipe breaks", mcpserver.Options{}, true, 1, func(c *client, _ context.CancelFunc) { c.hangUp() }, history.Completed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSetup(t, tt.o)
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first := s.client
			if tt.piped {
				first = s.piped
			}
			c := first()
			wg.Go(func() {
				if _, err := c.call(ctx, "waiter", "k", map[string]any{"input": "wait"}); err == nil {
					t.Error("the call that was left has a result")
				}
			})
			c.waitFor("calls gate")
			if tt.waiters == 2 {
				other := s.client()
				wg.Go(func() {
					r, err := other.call(t.Context(), "waiter", "k", map[string]any{"input": "wait"})
					if got := text(t, r, err); got != "Somebody came." {
						t.Errorf("the other one: %q", got)
					}
				})
				s.server.AwaitWaiting(t, 2)
			}
			tt.leave(c, cancel)
			s.server.AwaitWaiting(t, tt.waiters-1)
			runs := s.runs("agent:waiter")
			if len(runs) != 1 {
				t.Fatalf("runs %v", runs)
			}
			if tt.want == history.Completed {
				s.gate <- "come in"
			}
			st, err := s.rt.Client().Wait(t.Context(), runs[0])
			if err != nil || st.Status != tt.want {
				t.Errorf("the run is %v, %v, want %v", st.Status, err, tt.want)
			}
			wg.Wait()
		})
	}
}

// TestDrop drops an HTTP request in the middle: its session, and the run, go on.
func TestDrop(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	c := s.client()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(
		`{"jsonrpc":"2.0","id":70,"method":"tools/call","params":{"name":"waiter","arguments":{"input":"wait"},"_meta":{"agentrun/idempotency-key":"k"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": c.ID(), "Mcp-Protocol-Version": "2025-11-25"} {
		req.Header.Set(name, value)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		if err == nil {
			t.Error("the request that was dropped has an answer")
		}
	})
	s.server.AwaitWaiting(t, 1)
	cancel()
	wg.Wait()
	wg.Go(func() {
		r, err := c.call(t.Context(), "waiter", "k", map[string]any{"input": "wait"})
		if got := text(t, r, err); got != "Somebody came." {
			t.Errorf("the same call again: %q", got)
		}
	})
	s.server.AwaitWaiting(t, 2)
	s.gate <- "come in"
	wg.Wait()
	if runs := s.runs("agent:waiter"); len(runs) != 1 {
		t.Errorf("runs %v", runs)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestClose ends a server while clients wait.
func TestClose(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	var wg sync.WaitGroup
	for n, c := range []*client{s.client(), s.piped()} {
		key := fmt.Sprint("k", n)
		wg.Go(func() {
			r, err := c.call(t.Context(), "waiter", key, map[string]any{"input": "wait"})
			if got := text(t, r, err); !r.IsError || !strings.Contains(got, "goes on") {
				t.Errorf("%q", got)
			}
		})
		c.waitFor("calls gate")
	}
	_ = s.server.Close() // the pipes' session may have ended by itself
	wg.Wait()
	for range 2 {
		s.gate <- "come in"
	}
	for _, id := range s.runs("agent:waiter") {
		if st, err := s.rt.Client().Wait(t.Context(), id); err != nil || st.Status != history.Completed {
			t.Errorf("the run is %v, %v", st.Status, err)
		}
	}
	res, err := http.Post(s.url, "application/json", strings.NewReader("{}"))
	if err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after it: %v, %v", res.Status, err)
	}
	_ = res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

// TestKill kills a server with SIGKILL in the middle of an agent's run. The client's own toolset starts it again
// and makes its call again, with the key that joins it to the run that goes on.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gate := pipe(t, filepath.Join(dir, "gate"))
	pids := filepath.Join(dir, "pids")
	via := mcp.Stdio(exe)
	via.Env = []string{storeEnv + "=sqlite:" + filepath.Join(dir, "runs.db"), pidsEnv + "=" + pids, pipeEnv + "=" + gate.Name(), "GORACE=atexit_sleep_ms=0"}
	var killed sync.Once
	server, err := mcp.Open("runs", via, mcp.Options{
		Effects: map[string]tools.Effect{"waiter": tools.EffectIdempotent}, // since the server knows keys
		OnProgress: func(_ context.Context, p mcp.Progress) {
			if p.Message != "waiter calls gate" {
				return
			}
			killed.Do(func() {
				list := processes(t, pids)
				if err := syscall.Kill(list[len(list)-1], syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				if _, err := gate.WriteString("come in"); err != nil {
					t.Error(err)
				}
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	list, err := server.Tools(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, server.Stderr())
	}
	byName, err := tools.Index(list)
	if err != nil {
		t.Fatal(err)
	}
	r, err := byName["waiter"].Call(t.Context(), tools.Call{Key: "k", Arguments: `{"input":"wait"}`})
	if err != nil || r.Content != "Somebody came." || r.IsError {
		t.Fatalf("%+v, %v\n%s", r, err, server.Stderr())
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if list := processes(t, pids); len(list) != 2 {
		t.Errorf("%d processes", len(list))
	}
	rt, err := durable.Open(t.Context(), "sqlite:"+filepath.Join(dir, "runs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	n := 0
	for st, err := range rt.Client().Query(t.Context(), durable.Query{Names: []string{"agent:waiter"}}) {
		if n++; err != nil || st.Status != history.Completed {
			t.Errorf("%v, %v", st, err)
		}
	}
	if n != 1 {
		t.Errorf("%d runs", n)
	}
}

// processes reads the ids that servers have noted.
func processes(t *testing.T, path string) (list []int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

// TestServe ends with its input, with its context, and leaves runs going.
func TestServe(t *testing.T) {
	s := newSetup(t, mcpserver.Options{})
	for _, end := range []string{"input", "context"} {
		t.Run(end, func(t *testing.T) {
			in, to := io.Pipe()
			var out bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if end == "input" {
				go func() { _ = to.Close() }()
			} else {
				cancel()
			}
			if err := s.server.Serve(ctx, in, &out); err != nil && !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
}
