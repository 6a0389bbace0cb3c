package dashboard_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

var deploy = agents.Request{Kind: agents.KindTool, Agent: "ops", Tool: "deploy", Question: "Deploy it?", Arguments: `{"version":"v2"}`}

const formType = "application/x-www-form-urlencoded"

func TestDecide(t *testing.T) {
	s := newSite(t, nil)
	a := s.asked("r", deploy)
	var box inbox
	s.api("GET", "/default/inbox", "", &box)
	if len(box.Requests) != 1 || box.Requests[0].ID != a.ID || box.Requests[0].Arguments != `{"version":"v2"}` {
		t.Fatalf("%+v", box)
	}
	var l list
	s.api("GET", "/default/instances", "", &l)
	if l.Instances[0].Status != "waiting" || l.Instances[0].Waiting != 1 {
		t.Errorf("%+v", l.Instances[0])
	}
	decide := "/default/inbox/" + a.ID + "/decide"
	body := `{"decision":"approve","comment":"The last good one.","arguments":{"version": "v1"},"by":"ada","nonce":"n1"}`
	var got agents.Approval
	for range 2 { // the second one is a retry of the first
		s.api("POST", decide, body, &got)
		if got.Status != agents.Approved || len(got.Decisions) != 1 {
			t.Fatalf("%+v", got)
		}
	}
	d := got.Decisions[0]
	if d.By != "ada" || d.From != "http" || d.Comment != "The last good one." || d.Arguments != `{"version":"v1"}` || d.At.IsZero() {
		t.Errorf("%+v", d)
	}
	if st := s.until("r", history.Completed); string(st.Output) != `"approved"` {
		t.Errorf("the run got %s", st.Output)
	}
	if got := s.refused("POST", "/api/v1/hubs"+decide, `{"decision":"reject"}`, 409, "not_counted"); !strings.Contains(got, "approved already, by ada") {
		t.Error(got)
	}
	s.api("GET", "/default/inbox", "", &box)
	if len(box.Requests) != 0 {
		t.Errorf("%+v", box)
	}
	box = inbox{}
	s.api("GET", "/default/inbox?all=true&run=r", "", &box)
	if len(box.Requests) != 1 || box.Requests[0].Status != agents.Approved {
		t.Errorf("%+v", box)
	}
	// One that nobody answers for any more.
	b := s.asked("gone", deploy)
	if err := s.client.Terminate(t.Context(), "gone", nil, true); err != nil {
		t.Fatal(err)
	}
	s.until("gone", history.Terminated)
	s.refused("POST", "/api/v1/hubs/default/inbox/"+b.ID+"/decide", `{"decision":"approve"}`, 409, "not_counted")
}

// Of many decisions that come at once, by HTTP, by forms and by the command, one counts.
func TestDecideOnce(t *testing.T) {
	s := newSite(t, nil)
	for round := range 10 {
		a := s.asked(fmt.Sprint("r", round), agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
		var counted sync.Map
		var all sync.WaitGroup
		for i := range 4 {
			by := fmt.Sprint("p", i)
			all.Go(func() {
				if s.do("POST", "/api/v1/hubs/default/inbox/"+a.ID+"/decide", `{"decision":"approve","by":"`+by+`"}`).Code == 200 {
					counted.Store(by, "http")
				}
			})
			all.Go(func() {
				if s.do("POST", "/hubs/default/inbox/"+a.ID, "decision=reject&by=form"+by, "Content-Type", formType).Code == 303 {
					counted.Store("form"+by, "http")
				}
			})
			all.Go(func() { // what the command does
				if _, err := agents.Decide(t.Context(), s.client, a.ID, agents.Decision{Approve: true, By: "cli" + by, From: "cli"}); err == nil {
					counted.Store("cli"+by, "cli")
				}
			})
		}
		all.Wait()
		list, err := agents.Inbox(t.Context(), s.client, a.Run, false)
		if err != nil || len(list) != 1 || len(list[0].Decisions) != 1 {
			t.Fatalf("%+v %v", list, err)
		}
		d, n := list[0].Decisions[0], 0
		counted.Range(func(by, from any) bool {
			n++
			if by != d.By || from != d.From {
				t.Errorf("%v by %v was told that it counts, but %+v does", from, by, d)
			}
			return true
		})
		if n != 1 {
			t.Errorf("%d were told that they count", n)
		}
	}
}

func TestInboxPages(t *testing.T) {
	s := newSite(t, nil)
	want := map[string]bool{}
	for i := range 7 {
		want[s.asked(fmt.Sprint("r", i), deploy).ID] = true
	}
	var last time.Time
	for token, page := "", 0; ; page++ {
		var box inbox
		s.api("GET", "/default/inbox?limit=3&token="+url.QueryEscape(token), "", &box)
		for _, x := range box.Requests {
			if !want[x.ID] || x.Requested.Before(last) {
				t.Errorf("%s is there twice, or too early", x.ID)
			}
			delete(want, x.ID)
			last = x.Requested
		}
		if token = box.Next; token == "" {
			break
		}
		// One that is decided between two pages hides no other.
		if _, err := agents.Decide(t.Context(), s.client, box.Requests[0].ID, agents.Decision{By: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) != 0 {
		t.Errorf("%v were never shown", want)
	}
}

func TestInboxPage(t *testing.T) {
	s := newSite(t, nil)
	if page := s.page("/hubs/default/inbox"); !strings.Contains(page, "Nothing waits for a person.") {
		t.Error(page)
	}
	long := strings.Repeat("0123456789", 20_000)
	req := deploy
	req.Arguments, req.By, req.Needed, req.Within = `{"version":"v2","notes":"`+long+`"}`, []string{"on-call", "lead"}, 2, time.Hour
	a := s.asked("run 1", req)
	page := s.page("/hubs/default/inbox")
	for _, text := range []string{
		"ops wants to call deploy: Deploy it?", long, "on-call, lead", "2 people", "Until", a.Deadline.UTC().Format("2006-01-02 15:04:05 UTC"),
		`<a href="/hubs/default/runs/run%201">run 1</a>`, `action="/hubs/default/inbox/` + a.ID + `"`, "Approve with other arguments",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("the inbox does not have %.60q", text)
		}
	}
	post := func(form url.Values) (int, string) {
		t.Helper()
		w := s.do("POST", "/hubs/default/inbox/"+a.ID, form.Encode(), "Content-Type", formType)
		return w.Code, w.Header().Get("Location") + w.Body.String()
	}
	for _, form := range []url.Values{{}, {"decision": {"maybe"}}, {"decision": {"approve"}, "x": {"1"}}, {"decision": {"approve"}, "arguments": {"[]"}}} {
		if code, text := post(form); code != 400 || !strings.Contains(text, `role="alert"`) {
			t.Errorf("%v: %d %s", form, code, text)
		}
	}
	if w := s.do("POST", "/hubs/default/inbox/"+a.ID, `{"decision":"approve"}`); w.Code != 415 {
		t.Errorf("JSON in place of the form: %d", w.Code)
	}
	if page := s.page("/hubs/default/inbox?decided=" + a.ID); strings.Contains(page, "Recorded") {
		t.Error("an address alone says that something was decided")
	}
	form := url.Values{"decision": {"approve"}, "comment": {" Fine. "}, "by": {"ada"}, "nonce": {"n"}, "arguments": {""}}
	for range 2 { // a second press of the button
		code, to := post(form)
		if code != 303 || !strings.HasPrefix(to, "/hubs/default/inbox?decided="+a.ID) {
			t.Fatalf("%d %s", code, to)
		}
	}
	page = s.page("/hubs/default/inbox?decided=" + a.ID)
	if !strings.Contains(page, "Recorded: ada has approved “ops wants to call deploy: Deploy it?”. It waits for one more person.") || !strings.Contains(page, "Approved by ada (http)") || !strings.Contains(page, "Fine.") {
		t.Error(page)
	}
	if code, text := post(url.Values{"decision": {"approve"}, "by": {"ada"}}); code != 409 || !strings.Contains(text, "ada has decided") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := post(url.Values{"decision": {"reject"}}); code != 303 {
		t.Errorf("%d", code)
	}
	page = s.page("/hubs/default/inbox?decided=" + a.ID)
	if !strings.Contains(page, "The request is rejected.") || !strings.Contains(page, "Nothing waits") {
		t.Error(page)
	}
	page = s.page("/hubs/default/inbox?all=true")
	if !strings.Contains(page, "Rejected by http@192.0.2.1 (http)") || strings.Contains(page, "<form method=\"post\"") {
		t.Error(page)
	}
	for _, id := range []string{"nothing", "a@b", "..", strings.Repeat("x", 200)} {
		s.page("/hubs/default/inbox?decided=" + url.QueryEscape(id))
	}
}

// Hubs share nothing, whatever they are called.
func TestManyHubs(t *testing.T) {
	other, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, program...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newSite(t, func(o *dashboard.Options) { o.Hubs.(dashboard.Clients)["team/ä b"] = other.Client() })
	s.run("echo", "here", 1)
	if _, err := other.Client().Schedule(t.Context(), "echo", 1, durable.WithInstanceID("there")); err != nil {
		t.Fatal(err)
	}
	if page := s.page("/hubs"); !strings.Contains(page, `<a href="/hubs/default/runs">default</a>`) || !strings.Contains(page, `<a href="/hubs/team%2F%C3%A4%20b/runs">team/ä b</a>`) {
		t.Error(page)
	}
	page := s.page("/hubs/team%2F%C3%A4%20b/runs")
	if !strings.Contains(page, `href="/hubs/team%2F%C3%A4%20b/runs/there"`) || strings.Contains(page, "runs/here") {
		t.Error(page)
	}
	s.refused("GET", "/api/v1/hubs/team%2F%C3%A4%20b/instances/here", "", 404, "not_found")
	s.refused("GET", "/api/v1/hubs/default/instances/there", "", 404, "not_found")
}
