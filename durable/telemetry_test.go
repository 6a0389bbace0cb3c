package durable_test

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// sampler notes what it is asked about.
type sampler struct {
	mu   sync.Mutex
	seen map[string]attribute.Set
}

func (s *sampler) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[p.Name] = attribute.NewSet(p.Attributes...)
	return trace.AlwaysSample().ShouldSample(p)
}

func (s *sampler) Description() string { return "notes" }

// TestSpans shows that a sampler sees the attributes of all spans when they start,
// and that none is made for nobody. A provider is set for the process, so this must
// not run beside others.
func TestSpans(t *testing.T) {
	ask := durable.NewActivity("ask", func(ctx context.Context, _ string) (bool, error) {
		return oteltrace.SpanFromContext(ctx).IsRecording(), nil
	})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, in string) (bool, error) { return ask.Call(ctx, in) })
	rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{}, ask, run)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	recording := func() bool {
		t.Helper()
		yes, err := run.Run(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if recording() {
		t.Error("a span is recorded without a provider")
	}

	notes, spans := &sampler{seen: map[string]attribute.Set{}}, tracetest.NewInMemoryExporter()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans), trace.WithSampler(notes)))
	defer otel.SetTracerProvider(before)
	if !recording() {
		t.Error("no span is recorded")
	}
	if n := len(spans.GetSpans()); n != 3 {
		t.Errorf("%d spans, want 3", n)
	}
	for name, task := range map[string]string{"create_orchestration:run": "run", "orchestration:run": "run", "activity:ask": "ask"} {
		seen := notes.seen[name]
		if v, _ := seen.Value("durabletask.task.name"); v.AsString() != task {
			t.Errorf("the sampler saw %v when %s started", seen.Encoded(attribute.DefaultEncoder()), name)
		}
	}
}
