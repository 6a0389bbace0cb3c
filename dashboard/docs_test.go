package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// TestDocs makes the requests of docs/http-api.md in order, and compares their answers with those
// that it shows.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/http-api.md")
	if err != nil {
		t.Fatal(err)
	}
	order := durable.NewOrchestration("order", func(ctx *durable.Context, _ json.RawMessage) (json.RawMessage, error) {
		ctx.SetCustomStatus("unpaid")
		return durable.WaitForEvent[json.RawMessage](ctx, "paid").Await()
	})
	s := siteOf(t, nil, order, ask, agents.Approvals)
	for _, id := range []string{"order-16", "order-17", "order-18"} {
		if _, err := s.client.Schedule(t.Context(), "order", map[string]int{"total": 12}, durable.WithInstanceID(id), durable.WithTags(map[string]string{"shop": "oslo"})); err != nil {
			t.Fatal(err)
		}
		s.eventually("its custom status", func() bool {
			st, err := s.client.Get(t.Context(), id)
			return err == nil && st.CustomStatus != nil
		})
	}
	request := s.asked("release-2", deploy)

	blocks := regexp.MustCompile("(?s)```http\n(.*?)```\n```(?:json|events) (\\d+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if n := strings.Count(string(text), "```"); n != 4*len(blocks) || n == 0 {
		t.Fatalf("%d fences, but %d examples", n, len(blocks))
	}
	for _, block := range blocks {
		head, body, _ := strings.Cut(block[1], "\n\n")
		method, target, _ := strings.Cut(strings.TrimSpace(head), " ")
		w := s.do(method, strings.ReplaceAll(target, "{id}", request.ID), strings.TrimSpace(body))
		if fmt.Sprint(w.Code) != block[2] {
			t.Errorf("%s is answered %d: %s", head, w.Code, w.Body)
		}
		answer := w.Body.Bytes()
		if w.Header().Get("Content-Type") == "text/event-stream" {
			block[3], answer = streamed(block[3]), []byte(streamed(string(answer)))
		}
		var want, got any
		if err := json.Unmarshal([]byte(block[3]), &want); err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		if !alike(want, got) {
			t.Errorf("%s is answered\n%s", head, w.Body)
		}
	}
	if st := s.until("order-17", history.Completed); string(st.Output) != `{"by":"card"}` {
		t.Errorf("the order ended with %s", st.Output)
	}
	// The table has every route.
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+) (\\S+)`").FindAllStringSubmatch(string(text), -1) {
		target := strings.ReplaceAll(strings.ReplaceAll(row[2], "…", "/api/v1/hubs/default"), "ID", "nobody")
		if w := s.do(row[1], target, "{}"); w.Code == http.StatusMethodNotAllowed || strings.Contains(w.Body.String(), "no_route") {
			t.Errorf("%s %s: %d %s", row[1], target, w.Code, w.Body)
		}
	}
}

// streamed makes a JSON array of a stream of events.
func streamed(text string) string {
	var list []string
	for _, m := range regexp.MustCompile("(?m)^id: \\S+\ndata: (.*)$").FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return "[" + strings.Join(list, ",") + "]"
}

// alike compares an answer with one that a document shows, where "…" is whatever there is.
func alike(want, got any) bool {
	switch w := want.(type) {
	case string:
		return w == "…" && got != nil || want == got
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(w) != len(g) {
			return false
		}
		for k, v := range w {
			if x, ok := g[k]; !ok || !alike(v, x) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(w) != len(g) {
			return false
		}
		for i, v := range w {
			if !alike(v, g[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}
