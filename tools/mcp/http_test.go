package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// serving is an HTTP server of the protocol's Go library, with the tools that a test adds.
func serving(t *testing.T, around func(http.Handler) http.Handler) (*sdk.Server, string) {
	server := sdk.NewServer(&sdk.Implementation{Name: "go", Version: "1"}, nil)
	var h http.Handler = sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	if around != nil {
		h = around(h)
	}
	endpoint := httptest.NewServer(h)
	t.Cleanup(func() {
		endpoint.Close()
		for session := range server.Sessions() { // whose clients could not say goodbye
			_ = session.Close()
		}
	})
	return server, endpoint.URL
}

// offer adds a tool.
func offer(s *sdk.Server, name string, fn func(ctx context.Context, r *sdk.CallToolRequest) string) {
	s.AddTool(&sdk.Tool{Name: name, InputSchema: map[string]any{"type": "object"}}, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fn(ctx, r)}}}, nil
	})
}

// TestListChanges follows a server whose tools come and go, and asks it no more often than that.
func TestListChanges(t *testing.T) {
	var asked atomic.Int32
	server, url := serving(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if strings.Contains(string(body), `"tools/list"`) {
				asked.Add(1)
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			h.ServeHTTP(w, r)
		})
	})
	offer(server, "a", func(context.Context, *sdk.CallToolRequest) string { return "a" })
	s := open(t, HTTP(url, nil), Options{})
	first := index(t, s)
	if index(t, s); len(first) != 1 || asked.Load() != 1 {
		t.Errorf("%d tools, asked %d times", len(first), asked.Load())
	}
	offer(server, "b", func(context.Context, *sdk.CallToolRequest) string { return "b" })
	for len(index(t, s)) != 2 {
		// The server's word is on its way.
	}
	server.RemoveTools("a")
	for len(index(t, s)) != 1 {
	}
	if _, err := first["a"].Call(t.Context(), tools.Call{Key: "k"}); err == nil || errors.As(err, new(*tools.UnknownOutcomeError)) {
		t.Errorf("a tool that was removed: %v, want an answer", err)
	}
}

// TestListAge keeps a list for a while, but not for long.
func TestListAge(t *testing.T) {
	c := &session{}
	now := &listed{from: c, at: time.Now()}
	for _, tt := range []struct {
		age      time.Duration
		announce bool
		calls    int32
		stale    bool
		want     bool
	}{
		{0, false, 0, false, true},
		{0, true, 0, true, false},
		{quietAge, false, 0, false, false},
		{quietAge, true, 0, false, true},
		{quietAge, false, 1, false, true},
		{listAge, true, 1, false, false},
	} {
		c.announce = tt.announce
		c.stale.Store(tt.stale)
		c.calls.Store(tt.calls)
		if l := (&listed{from: c, at: now.at.Add(-tt.age)}); l.good(c) != tt.want {
			t.Errorf("%+v: %v", tt, !tt.want)
		}
	}
	if now.good(&session{}) || (*listed)(nil).good(c) {
		t.Error("a list of another session is good")
	}
}

// TestKey hands the idempotency key on.
func TestKey(t *testing.T) {
	server, url := serving(t, nil)
	offer(server, "key", func(_ context.Context, r *sdk.CallToolRequest) string { return fmt.Sprint(r.Params.Meta[KeyMeta]) })
	if got := must(t, index(t, open(t, HTTP(url, nil), Options{}))["key"], ""); got.Content != "k" {
		t.Errorf("the server was told %q", got.Content)
	}
}

// TestCancelHTTP ends a call for which the run has no more use: the server hears of it.
func TestCancelHTTP(t *testing.T) {
	server, url := serving(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan error, 1)
	offer(server, "slow", func(ctx context.Context, _ *sdk.CallToolRequest) string {
		cancel()
		<-ctx.Done()
		heard <- ctx.Err()
		return ""
	})
	s := open(t, HTTP(url, nil), Options{Effects: map[string]tools.Effect{"slow": tools.EffectPure}})
	_, err := index(t, s)["slow"].Call(ctx, tools.Call{Key: "k"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if err := <-heard; !errors.Is(err, context.Canceled) {
		t.Errorf("the server heard %v", err)
	}
}

// TestSecrets looks for a key where it must not be.
func TestSecrets(t *testing.T) {
	const key = "sk-0123456789"
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(fmt.Sprint(r.Header), key) {
			stolen.Store(true)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer thief.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"echoed": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("X-Key"), http.StatusBadRequest)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		},
		"dropped": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"long": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 64 {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Bool
			endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Key") == key {
					sent.Store(true)
				}
				answer(w, r)
			}))
			defer endpoint.Close()
			s := open(t, HTTP(endpoint.URL+"/mcp?token="+key, map[string]string{"X-Key": key}), Options{MaxMessage: 1 << 20})
			_, err := s.Tools(t.Context())
			if err == nil || strings.Contains(err.Error(), key) || !sent.Load() {
				t.Errorf("error %v, header sent %v", err, sent.Load())
			}
		})
	}
	if stolen.Load() {
		t.Error("the key went to another host")
	}
	via := HTTP("https://user:"+key+"@host/mcp?token="+key, map[string]string{"X-Key": key})
	if got := fmt.Sprintf("%v %+v %s", via, via, Stdio("x", key)); got != "https://host/mcp https://host/mcp stdio:x" {
		t.Errorf("printed: %s", got)
	}
	if _, err := Open("x", HTTP("ftp://user:"+key+"@host/", nil), Options{}); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("%v", err)
	}
}

// TestStatus calls a tool through something that answers for the server.
func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		code    int
		unknown bool
	}{{401, false}, {413, false}, {429, false}, {500, true}, {503, true}} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			var broken atomic.Bool
			server, url := serving(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if broken.Load() && r.Method == http.MethodPost {
						w.WriteHeader(tt.code)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			var calls atomic.Int32
			offer(server, "t", func(context.Context, *sdk.CallToolRequest) string { calls.Add(1); return "ok" })
			tool := index(t, open(t, HTTP(url, nil), Options{}))["t"]
			broken.Store(true)
			_, err := tool.Call(t.Context(), tools.Call{Key: "k"})
			if unknown := errors.As(err, new(*tools.UnknownOutcomeError)); err == nil || unknown != tt.unknown {
				t.Errorf("%v, want an unknown outcome: %v", err, tt.unknown)
			}
			broken.Store(false)
			if must(t, tool, ""); calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
		})
	}
}

// TestDown calls a tool of a server that is not there, which nobody can have called.
func TestDown(t *testing.T) {
	server, url := serving(t, nil)
	offer(server, "t", func(context.Context, *sdk.CallToolRequest) string { return "ok" })
	via := HTTP(url, nil)
	to := &switchable{}
	via.Client = &http.Client{Transport: to}
	tool := index(t, open(t, via, Options{}))["t"]
	to.down.Store(true)
	if _, err := tool.Call(t.Context(), tools.Call{Key: "k"}); err == nil || errors.As(err, new(*tools.UnknownOutcomeError)) {
		t.Errorf("%v, want a plain error", err)
	}
	to.down.Store(false)
	must(t, tool, "")
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// switchable is a network that can be off.
type switchable struct{ down atomic.Bool }

func (s *switchable) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.down.Load() {
		return nil, errors.New("network is unreachable")
	}
	return http.DefaultTransport.RoundTrip(r)
}
