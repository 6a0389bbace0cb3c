package dashboard_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

func TestRunsPage(t *testing.T) {
	s := newSite(t, nil)
	if w := s.do("GET", "/", ""); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/hubs/default/runs" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if page := s.page("/hubs/default/runs"); !strings.Contains(page, "There are no runs in this hub.") {
		t.Error(page)
	}
	for i := range 55 {
		s.run("echo", fmt.Sprintf("e%02d", i), 1)
	}
	s.run("team", "the team", []string{"part/1", "part/2"})
	s.asked("the question", deploy)
	page := s.page("/hubs/default/runs")
	for _, text := range []string{
		`<a href="/hubs/default/runs/the%20team">the team</a>`, `data-label="Parts">2</td>`, "1 to decide", `<span class="status waiting">waiting</span>`, "Next page", ">e07<",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not have %q", text)
		}
	}
	if strings.Contains(page, "part/1") || strings.Contains(page, ">e06<") || strings.Contains(page, "To the beginning") {
		t.Error("the page has what is of another one")
	}
	next := link(t, page, "Next page")
	page = s.page(next)
	if !strings.Contains(page, ">e06<") || !strings.Contains(page, ">e00<") || strings.Contains(page, ">e10<") || strings.Contains(page, "Next page") {
		t.Error("the second page is another one")
	}
	if to := link(t, page, "To the beginning"); to != "/hubs/default/runs" {
		t.Errorf("the beginning is at %s", to)
	}
	// A form sends its empty fields too.
	page = s.page("/hubs/default/runs?status=completed&name=team&prefix=&tag=&createdFrom=&createdTo=")
	if strings.Contains(page, ">e54<") || !strings.Contains(page, "the team") || !strings.Contains(page, `<option value="completed" selected>`) || !strings.Contains(page, `name="name" value="team"`) {
		t.Error(page)
	}
	page = s.page("/hubs/default/runs?prefix=e&status=completed")
	next = link(t, page, "Next page")
	if u, err := url.Parse(next); err != nil || u.Query().Get("prefix") != "e" || u.Query().Get("status") != "completed" {
		t.Errorf("the next page is %s", next)
	}
	if page := s.page("/hubs/default/runs?name=nobody"); !strings.Contains(page, "No run fits.") {
		t.Error(page)
	}
	if page := s.page("/hubs/default/runs?parent=the+team"); !strings.Contains(page, "part/1") || !strings.Contains(page, "The parts of the team") {
		t.Error(page)
	}
	if page := s.page("/hubs/default/runs?parts=true"); !strings.Contains(page, "part/1") || !strings.Contains(page, `a part of <a href="/hubs/default/runs/the%20team">`) {
		t.Error(page)
	}
	for target, status := range map[string]int{"/hubs/default/runs?x=1": 400, "/hubs/default/runs?tag=x": 400, "/hubs/default/runs?createdTo=x": 400, "/hubs/default/runs/nobody": 404, "/hubs/nothing/runs": 404, "/nothing": 404, "/hubs/default/runs/": 404} {
		if w := s.do("GET", target, ""); w.Code != status || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := s.do("POST", "/hubs/default/runs", "x=1", "Content-Type", formType); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestRunPage(t *testing.T) {
	s := newSite(t, nil)
	s.run("fail", "f", "no disk")
	page := s.page("/hubs/default/runs/f")
	for _, text := range []string{"<h1>fail</h1>", `<h2 id="h-failed">Failure</h2>`, "activity broken failed: no disk", "TaskScheduled #0 &#34;broken&#34;", "TaskFailed for #0", "no disk", "/api/v1/hubs/default/instances/f"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not have %q", text)
		}
	}
	s.run("team", "t", []string{"t/1"})
	page = s.page("/hubs/default/runs/t")
	if strings.Count(page, `href="/hubs/default/runs/t%2F1"`) != 2 { // among the parts, and in the history
		t.Error(page)
	}
	if page = s.page("/hubs/default/runs/t%2F1"); !strings.Contains(page, `<dt>Part of</dt><dd class="id"><a href="/hubs/default/runs/t">t</a>`) {
		t.Error(page)
	}
	s.run("loop", "l", 2)
	page = s.page("/hubs/default/runs/l")
	first := link(t, page, "1 of 3")
	if page = s.page(strings.TrimSuffix(first, "#history")); !strings.Contains(page, `<strong aria-current="true">1 of 3</strong>`) || link(t, page, "3 of 3") != "/hubs/default/runs/l#history" {
		t.Error(page)
	}
	a := s.asked("r", deploy)
	if page = s.page("/hubs/default/runs/r"); !strings.Contains(page, `href="/hubs/default/inbox?run=r#request-`+a.ID+`"`) {
		t.Error(page)
	}
	if page = s.page("/hubs/default/inbox?run=r"); !strings.Contains(page, `id="request-`+a.ID+`"`) || !strings.Contains(page, "show those of all runs") {
		t.Error(page)
	}
	if _, err := s.client.Schedule(t.Context(), "unknown", nil, durable.WithInstanceID("u"), durable.WithStartAt(time.Now().Add(time.Hour)), durable.WithTags(map[string]string{"team": "red"})); err != nil {
		t.Fatal(err)
	}
	if page = s.page("/hubs/default/runs/u"); !strings.Contains(page, "It starts at ") || !strings.Contains(page, "team = red") || !strings.Contains(page, "None yet.") {
		t.Error(page)
	}
	// A long history is shown page by page.
	var children []string
	for i := range 110 {
		children = append(children, fmt.Sprintf("c%d", i))
	}
	s.run("team", "long", children)
	page = s.page("/hubs/default/runs/long")
	if !strings.Contains(page, "Events 0 to 199") || !strings.Contains(page, "There are more.") || link(t, page, "Show all parts") != "/hubs/default/runs?parent=long" {
		t.Error("the first page of a long run is not as it should be")
	}
	page = s.page(strings.TrimSuffix(link(t, page, "Next page"), "#history"))
	if !strings.Contains(page, "Events 200 to ") || link(t, page, "To the beginning") != "/hubs/default/runs/long#history" {
		t.Error("the second page of a long run is not as it should be")
	}
	for _, target := range []string{"/hubs/default/runs/l?execution=x", "/hubs/default/runs/?id=nobody"} {
		if w := s.do("GET", target, ""); w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

// Long values are cut on the page, and whole behind a link, as text that no browser takes for
// anything else.
func TestValues(t *testing.T) {
	s := newSite(t, nil)
	long := "<script>alert(1)</script>" + strings.Repeat("漢字 & more ", 2000)
	s.run("echo", "a/b", long)
	page := s.page("/hubs/default/runs/a%2Fb")
	if len(page) > 60_000 || strings.Contains(page, "<script") {
		t.Errorf("the page has %d bytes", len(page))
	}
	want, err := json.Marshal(long)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, to := range hrefs(page) {
		if !strings.Contains(to, "/value?") {
			continue
		}
		n++
		w := s.do("GET", to, "")
		head := w.Header()
		if w.Code != 200 || w.Body.String() != string(want) {
			t.Errorf("%s: %d %.100s", to, w.Code, w.Body)
		}
		if head.Get("Content-Type") != "text/plain; charset=utf-8" || head.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(head.Get("Content-Disposition"), "inline; ") || !strings.Contains(head.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", to, head)
		}
	}
	if n != 4 { // input and output, of the run and in its events
		t.Errorf("%d links to whole values", n)
	}
	s.run("fail", "f", "no disk")
	var failure history.Failure
	if err := json.Unmarshal(s.do("GET", "/hubs/default/value?id=f&of=failure", "").Body.Bytes(), &failure); err != nil || !strings.Contains(failure.Message, "no disk") {
		t.Error(failure, err)
	}
	if err := s.client.RaiseEvent(t.Context(), "f", "late", nil); err != nil {
		t.Fatal(err)
	}
	s.start("wait", "binary", "go")
	if err := s.client.RaiseEvent(t.Context(), "binary", "other", history.Payload("\xff\xfe<b>")); err != nil {
		t.Fatal(err)
	}
	number := -1
	s.eventually("the event", func() bool {
		n := 0
		for ev, err := range s.client.History(t.Context(), "binary", "") {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == history.EventRaised {
				number = n
			}
			n++
		}
		return number >= 0
	})
	w := s.do("GET", fmt.Sprintf("/hubs/default/value?id=binary&event=%d&of=data", number), "")
	if w.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Body.String() != "\xff\xfe<b>" {
		t.Errorf("%v %q", w.Header(), w.Body)
	}
	if page := s.page("/hubs/default/runs/binary"); !strings.Contains(page, `\xff\xfe&lt;b&gt;`) {
		t.Error(page)
	}
	for target, status := range map[string]int{
		"id=nobody&of=input": 404, "id=f&of=colour": 400, "id=f&of=status": 404, "id=f&event=x&of=data": 400, "id=f&event=1000&of=data": 404, "id=f&event=0&of=data": 404,
		"id=f&event=0&of=colour": 400, "id=f&event=0&of=failure": 404, "payload=zz": 400, "payload=" + strings.Repeat("0", 64): 404, "": 404,
	} {
		if w := s.do("GET", "/hubs/default/value?"+target, ""); w.Code != status {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// The messages of a conversation are shown with the events that refer to them, whole behind a link.
func TestConversation(t *testing.T) {
	evil := `"><script>alert(1)</script>` + strings.Repeat(" and so on", 1000)
	lookUp := tools.New("look_up", "Looks it up.", func(context.Context, struct {
		What string `json:"what"`
	}) (string, error) {
		return evil, nil
	}, tools.Pure())
	clerk := agents.New(agents.Config{Name: "clerk", Instructions: "Be brief.", Model: "script", Tools: []tools.Tool{lookUp}})
	script := scripted.New(scripted.Entry{Calls: []scripted.Call{{Tool: "look_up", Arguments: map[string]string{"what": "<b>it</b>"}}}}, scripted.Entry{Text: "Here <i>it</i> is."})
	s := siteOf(t, nil, agents.Define(agents.Options{Models: func(context.Context, string) (models.Model, error) { return script, nil }}, clerk))
	id, err := clerk.Schedule(t.Context(), s.client, "Where is <u>it</u>?")
	if err != nil {
		t.Fatal(err)
	}
	s.until(id, history.Completed)
	target := "/hubs/default/runs/" + escape(id)
	page := s.page(target)
	safe(t, target, page)
	for _, text := range []string{"user: Where is &lt;u&gt;it&lt;/u&gt;?", "assistant: Here &lt;i&gt;it&lt;/i&gt; is.", "[look_up {&#34;what&#34;:&#34;&lt;b&gt;it&lt;/b&gt;&#34;}]", "tool: &#34;&gt;&lt;script&gt;"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not have %q", text)
		}
	}
	for _, to := range hrefs(page) {
		if strings.Contains(to, "payload=") {
			w := s.do("GET", to, "")
			var m models.Message
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || m.Content != evil || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%d %v %.200s", w.Code, err, w.Body)
			}
			return
		}
	}
	t.Error("no link leads to the whole message")
}

// Whatever runs, tools and strangers wrote is text on every page.
func TestEscaping(t *testing.T) {
	s := newSite(t, nil)
	for i, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `</pre></textarea></title><svg onload=alert(1)>`,
		"{{.}} ${1} <!-- --> ]]>", "a\u202Eb\u2066c\u200Bd\x00e\x1b[31m",
	} {
		id := fmt.Sprintf("%s %d", evil, i)
		req := agents.Request{Kind: agents.KindTool, Question: evil, Agent: evil, Tool: evil, Arguments: `"` + inJSON(evil) + `"`, By: []string{evil}}
		if _, err := s.client.Schedule(t.Context(), "wait", evil, durable.WithInstanceID("w "+id), durable.WithTags(map[string]string{evil: evil})); err != nil {
			t.Fatal(err)
		}
		if err := s.client.RaiseEvent(t.Context(), "w "+id, evil+"x", evil); err != nil {
			t.Fatal(err)
		}
		s.run("fail", "f "+id, evil)
		s.run("team", "t "+id, []string{"c " + id})
		if _, err := s.client.Schedule(t.Context(), evil, evil, durable.WithInstanceID("u "+id), durable.WithVersion(evil)); err != nil {
			t.Fatal(err)
		}
		a := s.asked("r "+id, req)
		if _, err := agents.Decide(t.Context(), s.client, a.ID, agents.Decision{Approve: true, By: evil, Comment: evil, From: evil, Arguments: `{"` + inJSON(evil) + `":1}`}); err != nil {
			t.Fatal(err)
		}
		s.asked("q "+id, req)
		q := url.QueryEscape(strings.ReplaceAll(evil, "\x1b", "")) // XML cannot have it, and a form gives back what was typed
		targets := []string{
			"/hubs/default/runs", "/hubs/default/runs?parts=true", "/hubs/default/inbox", "/hubs/default/inbox?all=true", "/hubs/default/inbox?run=" + url.QueryEscape("q "+id), "/hubs/default/inbox?decided=" + a.ID,
			"/hubs/default/runs?name=" + q + "&prefix=" + q + "&createdFrom=2020-01-01", "/hubs/default/runs?parent=" + q, "/hubs/default/runs?tag=" + q + "%3D1", "/hubs/default/runs?createdTo=" + q, "/hubs/default/runs?" + q + "=1",
			"/hubs/" + escape(evil) + "/runs", "/hubs/default/runs/" + escape(evil), "/hubs/default/inbox?token=" + q, "/" + escape(evil), "/hubs/default/value?id=" + q + "&of=" + q,
		}
		for _, kind := range []string{"w", "f", "t", "c", "u", "r", "q"} {
			targets = append(targets, "/hubs/default/runs/"+escape(kind+" "+id))
		}
		for _, target := range targets {
			w := s.do("GET", target, "")
			if kind := w.Header().Get("Content-Type"); kind != "text/html; charset=utf-8" {
				t.Errorf("%s is %s", target, kind)
			}
			safe(t, target, w.Body.String())
		}
	}
}

// inJSON writes a text as it is between the quotes of JSON.
func inJSON(s string) string { return strings.Trim(string(must(json.Marshal(s))), `"`) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// safe looks in a page for what no page of ours has: each of its tags is there because a template
// has it, so that a tag, an attribute or an address of another kind came in from outside.
func safe(t *testing.T, target, page string) {
	t.Helper()
	elements := strings.Fields("html head meta title link body a header nav span main h1 h2 h3 details summary form div p label select option input button table thead tbody tr th td time footer dl dt dd section pre ol ul li code strong article textarea")
	attributes := strings.Fields("lang charset name content rel href class aria-label aria-current id tabindex open method action for value selected autocomplete placeholder type checked role scope data-label datetime title aria-labelledby rows maxlength spellcheck")
	plain := func(what, text string) {
		t.Helper()
		if i := strings.IndexAny(text, "\u202E\u2066\u200B\x00\x1b"); i >= 0 {
			t.Errorf("%s has a character in %s that hides or turns others: %.60q", target, what, text[i:])
		}
	}
	d := xml.NewDecoder(strings.NewReader(strings.ReplaceAll(page, "<!DOCTYPE html>", "")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		switch x := token.(type) {
		case xml.CharData:
			plain("a text", string(x))
		case xml.Comment, xml.ProcInst, xml.Directive:
			t.Errorf("%s has %T %s", target, x, x)
		case xml.StartElement:
			if !slices.Contains(elements, x.Name.Local) {
				t.Errorf("%s has the element %s", target, x.Name.Local)
			}
			for _, a := range x.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Errorf("%s has the attribute %s on %s", target, a.Name.Local, x.Name.Local)
				}
				switch a.Name.Local {
				case "value": // of a form's field, which gives back what was typed
				case "href", "action":
					if !strings.HasPrefix(a.Value, "/hubs") && !strings.HasPrefix(a.Value, "/assets/") && !strings.HasPrefix(a.Value, "#") {
						t.Errorf("%s leads to %s", target, a.Value)
					}
				default:
					plain("the attribute "+a.Name.Local, a.Value)
				}
			}
		}
	}
}

// link gives the address behind a text of a page.
func link(t *testing.T, page, text string) string {
	t.Helper()
	m := regexp.MustCompile(`<a href="([^"]*)"[^>]*>` + regexp.QuoteMeta(text) + `</a>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no link says %q", text)
	}
	return html.UnescapeString(m[1])
}
