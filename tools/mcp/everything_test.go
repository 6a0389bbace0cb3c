package mcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// reference is a reference server of the protocol's own makers.
func reference(t *testing.T, name string, args ...string) StdioServer {
	node, script := nodeparts.Find(t, "@modelcontextprotocol/server-"+name+"/dist/index.js")
	return Stdio(node, append([]string{script}, args...)...)
}

// open opens a server for a test, and closes it in the end.
func open(t *testing.T, via Transport, o Options) *Server {
	t.Helper()
	s, err := Open("test", via, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// index lists a server's tools by name.
func index(t *testing.T, s *Server) map[string]tools.Tool {
	t.Helper()
	list, err := s.Tools(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Stderr())
	}
	byName, err := tools.Index(list)
	if err != nil {
		t.Fatal(err)
	}
	return byName
}

// must makes a call that succeeds.
func must(t *testing.T, tool tools.Tool, arguments string) tools.Result {
	t.Helper()
	r, err := tool.Call(t.Context(), tools.Call{Key: "k", Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool.Name(), err)
	}
	return r
}

// everything is a server-everything over HTTP.
type everything struct {
	t    *testing.T
	port int
	cmd  *exec.Cmd
	wg   sync.WaitGroup
}

// serveEverything starts one on a port that was free.
func serveEverything(t *testing.T) *everything {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &everything{t: t, port: l.Addr().(*net.TCPAddr).Port}
	_ = l.Close()
	e.start()
	t.Cleanup(e.kill)
	return e
}

func (e *everything) start() {
	e.t.Helper()
	node, script := nodeparts.Find(e.t, "@modelcontextprotocol/server-everything/dist/index.js")
	e.cmd = exec.Command(node, script, "streamableHttp")
	e.cmd.Env = append(e.cmd.Environ(), fmt.Sprintf("PORT=%d", e.port))
	stderr, err := e.cmd.StderrPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	ready := make(chan bool, 1)
	e.wg.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), "listening on port") {
				ready <- true
			}
		}
		close(ready)
	})
	if !<-ready {
		e.t.Fatal("server-everything did not start")
	}
}

// kill ends it without a word.
func (e *everything) kill() {
	_ = e.cmd.Process.Kill()
	e.wg.Wait()
	_ = e.cmd.Wait()
}

func (e *everything) transport() HTTPServer {
	return HTTP(fmt.Sprintf("http://127.0.0.1:%d/mcp", e.port), nil)
}

// TestEverything uses the reference server that has all there is, both ways.
func TestEverything(t *testing.T) {
	t.Run("stdio", func(t *testing.T) { testEverything(t, reference(t, "everything", "stdio")) })
	t.Run("http", func(t *testing.T) { testEverything(t, serveEverything(t).transport()) })
}

func testEverything(t *testing.T, via Transport) {
	var mu sync.Mutex
	var progress []Progress
	s := open(t, via, Options{OnProgress: func(_ context.Context, p Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress = append(progress, p)
	}})
	byName := index(t, s)
	if skipped := s.Skipped(); len(skipped) > 0 {
		t.Errorf("skipped: %v", skipped)
	}
	for name, tool := range byName {
		if tool.Effect() != tools.EffectUnsafe {
			t.Errorf("%s is %s, though nobody trusts the server", name, tool.Effect())
		}
	}
	if got := must(t, byName["echo"], `{"message":"grüß <dich>"}`); got.Content != "Echo: grüß <dich>" || got.IsError {
		t.Errorf("echo: %+v", got)
	}
	if got := must(t, byName["get-sum"], `{"a":2,"b":40}`); !strings.Contains(got.Content, "42") {
		t.Errorf("sum: %+v", got)
	}
	if _, err := byName["get-sum"].Call(t.Context(), tools.Call{Arguments: `{"a":"x"}`}); !errors.As(err, new(*tools.ArgumentError)) {
		t.Errorf("wrong arguments: %v, want an ArgumentError", err)
	}
	if got := must(t, byName["get-tiny-image"], `{}`); len(got.Images) != 1 || got.Images[0].MediaType != "image/png" || !strings.HasPrefix(string(got.Images[0].Data), "\x89PNG") {
		t.Errorf("image: %.200q, %d images", got.Content, len(got.Images))
	}
	got := must(t, byName["get-structured-content"], `{"location":"Chicago"}`)
	if strings.Count(got.Content, "temperature") != 1 {
		t.Errorf("structured content, want it once: %s", got.Content)
	}
	if got := must(t, byName["get-resource-links"], `{"count":2}`); strings.Count(got.Content, "[resource ") != 2 {
		t.Errorf("links: %s", got.Content)
	}
	if got := must(t, byName["get-resource-reference"], `{"resourceType":"Text","resourceId":1}`); !strings.Contains(got.Content, "[resource demo://") || !strings.Contains(got.Content, "Resource 1") {
		t.Errorf("resource: %s", got.Content)
	}
	must(t, byName["trigger-long-running-operation"], `{"duration":0.3,"steps":3}`)
	mu.Lock()
	defer mu.Unlock()
	if len(progress) == 0 || progress[0].Tool != "trigger-long-running-operation" || !strings.HasSuffix(progress[0].String(), " of 3") {
		t.Errorf("progress: %+v", progress)
	}
}

// TestTrust believes the server, but not against what the program says.
func TestTrust(t *testing.T) {
	s := open(t, reference(t, "everything", "stdio"), Options{
		Prefix: "x_", TrustAnnotations: true,
		Effects:   map[string]tools.Effect{"get-sum": tools.EffectUnsafe, "gone": tools.EffectPure},
		Approvals: map[string]tools.Approval{"get-env": {Question: "Show the environment?"}, "*": {By: []string{"ops"}}},
	})
	byName := index(t, s)
	if e := byName["x_echo"].Effect(); e != tools.EffectPure {
		t.Errorf("echo is %s", e)
	}
	if e := byName["x_get-sum"].Effect(); e != tools.EffectUnsafe {
		t.Errorf("get-sum is %s", e)
	}
	if a := byName["x_get-env"].Approval(); a == nil || a.Question == "" {
		t.Errorf("approval of get-env: %v", a)
	}
	if a := byName["x_echo"].Approval(); a == nil || len(a.By) != 1 {
		t.Errorf("approval of the others: %v", a)
	}
	if sk := s.Skipped(); len(sk) != 1 || sk[0].Tool != "gone" {
		t.Errorf("skipped: %v", sk)
	}
	if name, ok := s.RemoteName("x_echo"); !ok || name != "echo" {
		t.Errorf("remote name %q", name)
	}
}

// TestEnvironment keeps the program's keys from the server.
func TestEnvironment(t *testing.T) {
	t.Setenv("SOME_API_KEY", "sk-program")
	via := reference(t, "everything", "stdio")
	via.Env = []string{"FOR_SERVER=sk-server"}
	got := must(t, index(t, open(t, via, Options{Only: []string{"get-env"}}))["get-env"], ``)
	if strings.Contains(got.Content, "sk-program") || !strings.Contains(got.Content, "sk-server") || !strings.Contains(got.Content, `"PATH"`) {
		t.Errorf("the server's environment: %s", got.Content)
	}
}

// TestFilesystem reads and writes files through the reference server.
func TestFilesystem(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, reference(t, "filesystem", dir), Options{Only: []string{"write_file", "read_text_file"}})
	byName := index(t, s)
	if len(byName) != 2 {
		t.Errorf("%d tools, want the two that were asked for", len(byName))
	}
	path := filepath.Join(dir, "a.txt")
	must(t, byName["write_file"], fmt.Sprintf(`{"path":%q,"content":"hello"}`, path))
	if got := must(t, byName["read_text_file"], fmt.Sprintf(`{"path":%q}`, path)); got.Content != "hello" && !strings.HasPrefix(got.Content, "hello\n") {
		t.Errorf("read: %q", got.Content)
	}
	got := must(t, byName["read_text_file"], `{"path":"/etc/passwd"}`)
	if !got.IsError || !strings.Contains(got.Content, "denied") {
		t.Errorf("outside: %+v, want an error for the model", got)
	}
}

// TestMemory has a server that keeps something.
func TestMemory(t *testing.T) {
	via := reference(t, "memory")
	via.Env = []string{"MEMORY_FILE_PATH=" + filepath.Join(t.TempDir(), "memory.jsonl")}
	s := open(t, via, Options{})
	byName := index(t, s)
	must(t, byName["create_entities"], `{"entities":[{"name":"Oslo","entityType":"city","observations":["rainy"]}]}`)
	if got := must(t, byName["read_graph"], ``); !strings.Contains(got.Content, "rainy") || strings.Count(got.Content, "Oslo") != 1 {
		t.Errorf("graph: %s", got.Content)
	}
}

// spy is a transport that shows its processes.
type spy struct {
	StdioServer
	pid chan int // of the newest
}

func newSpy(via StdioServer) *spy { return &spy{via, make(chan int, 1)} }

func (p *spy) dial(s *Server) (sdk.Transport, func(), error) {
	t, end, err := p.StdioServer.dial(s)
	if err == nil {
		select {
		case <-p.pid:
		default:
		}
		p.pid <- t.(piped).Reader.(*child).cmd.Process.Pid
	}
	return t, end, err
}

// TestKill kills the server's process in the middle of a call.
func TestKill(t *testing.T) {
	for _, effect := range []tools.Effect{tools.EffectUnsafe, tools.EffectPure, tools.EffectIdempotent} {
		t.Run(effect.String(), func(t *testing.T) {
			via := newSpy(reference(t, "everything", "stdio"))
			var once sync.Once
			s := open(t, via, Options{
				Effects: map[string]tools.Effect{"trigger-long-running-operation": effect},
				OnProgress: func(context.Context, Progress) {
					once.Do(func() {
						if err := syscall.Kill(<-via.pid, syscall.SIGKILL); err != nil {
							t.Error(err)
						}
					})
				},
			})
			byName := index(t, s)
			arguments := `{"duration":60,"steps":600}` // it will not come to its end
			if effect.Repeatable() {
				arguments = `{"duration":0.4,"steps":4}`
			}
			got, err := byName["trigger-long-running-operation"].Call(t.Context(), tools.Call{Key: "k7", Arguments: arguments})
			unknown, isUnknown := errors.AsType[*tools.UnknownOutcomeError](err)
			switch {
			case effect.Repeatable() && (err != nil || !strings.Contains(got.Content, "completed")):
				t.Errorf("%+v, %v, want it done by another process", got, err)
			case !effect.Repeatable() && (!isUnknown || unknown.Key != "k7"):
				t.Errorf("%+v, %v, want an unknown outcome", got, err)
			}
			if got := must(t, byName["echo"], `{"message":"again"}`); got.Content != "Echo: again" {
				t.Errorf("after it: %+v", got)
			}
		})
	}
}

// TestRestart restarts a server over HTTP, which forgets its sessions.
func TestRestart(t *testing.T) {
	e := serveEverything(t)
	began := make(chan struct{}, 1)
	s := open(t, e.transport(), Options{OnProgress: func(context.Context, Progress) {
		select {
		case began <- struct{}{}:
		default:
		}
	}})
	byName := index(t, s)
	must(t, byName["echo"], `{"message":"first"}`)
	e.kill()
	e.start()
	// Unsafe, and yet made: the server turns away what comes in a session that it does not know.
	if got := must(t, byName["echo"], `{"message":"second"}`); got.Content != "Echo: second" {
		t.Errorf("after the restart: %+v", got)
	}
	if got := index(t, s); len(got) != len(byName) {
		t.Errorf("%d tools, then %d", len(byName), len(got))
	}

	failed := make(chan error, 1)
	go func() {
		_, err := byName["trigger-long-running-operation"].Call(t.Context(), tools.Call{Key: "k", Arguments: `{"duration":60,"steps":600}`})
		failed <- err
	}()
	<-began
	e.kill()
	e.start()
	if err := <-failed; !errors.As(err, new(*tools.UnknownOutcomeError)) {
		t.Errorf("cut off: %v, want an unknown outcome", err)
	}
	must(t, byName["echo"], `{"message":"third"}`)
}
