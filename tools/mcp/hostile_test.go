package mcp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// TestBounds lists the tools of servers that go on and on.
func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		role string
		o    Options
		want string
	}{
		{"endless", Options{MaxTools: 20}, "lists more than 20 tools"},
		{"circle", Options{}, "does not end after 2 pages"},
		{"many", Options{}, "lists more than 1000 tools"},
		{"large", Options{MaxMessage: 1 << 20}, "exceeded the configured maximum"},
		{"silent", Options{ListTimeout: 50 * time.Millisecond}, "deadline exceeded"},
		{"hang", Options{ConnectTimeout: 400 * time.Millisecond}, "deadline exceeded"},
		{"garbage", Options{}, "invalid character"},
	} {
		t.Run(tt.role, func(t *testing.T) {
			via := as(t, tt.role)
			via.Grace = 50 * time.Millisecond
			s := open(t, via, tt.o)
			list, err := s.Tools(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "MCP server test: ") {
				t.Errorf("%d tools, %v, want an error with %q", len(list), err, tt.want)
			}
		})
	}
	s := open(t, as(t, "many"), Options{MaxTools: 3000})
	if list, err := s.Tools(t.Context()); err != nil || len(list) != 3000 {
		t.Errorf("%d tools, %v, want all 3000", len(list), err)
	}
}

// TestHugeResult has an answer that is too long: the tool did what it does.
func TestHugeResult(t *testing.T) {
	via := as(t, "huge")
	file := filepath.Join(t.TempDir(), "calls")
	via.Env = append(via.Env, fileEnv+"="+file)
	s := open(t, via, Options{MaxMessage: 1 << 20})
	_, err := index(t, s)["t"].Call(t.Context(), tools.Call{Key: "k"})
	if !errors.As(err, new(*tools.UnknownOutcomeError)) || !strings.Contains(err.Error(), "exceeded the configured maximum") {
		t.Errorf("%v, want an unknown outcome and why", err)
	}
	if got := lines(t, file); len(got) != 1 {
		t.Errorf("it was called %d times", len(got))
	}
	s = open(t, via, Options{MaxResult: 1000})
	if got := must(t, index(t, s)["t"], ""); len(got.Content) > 1100 || !strings.Contains(got.Content, "truncated") {
		t.Errorf("%d bytes are shown", len(got.Content))
	}
}

// lines reads what a server has noted.
func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// TestMortal counts the calls of a server that dies of each.
func TestMortal(t *testing.T) {
	for effect, want := range map[tools.Effect]int{tools.EffectUnsafe: 1, tools.EffectPure: tries, tools.EffectIdempotent: tries} {
		t.Run(effect.String(), func(t *testing.T) {
			via := as(t, "mortal")
			file := filepath.Join(t.TempDir(), "calls")
			via.Env = append(via.Env, fileEnv+"="+file)
			s := open(t, via, Options{Effects: map[string]tools.Effect{"t": effect}})
			_, err := index(t, s)["t"].Call(t.Context(), tools.Call{Key: "k"})
			if unknown := errors.As(err, new(*tools.UnknownOutcomeError)); err == nil || unknown == effect.Repeatable() {
				t.Errorf("%v", err)
			}
			if got := lines(t, file); len(got) != want {
				t.Errorf("it was called %d times, want %d", len(got), want)
			}
		})
	}
}

// TestStart names what a server said that does not start, without what it was told in confidence.
func TestStart(t *testing.T) {
	via := as(t, "crash")
	file := filepath.Join(t.TempDir(), "starts")
	via.Env = append(via.Env, fileEnv+"="+file, "PASSWORD=hunter22")
	s := open(t, via, Options{})
	_, err := s.Tools(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no config with password ***") {
		t.Errorf("%v", err)
	}
	if got := lines(t, file); len(got) != attempts {
		t.Errorf("it was started %d times, want %d", len(got), attempts)
	}
	if !strings.Contains(s.Stderr(), "reading\n") {
		t.Errorf("standard error: %q", s.Stderr())
	}
	s = open(t, Stdio(filepath.Join(t.TempDir(), "missing")), Options{})
	if _, err := s.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	// What is secret by its name only.
	const key = "sk-0123456789abcdef"
	t.Setenv("THEIR_API_KEY", key)
	for name, more := range map[string]StdioServer{
		"inherited": {InheritEnv: true},
		"flag":      {Args: []string{"--api-key", key}},
		"option":    {Args: []string{"--token=" + key}},
	} {
		via := as(t, "crash")
		via.Env = append(via.Env, fileEnv+"="+file)
		via.Args, via.InheritEnv = more.Args, more.InheritEnv
		_, err := open(t, via, Options{}).Tools(t.Context())
		if err == nil || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "***") {
			t.Errorf("%s: %v", name, err)
		}
	}
	via.Env = append(via.Env, "X="+key)
	if got := open(t, via, Options{}).clean(strings.Repeat("x", 290)+key, 300); strings.Contains(got, key[:4]) {
		t.Errorf("half of a key is left where a text was cut: %s", got)
	}
	if got := index(t, open(t, as(t, "strict"), Options{})); len(got) != 1 {
		t.Errorf("a server that knows the older greeting only: %v", got)
	}
}

// TestCancel cancels a call on the server when nobody waits for it any more.
func TestCancel(t *testing.T) {
	via := as(t, "silent")
	file := filepath.Join(t.TempDir(), "calls")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0) // both, so that nobody waits for anybody
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	via.Env = append(via.Env, fileEnv+"="+file)
	s := open(t, via, Options{CallTimeout: 30 * time.Millisecond})
	_, err = index(t, s)["t"].Call(t.Context(), tools.Call{Key: "k"})
	if !errors.As(err, new(*tools.UnknownOutcomeError)) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	got := make([]byte, 10)
	if n, err := f.Read(got); err != nil || string(got[:n]) != "cancelled\n" {
		t.Errorf("the server heard %q, %v", got[:n], err)
	}
}

// TestFlood has more reports than anybody reads, and a list that changes all the time.
func TestFlood(t *testing.T) {
	told := 0
	s := open(t, as(t, "flood"), Options{OnProgress: func(_ context.Context, p Progress) {
		if told++; p.Total != 3000 {
			t.Errorf("%+v", p)
		}
	}})
	if got := must(t, index(t, s)["t"], ""); got.Content != "done" || told == 0 || told > 3000 {
		t.Errorf("%+v, told %d times", got, told)
	}
}

// TestStubborn closes a server that does not want to end, and had a child.
func TestStubborn(t *testing.T) {
	via := newSpy(as(t, "stubborn"))
	via.Grace = 50 * time.Millisecond
	s := open(t, via, Options{})
	var child int
	if _, err := fmt.Sscan(must(t, index(t, s)["t"], "").Content, &child); err != nil {
		t.Fatal(err)
	}
	pid := <-via.pid
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server is there: %v", err)
	}
	// Its child was killed at the same time. Whoever is process 1 here may not reap it.
	for running(t, child) {
		runtime.Gosched()
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := s.Tools(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after it: %v", err)
	}
}

// running reports whether a process does anything still.
func running(t *testing.T, pid int) bool {
	t.Helper()
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(state), ") Z ") && !strings.Contains(string(state), ") X ")
}

// TestCloseInCall closes a server while calls are under way.
func TestCloseInCall(t *testing.T) {
	via := as(t, "silent")
	via.Env = append(via.Env, fileEnv+"="+filepath.Join(t.TempDir(), "calls"))
	s := open(t, via, Options{Effects: map[string]tools.Effect{}})
	tool := index(t, s)["t"]
	failed := make(chan error)
	go func() {
		_, err := tool.Call(t.Context(), tools.Call{Key: "k"})
		failed <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("%v", err)
	}
}

// TestCloseInConnect closes a server that has not said hello yet.
func TestCloseInConnect(t *testing.T) {
	via := newSpy(as(t, "hang"))
	s := open(t, via, Options{})
	failed := make(chan error)
	go func() {
		_, err := s.Tools(t.Context())
		failed <- err
	}()
	pid := <-via.pid
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server is there: %v", err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("%v", err)
	}
}

// TestResults shows a model what it can make of.
func TestResults(t *testing.T) {
	byName := index(t, open(t, as(t, "results"), Options{}))
	got := must(t, byName["kinds"], "")
	want := strings.Join([]string{
		`{"id": 9007199254740993, "ok": true}`, // as the server wrote it, and once
		"[audio, audio/wav, 3 bytes: not shown]",
		"[image of the type text/html: not shown]",
		"[resource file:///a.bin, application/zip, 3 bytes: not shown]",
		"[resource file:///a.png, image/png]",
		"[resource b: file:///b, another]",
	}, "\n")
	if got.Content != want || !got.IsError || len(got.Images) != 1 || got.Images[0].MediaType != "image/png" {
		t.Errorf("got\n%s\nwant\n%s\nerror %v, %d images", got.Content, want, got.IsError, len(got.Images))
	}
	for name, want := range map[string]string{"input": "asks the client for more input", "refuses": "no such order"} {
		if _, err := byName[name].Call(t.Context(), tools.Call{Key: "k"}); err == nil || !strings.Contains(err.Error(), want) || errors.As(err, new(*tools.UnknownOutcomeError)) {
			t.Errorf("%s: %v, want an answer with %q", name, err, want)
		}
	}
}

// TestOdd has answers that cannot be read: asking again does not help, and the server is as good as it was.
func TestOdd(t *testing.T) {
	for _, effect := range []tools.Effect{tools.EffectUnsafe, tools.EffectPure} {
		t.Run(effect.String(), func(t *testing.T) {
			via := as(t, "odd")
			file := filepath.Join(t.TempDir(), "calls")
			via.Env = append(via.Env, fileEnv+"="+file)
			byName := index(t, open(t, via, Options{Effects: map[string]tools.Effect{"t": effect}}))
			before := must(t, byName["pid"], "").Content
			_, err := byName["t"].Call(t.Context(), tools.Call{Key: "k"})
			if err == nil || !strings.Contains(err.Error(), "hologram") || errors.As(err, new(*tools.UnknownOutcomeError)) == effect.Repeatable() {
				t.Errorf("%v", err)
			}
			if got := lines(t, file); len(got) != 1 {
				t.Errorf("it was called %d times", len(got))
			}
			if after := must(t, byName["pid"], "").Content; after != before {
				t.Error("the server was started again")
			}
		})
	}
}

// schemas are what servers call so, and why they are refused ("": they are not).
var schemas = []struct{ name, schema, refused string }{
	{"none", `null`, "not a JSON object"},
	{"no-type", `{"properties":{"a":{"type":"string"}}}`, ""},
	{"draft7", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"type":"integer","minimum":1}}}`, ""},
	{"tree", `{"type":"object","$defs":{"node":{"type":"object","properties":{"left":{"$ref":"#/$defs/node"},"right":{"$ref":"#/$defs/node"}}}},"properties":{"root":{"$ref":"#/$defs/node"}}}`, ""},
	{"any-json", `{"type":"object","$defs":{"v":{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#/$defs/v"}},{"type":"object","additionalProperties":{"$ref":"#/$defs/v"}}]}},"additionalProperties":{"$ref":"#/$defs/v"}}`, ""},
	{"named-and-others", `{"type":"object","properties":{"a":{"$ref":"#"}},"additionalProperties":{"$ref":"#"}}`, ""},
	{"array", `{"type":"array"}`, `"type": "object"`},
	{"no-schema", `{"type":"object","properties":{"a":{"type":"strange"}}}`, "invalid schema"},
	{"pattern", `{"type":"object","properties":{"a":{"type":"string","pattern":"(?<=x)y"}}}`, "invalid schema"},
	{"elsewhere", `{"type":"object","properties":{"a":{"$ref":"https://example.com/s.json"}}}`, ""},
	{"elsewhere-now", `{"type":"object","$ref":"https://example.com/s.json"}`, "only places inside it"},
	{"nowhere", `{"type":"object","$ref":"#/$defs/x"}`, "there is nothing"},
	{"circle", `{"type":"object","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}`, "circle"},
	{"doubles", doubling(30), "take for ever"},
	{"doubles-deep", `{"type":"object","allOf":[{"properties":{"x":{"$ref":"#"}}},{"patternProperties":{"^x":{"$ref":"#"}}}]}`, "take for ever"},
	{"doubles-lists", `{"type":"object","properties":{"x":{"$ref":"#/$defs/l"}},"$defs":{"l":{"items":{"$ref":"#/$defs/l"},"contains":{"$ref":"#/$defs/l"}}}}`, "take for ever"},
	{"long", `{"type":"object","description":"` + strings.Repeat("x", maxSchema) + `"}`, "bytes, more than"},
	{"deep", `{"type":"object","not":` + strings.Repeat(`{"not":`, 400) + `{}` + strings.Repeat(`}`, 400) + `}`, ""},
}

// doubling has a definition that refers twice to the next, and so on.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString(`{"type":"object","$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	fmt.Fprintf(&b, `"d%d":{}}}`, n)
	return b.String()
}

// TestSchemas leaves out what cannot be used and says why, and takes the rest.
func TestSchemas(t *testing.T) {
	s := open(t, as(t, "schemas"), Options{Prefix: "p_"})
	byName := index(t, s)
	reasons := map[string]string{}
	for _, sk := range s.Skipped() {
		reasons[sk.Tool] = sk.Reason
	}
	for _, tt := range schemas {
		if tt.name == "elsewhere" {
			tt.refused = "only places inside it"
		}
		_, taken := byName["p_"+tt.name]
		switch reason := reasons[tt.name]; {
		case taken != (tt.refused == "") || taken != (reason == ""):
			t.Errorf("%s: taken %v, reason %q, want %q", tt.name, taken, reason, tt.refused)
		case !strings.Contains(reason, tt.refused) || len(reason) > 2000:
			t.Errorf("%s: %s, want %q", tt.name, reason, tt.refused)
		}
	}
	if reasons["same"] != "the server lists it twice" || reasons[""] == "" {
		t.Errorf("reasons: %v", reasons)
	}
	var odd []string
	for name := range byName {
		remote, ok := s.RemoteName(name)
		if !ok {
			t.Errorf("%s has no remote name", name)
		}
		if "p_"+remote != name {
			odd = append(odd, name+" "+remote)
		}
	}
	slices.Sort(odd)
	want := []string{"p_file_read___180ceae7 file/read ü", "p_" + strings.Repeat("m", 53) + "_d053228c " + strings.Repeat("m", 70)}
	if !slices.Equal(odd, want) { // they are in manifests of runs, and must never change
		t.Errorf("names: %q, want %q", odd, want)
	}
}

// TestBackoff grows, and ends to grow.
func TestBackoff(t *testing.T) {
	last := time.Duration(-1)
	for n := range 12 {
		d := backoff(n)
		if d < last || d > 15*time.Second {
			t.Errorf("after %d: %s, before it %s", n, d, last)
		}
		last = d
	}
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		for range 3 {
			s.ended(false)
		}
		began := time.Now()
		if err := s.rest(t.Context()); err != nil || time.Since(began) != backoff(3) {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		s.ended(true)
		began = time.Now()
		if err := s.rest(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("after a good one: %v after %s", err, time.Since(began))
		}
	})
}
