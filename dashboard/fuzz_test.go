package dashboard_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable"
)

// FuzzRequest sends whatever HTTP can carry: no request makes the dashboard panic, blame itself, or
// answer the API in another form than JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, target, kind, body string }{
		{"GET", "/", "", ""}, {"GET", "//hubs/../api", "", ""}, {"GET", "/hubs/default/runs?status=running&tag=a%3Db&token=n1&createdFrom=2020-01-01", "", ""},
		{"GET", "/hubs/default/runs/f?from=1&execution=x", "", ""}, {"GET", "/hubs/default/value?id=f&event=1&of=data", "", ""}, {"GET", "/hubs/default/inbox?all=true&decided=x&token=1.x", "", ""},
		{"POST", "/hubs/default/inbox/x", formType, "decision=approve&arguments=%7B%7D&by=a"}, {"GET", "/api/v1/hubs/default/instances?limit=1&order=oldest&token=o1", "", ""},
		{"GET", "/api/v1/hubs/default/instances/f/history?from=2&limit=1", "", ""}, {"DELETE", "/api/v1/hubs/default/instances/%2E%2E?recursive=true", "", ""},
		{"POST", "/api/v1/hubs/default/instances/w/events", "application/json", `{"name":"x","data":{"a":[1]}}`}, {"POST", "/api/v1/hubs/default/instances/@a@b/suspend", "application/json", `{}`},
		{"POST", "/api/v1/hubs/default/inbox/x/decide", "application/json; charset=utf-8", `{"decision":"reject","nonce":"\u0000"}`}, {"OPTIONS", "*", "", ""}, {"HEAD", "/assets/style.css", "", ""},
		{"POST", "/api/v1/hubs/default/instances/f/rewind", "application/json", `{"reason":"\ud800"}`}, {"POST", "/api/v1/hubs/default/instances/f/restart", "application/json", `{"newId":true}`},
	} {
		f.Add(seed.method, seed.target, seed.kind, seed.body)
	}
	rt, err := durable.OpenWith(f.Context(), "memory:", durable.Options{Logger: quiet}, program...)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := rt.Close(); err != nil {
			f.Error(err)
		}
	})
	c := rt.Client()
	if _, err := fail.Run(f.Context(), c, "x", durable.WithInstanceID("f")); err == nil {
		f.Fatal("it did not fail")
	}
	for name, in := range map[string]any{"wait": "never", "ask": agents.Request{Kind: agents.KindQuestion, Question: "?"}} {
		if _, err := c.Schedule(f.Context(), name, in, durable.WithInstanceID(name[:1])); err != nil {
			f.Fatal(err)
		}
	}
	h := dashboard.New(dashboard.Options{Hubs: dashboard.Clients{"default": c}, Logger: quiet})
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", method, target, kind, len(body), body)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(t.Context()))
		answer := w.Body.String()
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, answer)
		}
		media := w.Header().Get("Content-Type")
		if strings.Contains(media, "json") && answer != "" && !json.Valid([]byte(answer)) {
			t.Errorf("no JSON: %s", answer)
		}
		if strings.HasPrefix(r.URL.Path, "/api/") && answer != "" && !strings.HasSuffix(media, "json") && w.Code < 300 {
			t.Errorf("%s is %s", r.URL.Path, media)
		}
		if strings.HasPrefix(media, "text/html") && !utf8.ValidString(answer) {
			t.Errorf("no UTF-8: %q", answer)
		}
	})
}
