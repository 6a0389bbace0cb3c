package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// A page of somebody else's, whose name was made to point here, gets nothing.
func TestHosts(t *testing.T) {
	known := newSite(t, func(o *dashboard.Options) { o.Hosts = []string{"runs.example"} })
	plain := newSite(t, nil)
	at := func(s *site, host, local string) int {
		r := httptest.NewRequest("GET", "/api/v1/hubs", nil)
		r.Host = host
		if local != "" {
			addr, err := net.ResolveTCPAddr("tcp", local)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(addr)))
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	for _, test := range []struct {
		site  *site
		host  string
		local string
		want  int
	}{
		{plain, "localhost", "", 200},
		{plain, "LOCALHOST:8082", "127.0.0.1:8082", 200},
		{plain, "127.0.0.1:8082", "127.0.0.1:8082", 200},
		{plain, "127.8.8.8", "127.8.8.8:80", 200},
		{plain, "[::1]:8082", "[::1]:8082", 200},
		{plain, "[::1]", "[::1]:8082", 200},
		{plain, "[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:8082", 200},
		{plain, "evil.example", "", 403},
		{plain, "evil.example:8082", "127.0.0.1:8082", 403},
		{plain, "localhost.evil.example", "127.0.0.1:8082", 403},
		{plain, "evil.example", "[::ffff:127.0.0.1]:8082", 403},
		{plain, "127.0.0.1.evil.example", "127.0.0.1:8082", 403},
		{plain, "0.0.0.0:8082", "127.0.0.1:8082", 403},
		{plain, "10.0.0.7", "127.0.0.1:8082", 403},
		{plain, "", "127.0.0.1:8082", 403},
		{plain, "runs.example", "127.0.0.1:8082", 403},
		{known, "runs.example", "127.0.0.1:8082", 200},
		{known, "Runs.Example:443", "127.0.0.1:8082", 200},
		{known, "localhost", "127.0.0.1:8082", 200},
		{known, "evil.example", "127.0.0.1:8082", 403},
		// Where others can come in, tokens keep them out; names only if they are known.
		{plain, "runs.example", "10.0.0.7:8082", 200},
		{plain, "10.0.0.7:8082", "10.0.0.7:8082", 200},
		{known, "runs.example", "10.0.0.7:8082", 200},
		{known, "evil.example", "10.0.0.7:8082", 403},
	} {
		if got := at(test.site, test.host, test.local); got != test.want {
			t.Errorf("%q at %q: %d, want %d", test.host, test.local, got, test.want)
		}
	}
	if got := plain.refused("GET", "/api/v1/hubs", "", 403, "host", "Host", "evil.example"); !strings.Contains(got, "open it as localhost") {
		t.Error(got)
	}
	if w := plain.do("GET", "/hubs/default/runs", "", "Host", "evil.example"); w.Code != 403 || strings.Contains(w.Body.String(), "/hubs/default") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What a page of another site sends does nothing.
func TestCrossOrigin(t *testing.T) {
	s := newSite(t, nil)
	s.start("wait", "w", "go")
	s.until("w", history.Running)
	a := s.asked("r", agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
	form := "application/x-www-form-urlencoded"
	for _, test := range []struct{ header, value string }{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://localhost:1"},
	} {
		s.refused("POST", "/api/v1/hubs/default/instances/w/terminate", `{}`, 403, "cross_origin", test.header, test.value)
		s.refused("DELETE", "/api/v1/hubs/default/instances/w", ``, 403, "cross_origin", test.header, test.value)
		if w := s.do("POST", "/hubs/default/inbox/"+a.ID, "decision=approve", "Content-Type", form, test.header, test.value); w.Code != 403 || !strings.Contains(w.Body.String(), "another site") {
			t.Errorf("%s %s: %d %s", test.header, test.value, w.Code, w.Body)
		}
	}
	if list, err := agents.Inbox(t.Context(), s.client, "", true); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	if st, err := s.client.Get(t.Context(), "w"); err != nil || st.Status != history.Running {
		t.Error(st, err)
	}
	if w := s.do("POST", "/hubs/default/inbox/"+a.ID, "decision=approve", "Content-Type", form, "Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8082"); w.Code != http.StatusSeeOther {
		t.Errorf("the page's own form: %d %s", w.Code, w.Body)
	}
}

// Every answer keeps browsers from making more of it than it is.
func TestHeaders(t *testing.T) {
	s := newSite(t, nil)
	s.run("echo", "e", "x")
	for _, target := range []string{
		"/", "/hubs", "/hubs/default/runs", "/hubs/default/runs/e", "/hubs/default/inbox", "/hubs/default/value?id=e&of=output", "/nothing", "/hubs/nothing/runs",
		"/healthz", "/readyz", "/api/v1/hubs", "/api/v1/hubs/default/instances/e", "/api/nothing", "/assets/nothing",
	} {
		head := s.do("GET", target, "").Header()
		for key, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := head.Get(key); got != want {
				t.Errorf("%s: %s is %q", target, key, got)
			}
		}
		policy := head.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", target, policy)
		}
	}
	style := s.do("GET", "/assets/style.css", "")
	if style.Code != 200 || style.Header().Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(style.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("style: %d %v", style.Code, style.Header())
	}
	if w := s.do("GET", "/assets/runs.html", ""); w.Code != 404 {
		t.Errorf("a template is given away: %d", w.Code)
	}
}

// Roles are asked for before anything is told, also whether there is such a hub.
func TestAuthorize(t *testing.T) {
	var asked []string
	s := newSite(t, func(o *dashboard.Options) {
		hubs := o.Hubs.(dashboard.Clients)
		hubs["secret"] = hubs["default"]
		o.Authorize = func(r *http.Request, hub string, role dashboard.Role) error {
			asked = append(asked, hub+" "+string(role))
			_, token, basic := r.BasicAuth()
			if !basic {
				token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			}
			switch {
			case token == "":
				return fmt.Errorf("%w: send a token, which agentrun token create makes", dashboard.ErrUnauthenticated)
			case token != string(role) && token != "operator" || hub != "default":
				return fmt.Errorf("%w: this needs the role %s of the hub %s", dashboard.ErrForbidden, role, hub)
			}
			return nil
		}
		o.Identify = func(r *http.Request) string { user, _, _ := r.BasicAuth(); return user }
	})
	a := s.asked("r", agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
	api := "/api/v1/hubs/default/instances"
	if got := s.refused("GET", api, "", 401, "unauthenticated"); !strings.Contains(got, "agentrun token create") {
		t.Error(got)
	}
	if got := s.do("GET", api, "").Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
		t.Errorf("challenge %q", got)
	}
	if got := s.do("GET", "/hubs/default/runs", ""); got.Code != 401 || !strings.HasPrefix(got.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%d, challenge %q", got.Code, got.Header())
	}
	reader := []string{"Authorization", "Bearer reader"}
	if w := s.do("GET", api, "", reader...); w.Code != 200 {
		t.Errorf("a reader reads: %d %s", w.Code, w.Body)
	}
	for _, target := range []string{"/r/events", "/r/terminate", "/r/suspend", "/r/resume", "/r/restart", "/r/rewind", "/r/purge"} {
		if got := s.refused("POST", api+target, `{}`, 403, "forbidden", reader...); !strings.Contains(got, "role operator") {
			t.Errorf("%s: %s", target, got)
		}
	}
	s.refused("DELETE", api+"/r", ``, 403, "forbidden", reader...)
	s.refused("POST", "/api/v1/hubs/default/inbox/"+a.ID+"/decide", `{"decision":"approve"}`, 403, "forbidden", reader...)
	for _, hub := range []string{"secret", "nothing"} { // which of them there is stays untold
		s.refused("GET", "/api/v1/hubs/"+hub+"/instances", ``, 403, "forbidden", reader...)
	}
	if w := s.do("GET", "/api/v1/hubs", "", reader...); strings.TrimSpace(w.Body.String()) != `{"hubs":[{"name":"default"}]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.refused("GET", "/api/v1/hubs", "", 401, "unauthenticated")
	// Who decides is whom the server knows, and nobody may say otherwise.
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("ada", "operator")
	ada := []string{"Authorization", r.Header.Get("Authorization")}
	s.refused("POST", "/api/v1/hubs/default/inbox/"+a.ID+"/decide", `{"decision":"approve","by":"grace"}`, 400, "invalid", ada...)
	if page := s.do("GET", "/hubs/default/inbox", "", ada...).Body.String(); strings.Contains(page, `name="by"`) {
		t.Error("the page asks for a name")
	}
	if w := s.do("POST", "/api/v1/hubs/default/inbox/"+a.ID+"/decide", `{"decision":"approve"}`, ada...); w.Code != 200 || !strings.Contains(w.Body.String(), `"by":"ada"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(asked) < 15 {
		t.Errorf("it was asked %q", asked)
	}
}

func TestHealth(t *testing.T) {
	var ready error
	s := newSite(t, func(o *dashboard.Options) {
		o.Ready = func(context.Context) error { return ready }
		o.Authorize = func(*http.Request, string, dashboard.Role) error { return dashboard.ErrUnauthenticated }
	})
	check := func(target string, status int, text string, headers ...string) {
		t.Helper()
		if w := s.do("GET", target, "", headers...); w.Code != status || w.Body.String() != text {
			t.Errorf("%s: %d %q", target, w.Code, w.Body)
		}
	}
	probe := []string{"Host", "10.1.2.3:8082"}
	check("/healthz", 200, "ok\n", probe...)
	check("/readyz", 200, "ready\n", probe...)
	ready = errors.New("the disk is full")
	check("/healthz", 200, "ok\n")
	check("/readyz", 503, "not ready: the disk is full\n")
	check("/readyz", 503, "not ready\n", probe...)
}
