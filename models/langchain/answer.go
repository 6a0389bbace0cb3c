package langchain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/tmc/langchaingo/llms"

	"github.com/agentrun-dev/agentrun/models"
)

// answer makes one answer of the library's choices. Only one was asked for, so that
// several are its parts: llms/anthropic returns one for each block of text and each
// tool call.
func (m *Model) answer(resp *llms.ContentResponse, turn int) (_ *models.Response, reasoning string, err error) {
	out := &models.Response{Message: models.AssistantMessage("")}
	var text, thought strings.Builder
	reason := ""
	choices := 0
	if resp != nil {
		for _, c := range resp.Choices {
			if c == nil {
				continue
			}
			choices++
			text.WriteString(c.Content)
			thought.WriteString(thinking(c))
			if reason == "" {
				reason = c.StopReason
			}
			if out.Usage == (models.Usage{}) { // the same in each part
				out.Usage = usage(c.GenerationInfo)
			}
			for _, call := range calls(c) {
				if call.ID == "" { // Gemini has none
					call.ID = fmt.Sprintf("call_%d_%d", turn, len(out.Message.ToolCalls)+1)
				}
				out.Message.ToolCalls = append(out.Message.ToolCalls, call)
			}
		}
	}
	finish, known := finishReason(reason)
	switch {
	case choices == 0:
		return nil, "", &models.Error{Kind: models.KindIncomplete, Provider: m.opts.Provider, Message: "the library returned no answer and no error"}
	case strings.Contains(strings.ToLower(reason), "error"):
		return nil, "", &models.Error{Kind: models.KindUnavailable, Provider: m.opts.Provider, Message: "the provider ended the answer with an error: " + models.OneLine(reason, 100)}
	case !known:
		return nil, "", &models.Error{Kind: models.KindIncomplete, Provider: m.opts.Provider,
			Message: fmt.Sprintf("the answer has no reason why it ended, so it may have been cut after %d bytes", text.Len())}
	case len(out.Message.ToolCalls) > 0 && finish == models.FinishStop:
		finish = models.FinishToolCalls
	case len(out.Message.ToolCalls) == 0 && finish == models.FinishToolCalls:
		finish = models.FinishStop
	}
	out.Message.Content, out.Finish = text.String(), finish
	return out, thought.String(), nil
}

// calls returns the tool calls of a choice, or the one call of an older model.
func calls(c *llms.ContentChoice) []models.ToolCall {
	var out []models.ToolCall
	for _, t := range c.ToolCalls {
		call := models.ToolCall{ID: t.ID}
		if f := t.FunctionCall; f != nil {
			call.Name, call.Arguments = f.Name, f.Arguments
		}
		out = append(out, call)
	}
	if f := c.FuncCall; f != nil && len(out) == 0 {
		out = append(out, models.ToolCall{Name: f.Name, Arguments: f.Arguments})
	}
	return out
}

// thinking returns what a model thought aloud beside its text. Some models of the
// library report what they found in the text itself, which is not repeated.
func thinking(c *llms.ContentChoice) string {
	if c.ReasoningContent != "" {
		return c.ReasoningContent
	}
	thought, _ := c.GenerationInfo["ThinkingContent"].(string)
	if strings.Contains(c.Content, thought) {
		return ""
	}
	return thought
}

// finishReason translates the words of the providers that the library has. It reports
// false for those that say nothing.
func finishReason(reason string) (models.FinishReason, bool) {
	word := strings.ToLower(reason)
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(word, part) {
				return true
			}
		}
		return false
	}
	switch {
	case word == "", word == "null", has("unspecified", "nil>"):
		return "", false
	case has("length", "max_token", "maxtoken", "token_limit", "context_window"):
		return models.FinishLength, true
	case has("filter", "safety", "refus", "recitation", "blocklist", "prohibited", "spii", "guardrail"):
		return models.FinishContentFilter, true
	case has("tool", "function"):
		return models.FinishToolCalls, true
	}
	return models.FinishStop, true
}

// usage reads the counts, whose names differ from model to model of the library.
func usage(info map[string]any) models.Usage {
	count := func(names ...string) int64 {
		for _, name := range names {
			if n := integer(info[name]); n > 0 {
				return n
			}
		}
		return 0
	}
	u := models.Usage{
		InputTokens:     count("PromptTokens", "InputTokens", "input_tokens"),
		OutputTokens:    count("CompletionTokens", "OutputTokens", "output_tokens"),
		CachedTokens:    count("PromptCachedTokens", "CachedTokens", "CacheReadInputTokens"),
		ReasoningTokens: count("CompletionReasoningTokens", "ReasoningTokens", "ThinkingTokens"),
	}
	if _, anthropic := info["CacheCreationInputTokens"]; anthropic {
		// Anthropic counts what it read from its cache, or wrote to it, beside the rest.
		u.InputTokens += integer(info["CacheCreationInputTokens"]) + integer(info["CacheReadInputTokens"])
	}
	if raw, ok := info["usage"]; ok && u == (models.Usage{}) { // Mistral's own type
		var s struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
		}
		if text, err := json.Marshal(raw); err == nil && json.Unmarshal(text, &s) == nil {
			u.InputTokens, u.OutputTokens = s.Prompt, s.Completion
		}
	}
	return u
}

func integer(v any) int64 {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(min(r.Uint(), 1<<62))
	case r.CanFloat():
		return int64(r.Float())
	}
	return 0
}
