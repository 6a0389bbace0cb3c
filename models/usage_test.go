package models

import (
	"context"
	"errors"
	"testing"
)

func TestRequireUsage(t *testing.T) {
	call := ToolCall{ID: "1", Name: "f"}
	tests := []struct {
		name string
		resp Response
		ok   bool
	}{
		{"reported", Response{Message: AssistantMessage("hi"), Finish: FinishStop, Usage: Usage{InputTokens: 3, OutputTokens: 1}}, true},
		{"none", *say("hi"), false},
		{"no input", Response{Message: AssistantMessage("hi"), Finish: FinishStop, Usage: Usage{OutputTokens: 1}}, false},
		{"no output for text", Response{Message: AssistantMessage("hi"), Finish: FinishStop, Usage: Usage{InputTokens: 3}}, false},
		{"no output for a call", Response{Message: AssistantMessage("", call), Finish: FinishToolCalls, Usage: Usage{InputTokens: 3}}, false},
		{"nothing said", Response{Message: AssistantMessage(""), Finish: FinishLength, Usage: Usage{InputTokens: 3}}, true},
		{"negative", Response{Message: AssistantMessage("hi"), Finish: FinishStop, Usage: Usage{InputTokens: 3, OutputTokens: 1, CachedTokens: -1}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := modelFunc(func(_ context.Context, y func(Event, error) bool) { y(Event{Response: &tt.resp}, nil) })
			_, err := Collect(RequireUsage(m).Generate(t.Context(), &Request{}))
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Kind != KindNoUsage || e.Retryable()) {
				t.Errorf("error %#v", e)
			}
		})
	}
	if _, err := Collect(RequireUsage(fails(busy(0))).Generate(t.Context(), &Request{})); KindOf(err) != KindUnavailable {
		t.Errorf("error %v", err)
	}
}
