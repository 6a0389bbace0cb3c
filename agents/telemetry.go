package agents

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Spans follow OpenTelemetry's conventions for generative AI: invoke_agent, chat
// and execute_tool. Those of models and tools are made where the call really
// happens, inside the activity's span; invoke_agent once, when the run ends. No
// replay emits any of them. What people and models say is not in them.

func tracer() trace.Tracer { return otel.Tracer("github.com/agentrun-dev/agentrun/agents") }

const (
	attrOperation    = attribute.Key("gen_ai.operation.name")
	attrAgent        = attribute.Key("gen_ai.agent.name")
	attrModel        = attribute.Key("gen_ai.request.model")
	attrAnswered     = attribute.Key("gen_ai.response.model")
	attrFinish       = attribute.Key("gen_ai.response.finish_reasons")
	attrInput        = attribute.Key("gen_ai.usage.input_tokens")
	attrOutput       = attribute.Key("gen_ai.usage.output_tokens")
	attrTool         = attribute.Key("gen_ai.tool.name")
	attrCall         = attribute.Key("gen_ai.tool.call.id")
	attrConversation = attribute.Key("gen_ai.conversation.id")
	attrError        = attribute.Key("error.type")
)

func fail(s trace.Span, err error) {
	s.SetStatus(codes.Error, err.Error())
	s.SetAttributes(attrError.String("error"))
}

func startChatSpan(ctx context.Context, req *models.Request) (context.Context, func(*models.Response, error)) {
	ctx, s := tracer().Start(ctx, "chat "+req.Model, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attrOperation.String("chat"), attrAgent.String(req.Agent), attrModel.String(req.Model)))
	return ctx, func(resp *models.Response, err error) {
		if err != nil {
			s.SetStatus(codes.Error, err.Error())
			s.SetAttributes(attrError.String(string(models.KindOf(err))))
		} else {
			s.SetAttributes(attrAnswered.String(resp.Model), attrFinish.StringSlice([]string{string(resp.Finish)}),
				attrInput.Int64(resp.Usage.InputTokens), attrOutput.Int64(resp.Usage.OutputTokens))
		}
		s.End()
	}
}

func startToolSpan(ctx context.Context, t tools.Tool, c tools.Call) (context.Context, func(tools.Result, error)) {
	ctx, s := tracer().Start(ctx, "execute_tool "+t.Name(), trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(attrOperation.String("execute_tool"), attrAgent.String(c.Agent), attrTool.String(t.Name()), attrCall.String(c.ID)))
	return ctx, func(_ tools.Result, err error) {
		if err != nil {
			fail(s, err)
		}
		s.End()
	}
}

// traceRun emits the run's span when it ends, with the times of the orchestration.
func (r *run) traceRun(begun time.Time, err error) {
	if r.ctx.IsReplaying() {
		return
	}
	_, s := tracer().Start(durable.SpanContext(r.ctx), "invoke_agent "+r.agent.config.Name,
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithTimestamp(begun),
		trace.WithAttributes(attrOperation.String("invoke_agent"), attrAgent.String(r.agent.config.Name),
			attrModel.String(r.agent.config.Model), attrConversation.String(r.conversation),
			attrInput.Int64(r.state.Result.Usage.InputTokens), attrOutput.Int64(r.state.Result.Usage.OutputTokens)))
	if err != nil {
		fail(s, err)
	}
	s.End(trace.WithTimestamp(r.ctx.Now()))
}
