package modeltest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/models"
)

// stream is what a server sends, and the answer that it is.
type stream struct {
	name, body string
	text       string
	reasoning  string
	calls      []models.ToolCall
	finish     models.FinishReason // "" means stop
	usage      models.Usage
}

func toolCall(id, name, args string) models.ToolCall {
	return models.ToolCall{ID: id, Name: name, Arguments: args}
}

// streams are answers that aimock cannot send, as real servers do.
func streams() []stream {
	long, huge := strings.Repeat("x", 200_000), strings.Repeat("y", 64<<10)
	return append(toolStreams(), []stream{
		{
			name: "comments in great number",
			body: strings.Repeat(": keep-alive\n\n", 400) + Delta(`{"content":"hi"}`) +
				strings.Repeat(": keep-alive\n\n", 400) + Finish("stop") + Done,
			text: "hi",
		},
		{
			name: "megabytes of comments are not kept",
			body: strings.Repeat(": "+strings.Repeat("z", 1000)+"\n\n", 2500) + Delta(`{"content":"hi"}`) + Finish("stop") + Done,
			text: "hi",
		},
		{
			name: "a line over 64 KB",
			body: Delta(`{"content":"`+long+`"}`) + Finish("stop") + Done,
			text: long,
		},
		{
			name: "huge output",
			body: strings.Repeat(Delta(`{"content":"`+huge+`"}`), 100) + Finish("length") + Done,
			text: strings.Repeat(huge, 100), finish: models.FinishLength,
		},
		{
			name: "CRLF, event and id fields, no blank after data",
			body: "event: message\r\nid: 7\r\nretry: 10\r\ndata:" + strings.TrimPrefix(strings.ReplaceAll(Delta(`{"content":"hi"}`), "\n", "\r\n"), "data: ") +
				Finish("stop") + Done,
			text: "hi",
		},
		{
			name: "no blank lines between events",
			body: strings.ReplaceAll(Delta(`{"content":"h"}`)+Delta(`{"content":"i"}`)+Finish("stop")+Done, "\n\n", "\n"),
			text: "hi",
		},
		{
			name: "no end of the last line",
			body: Delta(`{"content":"hi"}`) + strings.TrimSpace(Finish("stop")),
			text: "hi",
		},
		{
			name: "usage in its own chunk, without choices",
			body: Delta(`{"content":"hi"}`) + Finish("stop") +
				`data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}` + "\n\n" + Done,
			text:  "hi",
			usage: models.Usage{InputTokens: 10, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3},
		},
		{
			name: "usage as DeepSeek reports it",
			body: Delta(`{"content":"hi"}`) +
				`data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}}` + "\n\n" + Done,
			text:  "hi",
			usage: models.Usage{InputTokens: 10, OutputTokens: 5, CachedTokens: 4},
		},
		{
			name: "Azure's first chunk, without choices",
			body: `data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}` + "\n\n" +
				Delta(`{"content":"hi"}`) + Finish("stop") + Done,
			text: "hi",
		},
		{
			name: "finish_reason without [DONE] is complete",
			body: Delta(`{"content":"hi"}`) + Finish("stop"),
			text: "hi",
		},
		{
			name:   "cut at the token limit, without a word",
			body:   Delta(`{"role":"assistant"}`) + Finish("length") + Done,
			finish: models.FinishLength,
		},
		{
			name:   "a refusal is text that was filtered",
			body:   Delta(`{"refusal":"I cannot."}`) + Finish("stop") + Done,
			text:   "I cannot.",
			finish: models.FinishContentFilter,
		},
		{
			name: "other choices are left out",
			body: "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":null}]}\n\n" +
				Delta(`{"content":"hi"}`) + Finish("eos") + Done,
			text: "hi",
		},
		{
			name:      "reasoning as DeepSeek calls it",
			body:      Delta(`{"reasoning_content":"hm, "}`) + Delta(`{"reasoning_content":"well"}`) + Delta(`{"content":"yes"}`) + Finish("stop") + Done,
			reasoning: "hm, well", text: "yes",
		},
		{
			name:      "reasoning as OpenRouter and vLLM call it",
			body:      Delta(`{"reasoning":"hm, "}`) + Delta(`{"reasoning":"well"}`) + Delta(`{"content":"yes"}`) + Finish("stop") + Done,
			reasoning: "hm, well", text: "yes",
		},
		{
			name: "role and empty text in each delta, as Ollama sends",
			body: Delta(`{"role":"assistant","content":"h"}`) + Delta(`{"role":"assistant","content":""}`) + Delta(`{"role":"assistant","content":"i"}`) + Finish("stop") + Done,
			text: "hi",
		},
	}...)
}

// toolStreams are those with tool calls in them.
func toolStreams() []stream {
	out := []stream{
		{
			name: "interleaved parallel deltas",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}`) +
				Delta(`{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}`) +
				Delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}`) +
				Delta(`{"tool_calls":[{"index":1,"function":{"arguments":":2}"}},{"index":0,"function":{"arguments":"1}"}}]}`) +
				Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{"x":1}`), toolCall("b", "g", `{"y":2}`)},
		},
		{
			name: "id, name and type repeated in each delta",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}`) +
				Delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":":1}"}}]}`) +
				Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{"x":1}`)},
		},
		{
			name: "type repeated without id and name",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}`) +
				Delta(`{"tool_calls":[{"index":0,"type":"function","function":{"arguments":":1"}}]}`) +
				Delta(`{"tool_calls":[{"index":0,"type":"function","function":{"arguments":"}"}}]}`) + Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{"x":1}`)},
		},
		{
			name: "an empty trailing delta is no call",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}`) +
				Delta(`{"tool_calls":[{"index":1,"function":{}}]}`) + Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{}`)},
		},
		{
			name: "whole calls without index, finished by stop",
			body: Delta(`{"role":"assistant","content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]}`) +
				Finish("stop") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{}`), toolCall("b", "g", `{}`)},
		},
		{
			name: "whole calls that share index 0",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}`) +
				Delta(`{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}`) + Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", `{}`), toolCall("b", "g", `{}`)},
		},
		{
			name:  "a call without id gets one",
			body:  Delta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}`) + Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("call_1_1", "f", `{}`)},
		},
		{
			name: "arguments over 64 KB in one delta",
			body: Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"[`+strings.Repeat("1,", 60_000)+`1]"}}]}`) +
				Finish("tool_calls") + Done,
			calls: []models.ToolCall{toolCall("a", "f", "["+strings.Repeat("1,", 60_000)+"1]")},
		},
		{
			name: "text that looks like a tool call's delta is text",
			body: Delta(`{"content":"[{\"index\":0,\"function\":{\"name\":\"f\"}}]"}`) + Finish("stop") + Done,
			text: `[{"index":0,"function":{"name":"f"}}]`,
		},
	}
	for i := range out {
		if len(out[i].calls) > 0 {
			out[i].finish = models.FinishToolCalls
		}
	}
	return out
}

func wholeStreams(t *testing.T, open OpenChat) {
	for _, s := range streams() {
		t.Run(s.name, func(t *testing.T) {
			c := Case{Request: *hello()}
			m := open.serve(t, 200, eventStream, s.body)
			var reasoning strings.Builder
			for ev, err := range m.Generate(t.Context(), &c.Request) {
				if err != nil {
					t.Fatal(err)
				}
				reasoning.WriteString(ev.Reasoning)
			}
			got := gather(t, m, c)
			if got == nil {
				return
			}
			want := models.Response{Message: models.AssistantMessage(s.text, s.calls...), Finish: s.finish, Usage: s.usage, Model: "m-1", ID: "c1"}
			if want.Finish == "" {
				want.Finish = models.FinishStop
			}
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			if string(g) != string(w) {
				t.Errorf("got  %.2000s\nwant %.2000s", g, w)
			}
			if reasoning.String() != s.reasoning {
				t.Errorf("reasoning is %q; want %q", reasoning.String(), s.reasoning)
			}
		})
	}
}
