package agents_test

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// record exports all spans of the test into memory.
func record(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	return spans
}

// count gives how many spans there are of each name, those of entities and
// conversations left out.
func count(spans tracetest.SpanStubs) map[string]int {
	n := map[string]int{}
	for _, s := range spans {
		if !strings.HasPrefix(s.Name, "entity") {
			n[s.Name]++
		}
	}
	return n
}

// runSpans are what a run of two turns emits, with one tool call in between that a
// person approves.
var runSpans = map[string]int{
	"create_orchestration:run":      1,
	"orchestration:run":             1,
	"orchestration:agent:a":         1,
	"orchestration:agentrun.notify": 1,
	"activity:manifest:a":           1,
	"activity:chat:a":               2,
	"activity:tool:a/pay":           1,
	"invoke_agent a":                1,
	"chat m":                        2,
	"execute_tool pay":              1,
}

// Each thing that happens is one span, however often its orchestration is replayed:
// parked all the time, put away after each turn, and in a new process.
func TestSpansAreEmittedOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		cached  int
		restart bool
	}{{"parked", 0, false}, {"replayed in each turn", 1, false}, {"after a restart", 1, true}} {
		t.Run(c.name, func(t *testing.T) {
			spans := record(t)
			ctx := t.Context()
			var b bank
			a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{
				tools.New("pay", "", b.pay, tools.NeedsApproval(tools.Approval{}))}})
			var replays atomic.Int32
			run := durable.NewOrchestration("run", func(ctx *durable.Context, in string) (agents.Result, error) {
				if ctx.IsReplaying() {
					replays.Add(1)
				}
				return a.Call(ctx, in)
			})
			m := turns(answer("", "", models.ToolCall{ID: "1", Name: "pay", Arguments: `{"number":7}`}), say("fine"))
			open := func(s *memory.Store) *durable.Runtime {
				rt, err := durable.OpenStore(ctx, s, durable.Options{Cached: c.cached}, agents.Define(agents.Options{Models: only(m)}, a), run)
				if err != nil {
					t.Fatal(err)
				}
				return rt
			}
			disk := memory.New()
			rt := open(disk)
			id, err := run.Schedule(ctx, rt.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			r := waitForRequest(t, rt.Client())
			if c.restart {
				if err := rt.Close(); err != nil {
					t.Fatal(err)
				}
				rt = open(disk.Reopen())
			}
			if _, err := agents.Decide(ctx, rt.Client(), r.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
				t.Fatal(err)
			}
			if got, err := run.Wait(ctx, rt.Client(), id); err != nil || got.Text != "fine" {
				t.Fatalf("got %+v, %v", got, err)
			}
			for _, instance := range []string{id, agentRun(t, rt.Client())} { // to its very end
				load := func(h history.Hash) ([]byte, error) { return rt.Client().Load(ctx, durable.Ref{Hash: h}) }
				diff, err := durable.Replay(ctx, rt.Client().History(ctx, instance, ""), load, agents.Define(agents.Options{}, a), run)
				if err != nil || diff != nil {
					t.Errorf("the replay of %s: %v, %v", instance, diff, err)
				}
			}
			if err := rt.Close(); err != nil {
				t.Fatal(err)
			}
			if n := replays.Load(); (n > 1) != (c.cached == 1) { // one is of Replay
				t.Errorf("it was replayed %d times", n)
			}
			all := spans.GetSpans()
			if got := count(all); !maps.Equal(got, runSpans) {
				t.Errorf("spans %v, want %v", got, runSpans)
			}
			checkSpans(t, all, c.cached == 0)
		})
	}
}

// checkSpans checks that the spans of a run are one trace, and what those of the
// models and tools say.
func checkSpans(t *testing.T, all tracetest.SpanStubs, parked bool) {
	t.Helper()
	find := func(name string) tracetest.SpanStub {
		i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("there is no span %q", name)
		}
		return all[i]
	}
	root := find("create_orchestration:run")
	for _, name := range []string{"invoke_agent a", "chat m", "execute_tool pay", "orchestration:agent:a"} {
		if s := find(name); s.SpanContext.TraceID() != root.SpanContext.TraceID() {
			t.Errorf("span %q is of another trace", name)
		}
	}
	for child, parent := range map[string]string{"chat m": "activity:chat:a", "execute_tool pay": "activity:tool:a/pay", "orchestration:run": "create_orchestration:run"} {
		parents := map[string]bool{}
		for _, s := range all {
			if s.Name == parent {
				parents[s.SpanContext.SpanID().String()] = true
			}
		}
		if s := find(child); !parents[s.Parent.SpanID().String()] {
			t.Errorf("the parent of %q is not %q", child, parent)
		}
	}
	if parked {
		if got, want := find("invoke_agent a").Parent.SpanID(), find("orchestration:agent:a").SpanContext.SpanID(); got != want {
			t.Errorf("invoke_agent is a child of %s, not of its orchestration %s", got, want)
		}
	}
	attrs := map[string]string{}
	for _, kv := range find("execute_tool pay").Attributes {
		attrs[string(kv.Key)] = kv.Value.String()
	}
	if attrs["gen_ai.operation.name"] != "execute_tool" || attrs["gen_ai.tool.name"] != "pay" || attrs["gen_ai.agent.name"] != "a" {
		t.Errorf("execute_tool says %v", attrs)
	}
	for _, s := range all {
		for _, kv := range s.Attributes {
			if strings.Contains(kv.Value.String(), "fine") || strings.Contains(kv.Value.String(), `"number"`) {
				t.Errorf("span %q tells what was said: %s=%s", s.Name, kv.Key, kv.Value.String())
			}
		}
	}
}
