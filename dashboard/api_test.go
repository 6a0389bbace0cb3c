package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// nasty are ids that something on the way could take for something else.
var nasty = []string{
	"plain", "a/b", "a//b", "/a/", "..", ".", "../..", "a/../b", "%2F", "%", "a%20b", "a b", " ", "a?b=c&d", "a#b", "a;b", "a:b", "a@b@c", "a+b",
	"ünï/çødé 漢字", "<script>alert(1)</script>", `"quoted"`, "it's", "{id}", "runs", "history", "a\\b", "a\nb", "\u202eabc", "~x", "?", "#", "http://x/y", strings.Repeat("/", 100),
}

// An id may hold any characters, in a path and in what refers to it.
func TestIDs(t *testing.T) {
	s := newSite(t, nil)
	for _, id := range nasty {
		s.run("echo", id, "x")
		base := "/default/instances/" + escape(id)
		var in instance
		s.api("GET", base, "", &in)
		if in.ID != id || in.Status != "completed" {
			t.Errorf("%q is %q, %s", id, in.ID, in.Status)
		}
		var p part
		s.api("GET", base+"/history", "", &p)
		if p.Instance != id || len(p.Events) == 0 || p.Events[0].Instance != id {
			t.Errorf("the history of %q is of %q", id, p.Instance)
		}
		var done struct{ ID string }
		s.api("POST", base+"/events", `{"name":"x"}`, &done)
		if done.ID != id {
			t.Errorf("an event for %q went to %q", id, done.ID)
		}
		var found list
		s.api("GET", "/default/instances?prefix="+url.QueryEscape(id), "", &found)
		if !slices.Contains(ids(found), id) {
			t.Errorf("%q is not among those that begin with it: %q", id, ids(found))
		}
	}
	// The links of a page lead to the pages of their runs, in a browser too, which takes some for
	// directories however they are escaped.
	links := hrefs(s.page("/hubs/default/runs"))
	for _, to := range links {
		path, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(to), "%2e", "."), "?")
		for _, segment := range strings.Split(path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("a browser takes %s for another page", to)
			}
		}
	}
	for _, id := range nasty {
		to := "/hubs/default/runs/" + escape(id)
		if id == "." || id == ".." {
			to = "/hubs/default/runs/?id=" + id
		}
		if !slices.Contains(links, to) {
			t.Errorf("no link leads to %s", to)
		}
		s.page(to)
	}
	for _, id := range nasty {
		var n struct{ Purged int }
		s.api("DELETE", "/default/instances/"+escape(id), "", &n)
		if n.Purged != 1 {
			t.Errorf("%d purged of %q", n.Purged, id)
		}
	}
	if got := s.refused("GET", "/api/v1/hubs/default/instances/"+escape("@purse@ada"), "", 404, "not_found"); !strings.Contains(got, "@purse@ada") {
		t.Error(got)
	}
	for _, id := range []string{"@purse@ada", strings.Repeat("x", 101), "a\xffb"} {
		s.refused("POST", "/api/v1/hubs/default/instances/"+escape(id)+"/suspend", `{}`, 400, "invalid")
	}
}

func TestInstance(t *testing.T) {
	s := newSite(t, nil)
	s.start("wait", "w", "go")
	s.eventually("its custom status", func() bool {
		st, err := s.client.Get(t.Context(), "w")
		return err == nil && st.CustomStatus != nil
	})
	var in instance
	s.api("GET", "/default/instances/w", "", &in)
	if in.RuntimeStatus != "running" || in.Status != "running" || *in.Input != `"go"` || in.Output != nil || *in.CustomStatus != `"waits for go"` || in.Ended != nil || len(in.Executions) != 1 || in.Children == nil {
		t.Errorf("%+v", in)
	}
	var done struct{ ID string }
	if code := s.api("POST", "/default/instances/w/events", `{"name":"go","data":{"n":12345678901234567890}}`, &done); code != http.StatusAccepted || done.ID != "w" {
		t.Error(code, done)
	}
	if st := s.until("w", history.Completed); string(st.Output) != `{"n":12345678901234567890}` {
		t.Errorf("the event arrived as %s", st.Output)
	}
	s.run("fail", "f", "no disk")
	s.api("GET", "/default/instances/f", "", &in)
	if in.Status != "failed" || in.Failure == nil || !strings.Contains(in.Failure.Message, "no disk") || in.Ended == nil {
		t.Errorf("%+v", in)
	}
	s.run("team", "t", []string{"t/1", "t/2"})
	in = instance{}
	s.api("GET", "/default/instances/t", "", &in)
	if len(in.Children) != 2 || in.Children[0].ID != "t/1" || in.Children[0].Parent != "t" || in.MoreChildren {
		t.Errorf("children: %+v", in.Children)
	}
	s.run("loop", "l", 2)
	s.api("GET", "/default/instances/l", "", &in)
	if len(in.Executions) != 3 || in.Executions[2] != in.Execution {
		t.Errorf("executions: %q", in.Executions)
	}
	var p part
	s.api("GET", "/default/instances/l/history?execution="+in.Executions[0], "", &p)
	if p.Execution != in.Executions[0] || string(p.Events[1].Event.Data) != "2" {
		t.Errorf("%+v", p)
	}
	s.refused("GET", "/api/v1/hubs/default/instances/l/history?execution=zzz", "", 404, "not_found")
}

func TestList(t *testing.T) {
	s := newSite(t, nil)
	for i := range 7 {
		if _, err := s.client.Schedule(t.Context(), "wait", "go", durable.WithInstanceID(fmt.Sprintf("w%d", i)), durable.WithTags(map[string]string{"odd": fmt.Sprint(i%2 == 1), "a=b": "c=d"})); err != nil {
			t.Fatal(err)
		}
	}
	s.run("team", "team", []string{"part"})
	s.run("fail", "broken", "x")
	if err := s.client.Suspend(t.Context(), "w3", "why not"); err != nil {
		t.Fatal(err)
	}
	s.until("w3", history.Suspended)
	created := s.until("w0", history.Running).Created
	for query, want := range map[string]string{
		"":                                "broken part team w6 w5 w4 w3 w2 w1 w0",
		"order=oldest":                    "w0 w1 w2 w3 w4 w5 w6 team part broken",
		"top=true":                        "broken team w6 w5 w4 w3 w2 w1 w0",
		"parent=team":                     "part",
		"prefix=w":                        "w6 w5 w4 w3 w2 w1 w0",
		"name=team&name=fail":             "broken team",
		"status=completed":                "part team",
		"status=completed&status=failed":  "broken part team",
		"status=suspended":                "w3",
		"status=running":                  "w6 w5 w4 w2 w1 w0",
		"status=cancelled":                "",
		"status=pending":                  "",
		"tag=odd%3Dtrue":                  "w5 w3 w1",
		"tag=odd%3Dtrue&status=suspended": "w3",
		"createdTo=" + url.QueryEscape(created.Format("2006-01-02T15:04:05.999999999Z07:00")): "",
		"createdFrom=2100-01-01":     "",
		"createdTo=2100-01-01T00:00": "broken part team w6 w5 w4 w3 w2 w1 w0",
		"name=agentrun.notify":       "",
	} {
		var l list
		s.api("GET", "/default/instances?"+query, "", &l)
		if got := strings.Join(ids(l), " "); got != want || l.Instances == nil {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	// Pages: every instance once, also when others come and go between them.
	var all []string
	token, pages := "", 0
	for {
		var l list
		s.api("GET", "/default/instances?limit=3&token="+url.QueryEscape(token), "", &l)
		if len(l.Instances) > 3 {
			t.Errorf("%d in a page of 3", len(l.Instances))
		}
		all = append(all, ids(l)...)
		pages++
		if token = l.Next; token == "" {
			break
		}
		s.run("echo", fmt.Sprintf("new%d", pages), 1)
		if pages == 1 {
			if _, err := s.client.Purge(t.Context(), "team", false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Join(all, " "); got != "broken part team w6 w5 w4 w3 w2 w1 w0" || pages != 4 {
		t.Errorf("%d pages: %s", pages, got)
	}
}

// What wakes runs up is nobody's run, however many there are.
func TestListHidesInternal(t *testing.T) {
	s := newSite(t, nil)
	for _, id := range []string{"first", "second", "third"} {
		s.run("echo", id, 1)
	}
	for i := range 5 {
		a := s.asked(fmt.Sprintf("r%d", i), agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
		if _, err := agents.Decide(t.Context(), s.client, a.ID, agents.Decision{Approve: true, By: "ada"}); err != nil {
			t.Fatal(err)
		}
		s.until(a.Run, history.Completed)
	}
	var l list
	for limit := 1; limit <= 8; limit++ {
		var all []string
		for token := ""; ; {
			l = list{}
			s.api("GET", fmt.Sprintf("/default/instances?limit=%d&token=%s", limit, token), "", &l)
			if len(l.Instances) > limit || len(l.Instances) < limit && l.Next != "" {
				t.Errorf("%d in a page of %d", len(l.Instances), limit)
			}
			all = append(all, ids(l)...)
			if token = l.Next; token == "" {
				break
			}
		}
		if got := strings.Join(all, " "); got != "r4 r3 r2 r1 r0 third second first" {
			t.Errorf("by %d: %s", limit, got)
		}
	}
	s.api("GET", "/default/instances?name=agentrun.notify", "", &l)
	if len(l.Instances) != 5 {
		t.Errorf("%d are found by their name", len(l.Instances))
	}
}

func TestHistoryPages(t *testing.T) {
	s := newSite(t, nil)
	var children []string
	for i := range 20 {
		children = append(children, fmt.Sprintf("c%d", i))
	}
	s.run("team", "t", children)
	var whole part
	s.api("GET", "/default/instances/t/history?limit=1000", "", &whole)
	if whole.Next != 0 || len(whole.Events) < 60 {
		t.Fatalf("%d events, next %d", len(whole.Events), whole.Next)
	}
	n := 0
	for from := 0; ; {
		var p part
		s.api("GET", fmt.Sprintf("/default/instances/t/history?limit=7&from=%d", from), "", &p)
		for _, ev := range p.Events {
			if ev.Number != n || ev.Event.Kind != whole.Events[n].Event.Kind || ev.Execution != whole.Execution {
				t.Errorf("event %d is %+v", n, ev)
			}
			n++
		}
		if p.Next == 0 {
			break
		}
		if len(p.Events) != 7 || p.Next != n {
			t.Errorf("%d events, next %d after %d", len(p.Events), p.Next, n)
		}
		from = p.Next
	}
	if n != len(whole.Events) {
		t.Errorf("%d of %d events", n, len(whole.Events))
	}
	var none part
	s.api("GET", "/default/instances/t/history?from=100000", "", &none)
	if none.Events == nil || len(none.Events) != 0 || none.Next != 0 {
		t.Errorf("%+v", none)
	}
	// A page ends early where events are large.
	s.start("wait", "big", "never")
	text := strings.Repeat("x", 1<<20)
	for range 8 {
		if err := s.client.RaiseEvent(t.Context(), "big", "other", text); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("8 large events", func() bool {
		n := 0
		for ev, err := range s.client.History(t.Context(), "big", "") {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == history.EventRaised {
				n++
			}
		}
		return n == 8
	})
	var p part
	s.api("GET", "/default/instances/big/history", "", &p)
	if p.Next == 0 || len(p.Events) < 3 {
		t.Errorf("%d events at once, next %d", len(p.Events), p.Next)
	}
}

func TestActions(t *testing.T) {
	s := newSite(t, nil)
	var done struct{ ID string }
	act := func(id, action, body string) {
		t.Helper()
		if code := s.api("POST", "/default/instances/"+id+"/"+action, body, &done); code != http.StatusAccepted {
			t.Errorf("%s: %d", action, code)
		}
	}
	s.start("wait", "w", "go")
	s.until("w", history.Running)
	act("w", "suspend", `{"reason":"lunch"}`)
	s.until("w", history.Suspended)
	act("w", "resume", ``)
	s.until("w", history.Running)
	s.refused("POST", "/api/v1/hubs/default/instances/w/rewind", `{"reason":"x"}`, 409, "cannot_rewind")
	s.refused("POST", "/api/v1/hubs/default/instances/w/restart", `{}`, 409, "not_ended")
	s.refused("POST", "/api/v1/hubs/default/instances/w/purge", `{}`, 409, "not_ended")
	if got := s.refused("DELETE", "/api/v1/hubs/default/instances/w", ``, 409, "not_ended"); !strings.Contains(got, "terminate it first") {
		t.Error(got)
	}
	act("w", "terminate", `{"output":{"why":"done"},"recursive":true}`)
	if st := s.until("w", history.Terminated); string(st.Output) != `{"why":"done"}` {
		t.Errorf("output %s", st.Output)
	}
	act("w", "restart", `{"newId":true}`)
	if done.ID == "w" || done.ID == "" {
		t.Errorf("restarted as %q", done.ID)
	}
	s.until(done.ID, history.Running)
	act("w", "restart", `{}`)
	if done.ID != "w" {
		t.Errorf("restarted as %q", done.ID)
	}
	s.until("w", history.Running)
	s.run("fail", "f", "x")
	act("f", "rewind", `{"reason":"the disk is back"}`)
	s.eventually("its second failure", func() bool {
		all, err := s.client.Executions(t.Context(), "f")
		st, err2 := s.client.Get(t.Context(), "f")
		return errors.Join(err, err2) == nil && len(all) == 2 && st.Status == history.Failed
	})
	s.run("team", "t", []string{"t1"})
	var n struct{ Purged int }
	s.api("POST", "/default/instances/t/purge", `{"recursive":true}`, &n)
	if n.Purged != 2 {
		t.Errorf("%d purged", n.Purged)
	}
	s.run("team", "t", []string{"t1"})
	s.api("DELETE", "/default/instances/t?recursive=true", "", &n)
	if n.Purged != 2 {
		t.Errorf("%d purged", n.Purged)
	}
	for _, action := range []string{"events", "terminate", "suspend", "resume", "restart", "rewind", "purge"} {
		s.refused("POST", "/api/v1/hubs/default/instances/nobody/"+action, map[bool]string{true: `{"name":"x"}`}[action == "events"], 404, "not_found")
	}
}

// What cannot be right is refused, in words, and nothing is done.
func TestRefusals(t *testing.T) {
	s := newSite(t, func(o *dashboard.Options) { o.MaxBody = 1000 })
	s.start("wait", "w", "go")
	s.until("w", history.Running)
	a := s.asked("r", agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
	for _, test := range []struct {
		method, target, body string
		status               int
		code, says           string
	}{
		{"GET", "/nothing", "", 404, "no_route", "/api/v1/hubs/default/nothing"},
		{"GET", "/instances/w/nothing", "", 404, "no_route", ""},
		{"GET", "/instances/", "", 404, "no_route", ""},
		{"PUT", "/instances/w", "{}", 405, "method", "DELETE, GET, HEAD"},
		{"GET", "/instances/w/terminate", "", 405, "method", "POST"},
		{"GET", "/instances/nobody", "", 404, "not_found", "nobody"},
		{"GET", "/instances/nobody/history", "", 404, "not_found", "nobody"},
		{"DELETE", "/instances/nobody", "", 404, "not_found", "nobody"},
		{"GET", "/instances?colour=red", "", 400, "invalid", "the parameters are status"},
		{"GET", "/instances/w?x=1", "", 400, "invalid", "no parameters"},
		{"GET", "/instances?status=waiting", "", 400, "invalid", "inbox"},
		{"GET", "/instances?top=maybe", "", 400, "invalid", "true"},
		{"GET", "/instances?order=random", "", 400, "invalid", "newest or oldest"},
		{"GET", "/instances?tag=red", "", 400, "invalid", "NAME=VALUE"},
		{"GET", "/instances?limit=0", "", 400, "invalid", "1 to 500"},
		{"GET", "/instances?limit=501", "", 400, "invalid", "1 to 500"},
		{"GET", "/instances?limit=1&limit=2", "", 400, "invalid", "once"},
		{"GET", "/instances?token=xyz", "", 400, "invalid", "token"},
		{"GET", "/instances?order=oldest&token=n1", "", 400, "invalid", "token"},
		{"GET", "/instances?createdFrom=yesterday", "", 400, "invalid", "2006-01-02T15:04:05Z"},
		{"GET", "/instances?a;b", "", 400, "invalid", "query"},
		{"GET", "/instances/w/history?from=-1", "", 400, "invalid", "number"},
		{"GET", "/instances/w/history?limit=1001", "", 400, "invalid", "1000"},
		{"GET", "/inbox?all=yes", "", 400, "invalid", "true"},
		{"GET", "/inbox?token=-", "", 400, "invalid", "token"},
		{"DELETE", "/instances/w?recursive=yes", "", 400, "invalid", "true"},
		{"POST", "/instances/w/events", `{}`, 400, "invalid", "no name"},
		{"POST", "/instances/w/events", ``, 400, "invalid", "no name"},
		{"POST", "/instances/w/events", `{"name":"go","daat":1}`, 400, "invalid", `unknown field "daat"`},
		{"POST", "/instances/w/events", `{"name":7}`, 400, "invalid", "number"},
		{"POST", "/instances/w/events", `{"name":"go"`, 400, "invalid", "unexpected EOF"},
		{"POST", "/instances/w/events", `{"name":"go"} {}`, 400, "invalid", "after"},
		{"POST", "/instances/w/events", `{"name":"go"}]`, 400, "invalid", "after"},
		{"POST", "/instances/w/events", `null`, 400, "invalid", "object"},
		{"POST", "/instances/w/events", `[]`, 400, "invalid", "object"},
		{"POST", "/instances/w/events?x=1", `{"name":"go"}`, 400, "invalid", "x"},
		{"POST", "/instances/w/events", `{"name":"go","data":"` + strings.Repeat("x", 1000) + `"}`, 413, "too_large", "1000 bytes"},
		{"POST", "/inbox/" + a.ID + "/decide", `{}`, 400, "invalid", "approve or reject"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"yes"}`, 400, "invalid", "approve or reject"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"approve","arguments":[]}`, 400, "invalid", "JSON object"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"approve","arguments":{}}`, 400, "invalid", "takes no arguments"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"reject","arguments":{"a":1}}`, 400, "invalid", "approval"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"approve","nonce":"` + strings.Repeat("x", 101) + `"}`, 400, "invalid", "nonce"},
		{"POST", "/inbox/" + a.ID + "/decide", `{"decision":"approve","by":"` + strings.Repeat("x", 201) + `"}`, 400, "invalid", "by"},
		{"POST", "/inbox/nobody/decide", `{"decision":"approve"}`, 404, "not_found", "nobody"},
	} {
		if got := s.refused(test.method, "/api/v1/hubs/default"+test.target, test.body, test.status, test.code); !strings.Contains(got, test.says) {
			t.Errorf("%s %s %s: %q does not say %q", test.method, test.target, test.body, got, test.says)
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "", "application/json5", "multipart/form-data; boundary=x"} {
		s.refused("POST", "/api/v1/hubs/default/instances/w/events", `{"name":"go"}`, 415, "content_type", "Content-Type", kind)
	}
	if got := s.refused("GET", "/api/v1/hubs/other/instances", "", 404, "not_found"); !strings.Contains(got, `no task hub "other"`) {
		t.Error(got)
	}
	// Nothing of it was done.
	if st, err := s.client.Get(t.Context(), "w"); err != nil || st.Status != history.Running {
		t.Error(st, err)
	}
	if list, err := agents.Inbox(t.Context(), s.client, "r", true); err != nil || len(list) != 1 || len(list[0].Decisions) != 0 {
		t.Error(list, err)
	}
	if code := s.do("POST", "/api/v1/hubs/default/instances/w/events", `{"name":"go","data":1}`, "Content-Type", "application/json; charset=utf-8").Code; code != 202 {
		t.Errorf("what is right is answered %d", code)
	}
	s.until("w", history.Completed)
}

func TestHubs(t *testing.T) {
	s := newSite(t, nil)
	var hubs struct{ Hubs []struct{ Name string } }
	s.api("GET", "", "", &hubs)
	if len(hubs.Hubs) != 1 || hubs.Hubs[0].Name != "default" {
		t.Errorf("%+v", hubs)
	}
	none := newSite(t, func(o *dashboard.Options) { o.Hubs = dashboard.Clients{} })
	if w := none.do("GET", "/api/v1/hubs", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"hubs":[]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A hub that has ended, or does not answer, is no fault of the caller's.
func TestUnavailable(t *testing.T) {
	s := newSite(t, nil)
	s.start("wait", "w", "go")
	if err := s.rt.Close(); err != nil {
		t.Fatal(err)
	}
	w := s.do("POST", "/api/v1/hubs/default/instances/w/suspend", `{}`)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	slow := newSite(t, func(o *dashboard.Options) { o.Hubs, o.Timeout = asleep{}, 1 })
	if got := slow.refused("GET", "/api/v1/hubs/default/instances", "", 503, "timeout"); !strings.Contains(got, "in time") {
		t.Error(got)
	}
}

// asleep never finds a hub.
type asleep struct{}

func (asleep) Names(context.Context) ([]string, error) { return nil, errors.New("asleep") }
func (asleep) Client(ctx context.Context, _ string) (*durable.Client, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
