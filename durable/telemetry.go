package durable

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Spans have the names and attributes that all SDKs of the Durable Task protocol
// use, so that runs of several languages make one trace. They go to the global
// TracerProvider of OpenTelemetry and cost little where none is set.
//
// Nothing is emitted twice by a replay: an activity's span is made where its
// function really runs, and an orchestration's once, when it ends.

func tracer() trace.Tracer { return otel.Tracer("Microsoft.DurableTask") }

// unset is the provider that OpenTelemetry has before one is set; nil where that
// happened before this package was initialized.
var unset = func() trace.TracerProvider {
	p := otel.GetTracerProvider()
	if t := reflect.TypeOf(p); t.Kind() == reflect.Pointer && strings.HasPrefix(t.Elem().PkgPath(), "go.opentelemetry.io/otel/internal/") {
		return p
	}
	return nil
}()

// startSpan starts a span. A provider that was set gets its attributes at once,
// for its sampler to see; without one they are not even made, unless the span
// turns out to be recorded (by instrumentation from outside of the process).
func startSpan(ctx context.Context, name string, options []trace.SpanStartOption, attributes func() []attribute.KeyValue) (context.Context, trace.Span) {
	if otel.GetTracerProvider() != unset {
		return tracer().Start(ctx, name, append(slices.Clip(options), trace.WithAttributes(attributes()...))...)
	}
	ctx, s := tracer().Start(ctx, name, options...)
	if s.IsRecording() {
		s.SetAttributes(attributes()...)
	}
	return ctx, s
}

var (
	producer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}
	server   = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
)

const (
	attrType      = attribute.Key("durabletask.type")
	attrName      = attribute.Key("durabletask.task.name")
	attrVersion   = attribute.Key("durabletask.task.version")
	attrInstance  = attribute.Key("durabletask.task.instance_id")
	attrExecution = attribute.Key("durabletask.task.execution_id")
	attrTask      = attribute.Key("durabletask.task.task_id")
	attrStatus    = attribute.Key("durabletask.task.status")
)

// spanName is KIND:NAME, with @(VERSION) where there is one.
func spanName(kind, name, version string) string {
	if version != "" {
		return kind + ":" + name + "@(" + version + ")"
	}
	return kind + ":" + name
}

var w3c propagation.TraceContext

// inject gives the trace context of ctx's span in the form of the protocol.
func inject(ctx context.Context) history.TraceContext {
	m := propagation.MapCarrier{}
	w3c.Inject(ctx, m)
	return history.TraceContext{Parent: m["traceparent"], State: m["tracestate"]}
}

func extract(ctx context.Context, t history.TraceContext) context.Context {
	if t.Parent == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier{"traceparent": t.Parent, "tracestate": t.State})
}

func endSpan(s trace.Span, err error) {
	if err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}

// startCreateSpan is the client's side of a new instance.
func startCreateSpan(ctx context.Context, name, version string) (history.TraceContext, func(id string, err error)) {
	ctx, s := startSpan(ctx, spanName("create_orchestration", name, version), producer, func() []attribute.KeyValue {
		return []attribute.KeyValue{attrType.String("orchestration"), attrName.String(name), attrVersion.String(version)}
	})
	return inject(ctx), func(id string, err error) {
		s.SetAttributes(attrInstance.String(id))
		endSpan(s, err)
	}
}

// startActivitySpan is the worker's side of an activity.
func startActivitySpan(ctx context.Context, a *activity, c *engine.Call) (context.Context, trace.Span) {
	return startSpan(extract(ctx, c.Trace), spanName("activity", a.name, c.Version), server, func() []attribute.KeyValue {
		return []attribute.KeyValue{attrType.String("activity"), attrName.String(a.name), attrInstance.String(c.Instance.ID),
			attrExecution.String(c.Instance.Execution), attrTask.String(strconv.Itoa(int(c.ID)))}
	})
}

func endActivitySpan(s trace.Span, o engine.Outcome) {
	if o.Failure != nil {
		endSpan(s, o.Failure)
		return
	}
	s.End()
}

// orchestrationSpan is one for the whole execution. It begins in the first turn;
// its steps are its children. Where the process ends before the execution does,
// the span is lost with it, and the process that sees the end emits one with the
// same name, parent and times, to which the earlier steps are siblings.
type orchestrationSpan struct {
	span trace.Span
	tc   history.TraceContext
}

// context gives what the actions of the orchestration carry.
func (s *orchestrationSpan) context(x *executor) history.TraceContext {
	if s.span == nil {
		s.start(x)
	}
	return s.tc
}

func (s *orchestrationSpan) start(x *executor) {
	if x.begun == nil {
		s.span = trace.SpanFromContext(context.Background())
		return
	}
	options := append(slices.Clip(server), trace.WithTimestamp(x.begun.at))
	ctx := extract(context.Background(), x.begun.trace)
	ctx, s.span = startSpan(ctx, spanName("orchestration", x.def.name, x.begun.version), options, func() []attribute.KeyValue {
		return []attribute.KeyValue{attrType.String("orchestration"), attrName.String(x.def.name),
			attrInstance.String(x.instance.ID), attrExecution.String(x.instance.Execution)}
	})
	s.tc = inject(ctx)
}

// turn ends the span with the execution.
func (s *orchestrationSpan) turn(x *executor, t *engine.Turn) {
	n := len(t.Actions)
	if n == 0 || t.Actions[n-1].Kind != history.ExecutionCompleted {
		return
	}
	if s.span == nil {
		s.start(x)
	}
	done := t.Actions[n-1]
	s.span.SetAttributes(attrStatus.String(done.Status.String()))
	if done.Failure != nil {
		s.span.SetStatus(codes.Error, done.Failure.Error())
	}
	s.span.End(trace.WithTimestamp(x.now))
	s.span = nil
}

// drop forgets the span of an executor that is put away before its end.
func (s *orchestrationSpan) drop() { s.span = nil }

// SpanContext gives a context in which spans that an orchestration emits are
// children of its own span. Emit them only while IsReplaying is false.
func SpanContext(ctx *Context) context.Context {
	return extract(context.Background(), ctx.x.span.context(ctx.x))
}
