package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/models"
)

// talker writes two words, and the rest when it may.
type talker struct{ rest chan struct{} }

func (m talker) Generate(ctx context.Context, _ *models.Request) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		if !yield(models.Event{Delta: "It is "}, nil) {
			return
		}
		select {
		case <-m.rest:
		case <-ctx.Done():
			yield(models.Event{}, ctx.Err())
			return
		}
		if yield(models.Event{Delta: "noon."}, nil) {
			yield(models.Event{Response: &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("It is noon.")}}, nil)
		}
	}
}

// stream is an event stream that a client reads.
type stream struct {
	t    *testing.T
	body *bufio.Reader
	resp *http.Response
	last string // id
}

func openStream(t *testing.T, url, last string, headers ...string) *stream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &stream{t, bufio.NewReader(resp.Body), resp, last}
}

// next gives the next event; false at the end.
func (s *stream) next() (ev agents.Event, ok bool) {
	s.t.Helper()
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			return ev, false
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.last = strings.TrimSpace(id)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				s.t.Fatalf("%v in %s", err, line)
			}
			return ev, true
		}
	}
}

// TestFollow follows a run over HTTP, is cut off in mid-answer, and goes on.
func TestFollow(t *testing.T) {
	m := talker{make(chan struct{})}
	clerk := agents.New(agents.Config{Name: "clerk", Model: "m"})
	ending := make(chan struct{})
	s := siteOf(t, func(o *dashboard.Options) { o.Ending = ending }, agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return m, nil }}, clerk))
	server := httptest.NewServer(s.handler)
	defer server.Close()
	run, err := clerk.Schedule(t.Context(), s.client, "What time is it?")
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL + "/api/v1/hubs/default/runs/" + run + "/events"
	first := openStream(t, url, "")
	if kind := first.resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("it is %s", kind)
	}
	for _, want := range []agents.EventKind{agents.EventAgent, agents.EventTurn, agents.EventDelta} {
		if ev, ok := first.next(); !ok || ev.Kind != want || string(ev.Cursor) != first.last {
			t.Fatalf("%+v, %v; want %s", ev, ok, want)
		}
	}
	first.resp.Body.Close()

	second := openStream(t, url+"?from=ignored", first.last)
	close(m.rest)
	var rest []string
	for ev, ok := second.next(); ok; ev, ok = second.next() {
		rest = append(rest, string(ev.Kind)+" "+ev.Text)
		if ev.Kind == agents.EventDelta && ev.Offset != len("It is ") {
			t.Errorf("it goes on with %+v", ev)
		}
		if ev.Kind == agents.EventAnswer && ev.Text[ev.Offset:] != "" && ev.Text[ev.Offset:] != "noon." {
			t.Errorf("the answer has %+v", ev)
		}
	}
	if got := strings.Join(rest, ", "); got != "delta noon., answer It is noon., end " && got != "answer It is noon., end " {
		t.Errorf("then comes %s", got)
	}
	if third := openStream(t, url, second.last); third.resp.StatusCode != http.StatusNoContent {
		t.Errorf("after the end: %s", third.resp.Status)
	}

	s.refused("GET", "/api/v1/hubs/default/runs/nobody/events", "", 404, "not_found")
	s.refused("GET", "/api/v1/hubs/default/runs/"+run+"/events?from=x", "", 400, "invalid")
	s.refused("GET", "/api/v1/hubs/default/runs/"+run+"/events?cursor=x", "", 400, "invalid")
	s.refused("GET", "/api/v1/hubs/other/runs/"+run+"/events", "", 404, "not_found")

	// A server that ends lets nobody hang.
	s.start("wait", "waits", "never")
	last := openStream(t, server.URL+"/api/v1/hubs/default/runs/waits/events", "")
	close(ending)
	if ev, ok := last.next(); ok {
		t.Errorf("it says %+v", ev)
	}
}

// TestFollowRevoked takes the right to a stream away.
func TestFollowRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allowed atomic.Bool
		allowed.Store(true)
		s := newSite(t, func(o *dashboard.Options) {
			o.Authorize = func(*http.Request, string, dashboard.Role) error {
				if !allowed.Load() {
					return errors.Join(dashboard.ErrForbidden, errors.New("revoked"))
				}
				return nil
			}
		})
		s.start("wait", "waits", "never")
		ended := make(chan *httptest.ResponseRecorder)
		go func() { ended <- s.do("GET", "/api/v1/hubs/default/runs/waits/events", "") }()
		synctest.Wait()
		select {
		case w := <-ended:
			t.Fatalf("it ended with %d %s", w.Code, w.Body)
		default:
		}
		allowed.Store(false)
		begun := time.Now()
		if w := <-ended; w.Code != 200 || strings.Trim(w.Body.String(), ":\n") != "" {
			t.Errorf("it ended with %d %q", w.Code, w.Body)
		}
		if passed := time.Since(begun); passed > 15*time.Second {
			t.Errorf("it ended after %v", passed)
		}
		allowed.Store(true)
		s.refused("GET", "/api/v1/hubs/default/runs/nobody/events", "", 404, "not_found")
		if err := s.rt.Close(); err != nil {
			t.Error(err)
		}
	})
}
