package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

var quiet = slog.New(slog.DiscardHandler)

// The program behind the dashboard under test.
var (
	echo = durable.NewOrchestration("echo", func(_ *durable.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	wait = durable.NewOrchestration("wait", func(ctx *durable.Context, name string) (json.RawMessage, error) {
		ctx.SetCustomStatus("waits for " + name)
		return durable.WaitForEvent[json.RawMessage](ctx, name).Await()
	})
	broken = durable.NewActivity("broken", func(_ context.Context, text string) (int, error) {
		return 0, durable.NonRetriable(errors.New(text))
	})
	fail = durable.NewOrchestration("fail", func(ctx *durable.Context, text string) (int, error) { return broken.Call(ctx, text) })
	// team starts a child for each id.
	team = durable.NewOrchestration("team", func(ctx *durable.Context, ids []string) (int, error) {
		for _, id := range ids {
			if _, err := echo.Call(ctx, json.RawMessage(`1`), durable.WithInstanceID(id)); err != nil {
				return 0, err
			}
		}
		return len(ids), nil
	})
	// loop continues as new until n is 0.
	loop = durable.NewOrchestration("loop", func(ctx *durable.Context, n int) (int, error) {
		if n > 0 {
			return 0, ctx.ContinueAsNew(n - 1)
		}
		return 0, nil
	})
	// ask makes a request of people.
	ask = durable.NewOrchestration("ask", func(ctx *durable.Context, req agents.Request) (agents.Status, error) {
		p, err := agents.Ask(ctx, req)
		if err != nil {
			return "", err
		}
		a, err := p.Await(ctx)
		return a.Status, err
	})
	program = []durable.Definition{echo, wait, broken, fail, team, loop, ask, agents.Approvals}
)

// site is a dashboard under test.
type site struct {
	*testing.T
	rt      *durable.Runtime
	client  *durable.Client
	handler http.Handler

	committed chan struct{} // told after a commit
}

func newSite(t *testing.T, change func(o *dashboard.Options)) *site {
	t.Helper()
	return siteOf(t, change, program...)
}

func siteOf(t *testing.T, change func(o *dashboard.Options), defs ...durable.Definition) *site {
	t.Helper()
	committed := make(chan struct{}, 1)
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet, OnCommit: func(uint64) {
		select {
		case committed <- struct{}{}:
		default:
		}
	}}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	o := dashboard.Options{Hubs: dashboard.Clients{"default": rt.Client()}, Program: "test 1", Logger: quiet}
	if change != nil {
		change(&o)
	}
	return &site{t, rt, rt.Client(), dashboard.New(o), committed}
}

// run starts an instance and waits for its end.
func (s *site) run(name, id string, in any) *durable.State {
	s.Helper()
	s.start(name, id, in)
	st, err := s.client.Wait(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return st
}

func (s *site) start(name, id string, in any) {
	s.Helper()
	if _, err := s.client.Schedule(s.Context(), name, in, durable.WithInstanceID(id)); err != nil {
		s.Fatal(err)
	}
}

// eventually waits for what a commit brings about.
func (s *site) eventually(what string, ok func() bool) {
	s.Helper()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-s.committed:
		case <-limit:
			s.Fatal("it never came: " + what)
		}
	}
}

// until waits for an instance to have a status.
func (s *site) until(id string, status history.Status) *durable.State {
	s.Helper()
	var st *durable.State
	s.eventually(id+" is "+status.String(), func() bool {
		var err error
		if st, err = s.client.Get(s.Context(), id); err != nil {
			s.Fatal(err)
		}
		return st.Status == status
	})
	return st
}

// asked starts a run that makes a request, and gives that.
func (s *site) asked(run string, req agents.Request) (a agents.Approval) {
	s.Helper()
	s.start("ask", run, req)
	s.eventually("a request of "+run, func() bool {
		list, err := agents.Inbox(s.Context(), s.client, run, true)
		if err != nil {
			s.Fatal(err)
		}
		if len(list) == 0 {
			return false
		}
		a = list[0]
		return true
	})
	return a
}

// do makes a request; headers are pairs. Its body is JSON unless a header says otherwise.
func (s *site) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	s.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://localhost:8082"+target, in)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// page gets a page that must be there.
func (s *site) page(target string) string {
	s.Helper()
	w := s.do("GET", target, "")
	if w.Code != http.StatusOK {
		s.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "text/html; charset=utf-8" {
		s.Errorf("GET %s is %s", target, kind)
	}
	return w.Body.String()
}

// api makes a request of the API that must work, and decodes its answer.
func (s *site) api(method, target, body string, out any) int {
	s.Helper()
	w := s.do(method, "/api/v1/hubs"+target, body)
	if w.Code >= 300 {
		s.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		s.Errorf("%s %s is %s", method, target, kind)
	}
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
		s.Fatalf("%s %s: %v in %s", method, target, err, w.Body)
	}
	return w.Code
}

// refused makes a request that must be refused with this status and code.
func (s *site) refused(method, target, body string, status int, code string, headers ...string) string {
	s.Helper()
	w := s.do(method, target, body, headers...)
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		s.Errorf("%s %s: %d, no problem: %s", method, target, w.Code, w.Body)
		return ""
	}
	if w.Code != status || p.Status != status || p.Code != code || p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Detail == "" {
		s.Errorf("%s %s: %d %+v, want %d %s", method, target, w.Code, p, status, code)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/problem+json" {
		s.Errorf("%s %s: the problem is %s", method, target, kind)
	}
	return p.Detail
}

// The parts of the API's answers that tests look at.
type (
	listed struct {
		ID, Name, Status, RuntimeStatus, Execution, Parent string
		Started                                            time.Time
		Ended                                              *time.Time
		Waiting                                            int
		Tags                                               map[string]string
	}
	instance struct {
		listed
		Input, Output, CustomStatus *string
		Failure                     *history.Failure
		Executions                  []string
		Children                    []listed
		MoreChildren                bool
	}
	list struct {
		Instances []listed
		Next      string
	}
	part struct {
		Instance, Execution string
		Events              []struct {
			Instance, Execution string
			Number              int
			Event               *history.Event
		}
		Next int
	}
	inbox struct {
		Requests []agents.Approval
		Next     string
	}
)

func ids(l list) (all []string) {
	for _, x := range l.Instances {
		all = append(all, x.ID)
	}
	return all
}

func escape(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

var href = regexp.MustCompile(`href="([^"]*)"`)

// hrefs are the links of a page.
func hrefs(page string) (list []string) {
	for _, m := range href.FindAllStringSubmatch(page, -1) {
		list = append(list, html.UnescapeString(m[1]))
	}
	return list
}
