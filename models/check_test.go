package models

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// modelFunc is a model that yields what a function yields.
type modelFunc func(ctx context.Context, yield func(Event, error) bool)

func (f modelFunc) Generate(ctx context.Context, _ *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { f(ctx, yield) }
}

func say(text string) *Response {
	return &Response{Message: AssistantMessage(text), Finish: FinishStop}
}

func TestValidate(t *testing.T) {
	call := func(id, name, args string) ToolCall { return ToolCall{ID: id, Name: name, Arguments: args} }
	tests := []struct {
		name string
		resp Response
		kind ErrorKind // "" if valid
		says string
	}{
		{"text", *say("hi"), "", ""},
		{"calls", Response{Message: AssistantMessage("", call("1", "f", "not json"), call("2", "f", "")), Finish: FinishToolCalls}, "", ""},
		{"cut before the first word", Response{Message: AssistantMessage(""), Finish: FinishLength}, "", ""},
		{"filtered", Response{Message: AssistantMessage(""), Finish: FinishContentFilter}, "", ""},
		{"neither text nor call", *say(" \n"), KindMalformed, "neither text nor tool calls"},
		{"role", Response{Message: UserMessage("hi"), Finish: FinishStop}, KindMalformed, `role "user"`},
		{"finish", Response{Message: AssistantMessage("hi"), Finish: "sleepy"}, KindMalformed, "sleepy"},
		{"no finish", Response{Message: AssistantMessage("hi")}, KindMalformed, "unknown reason"},
		{"duplicate ids", Response{Message: AssistantMessage("", call("1", "f", ""), call("1", "g", "")), Finish: FinishToolCalls}, KindMalformed, `"1"`},
		{"no id", Response{Message: AssistantMessage("", call("", "f", "")), Finish: FinishToolCalls}, KindMalformed, "no id"},
		{"no name", Response{Message: AssistantMessage("", call("1", " ", "")), Finish: FinishToolCalls}, KindMalformed, "names no tool"},
		{"UTF-8 of text", *say("h\xff"), KindMalformed, "UTF-8"},
		{"UTF-8 of arguments", Response{Message: AssistantMessage("", call("1", "f", "\xff")), Finish: FinishToolCalls}, KindMalformed, "UTF-8"},
		{"size", Response{Message: AssistantMessage("", call("1", "f", strings.Repeat("x", MaxAnswerBytes))), Finish: FinishToolCalls}, KindTooLarge, "more than"},
		{"number of calls", Response{Message: AssistantMessage("", make([]ToolCall, MaxToolCalls+1)...), Finish: FinishToolCalls}, KindTooLarge, "1025 tool calls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.resp.Validate()
			if KindOf(err) != tt.kind {
				t.Fatalf("error is %v; want kind %q", err, tt.kind)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
		})
	}
}

func TestCheckedEnds(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		f    modelFunc
		want string // the events, one letter each: d delta, r response, e error
		kind ErrorKind
	}{
		{"whole", func(_ context.Context, y func(Event, error) bool) {
			_ = y(Event{Delta: "hi"}, nil) && y(Event{Response: say("hi")}, nil)
		}, "dr", ""},
		{"nothing", func(context.Context, func(Event, error) bool) {}, "e", KindIncomplete},
		{"no response", func(_ context.Context, y func(Event, error) bool) { y(Event{Delta: "hi"}, nil) }, "de", KindIncomplete},
		{"more after the response", func(_ context.Context, y func(Event, error) bool) {
			_ = y(Event{Response: say("hi")}, nil) && y(Event{Delta: "more"}, nil)
		}, "r", ""},
		{"more after an error", func(_ context.Context, y func(Event, error) bool) {
			_ = y(Event{}, boom) && y(Event{Delta: "more"}, nil)
		}, "e", KindUnknown},
		{"a context's error", func(_ context.Context, y func(Event, error) bool) {
			y(Event{}, fmt.Errorf("x: %w", context.Canceled))
		}, "e", KindCanceled},
		{"unusable response", func(_ context.Context, y func(Event, error) bool) { y(Event{Response: say("")}, nil) }, "e", KindMalformed},
		{"too many calls", func(_ context.Context, y func(Event, error) bool) {
			y(Event{ToolCall: &ToolCallDelta{Index: MaxToolCalls}}, nil)
		}, "e", KindTooLarge},
		{"endless", func(_ context.Context, y func(Event, error) bool) {
			for y(Event{Reasoning: strings.Repeat("x", MaxAnswerBytes/2)}, nil) {
			}
		}, "dde", KindTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			var last error
			for ev, err := range Checked(tt.f.Generate(t.Context(), nil)) {
				switch {
				case err != nil:
					got += "e"
				case ev.Response != nil:
					got += "r"
				default:
					got += "d"
				}
				last = err
			}
			if got != tt.want || KindOf(last) != tt.kind {
				t.Errorf("events %s, error %v; want %s, kind %q", got, last, tt.want, tt.kind)
			}
			var e *Error
			if last != nil && !errors.As(last, &e) {
				t.Errorf("error %v is not a *models.Error", last)
			}
		})
	}
	if _, err := Collect(modelFunc(func(_ context.Context, y func(Event, error) bool) { y(Event{}, boom) }).Generate(t.Context(), nil)); !errors.Is(err, boom) {
		t.Errorf("error %v hides its cause", err)
	}
}

// TestCheckedStopsModel shows that a model is stopped at the limit, and what it keeps.
func TestCheckedStopsModel(t *testing.T) {
	pieces := 0
	endless := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		for y(Event{Delta: strings.Repeat("x", 1<<20)}, nil) {
			pieces++
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Collect(endless.Generate(t.Context(), nil))
	runtime.ReadMemStats(&after)
	if KindOf(err) != KindTooLarge || pieces > MaxAnswerBytes>>20 {
		t.Errorf("error %v after %d pieces", err, pieces)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 3*MaxAnswerBytes {
		t.Errorf("allocated %d MB", n>>20)
	}
}

func TestStreamAndWords(t *testing.T) {
	for _, text := range []string{"", " ", "a", "two words", "  lead and trail \n\n", "tab\tnew\nline", "naïve café 世界"} {
		pieces := slices.Collect(Words(text))
		if strings.Join(pieces, "") != text || slices.Contains(pieces, "") {
			t.Errorf("Words(%q) = %q", text, pieces)
		}
	}
	if got := slices.Collect(Words("one two  three")); !slices.Equal(got, []string{"one", " two", "  three"}) {
		t.Errorf("words are %q", got)
	}
	resp := &Response{Message: AssistantMessage("", ToolCall{ID: "1", Name: "f"}), Finish: FinishToolCalls}
	got, err := Collect(Stream(resp))
	if err != nil {
		t.Fatal(err)
	}
	got.Message.ToolCalls[0].Name = "changed"
	if resp.Message.ToolCalls[0].Name != "f" {
		t.Error("the answer shares memory with its source")
	}
}
