package modeltest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// Case is a request and what the model under test must be made to answer.
type Case struct {
	Name    string
	Request models.Request
	// Want is the answer. Its Model and ID are not compared.
	Want models.Response
	// Fail, if set, is how the model must fail instead. Its Kind is compared, and its
	// RetryAfter when it is not 0.
	Fail *models.Error
	// Slow asks for an answer that takes many seconds, with its first words at once:
	// it will be cancelled.
	Slow bool
}

// Prompt is the last message of the user, different in each case.
func (c *Case) Prompt() string {
	prompt := ""
	for _, m := range c.Request.Messages {
		if m.Role == models.RoleUser {
			prompt = m.Content
		}
	}
	return prompt
}

var weather = models.ToolSpec{
	Name:        "get_weather",
	Description: "Current weather in a city.",
	Schema:      json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
}

// Cases returns all cases, so that a server can be told of them before the suite runs.
func Cases() []Case {
	usage := models.Usage{InputTokens: 21, OutputTokens: 9}
	oslo := models.ToolCall{ID: "call_oslo", Name: "get_weather", Arguments: `{"city":"Oslo"}`}
	rome := models.ToolCall{ID: "call_rome", Name: "get_weather", Arguments: `{"city":"Rome"}`}
	return []Case{
		ask("text", "Case text: say hello.",
			models.AssistantMessage("Hello, dear reader — καλημέρα, 世界!\n\nTwo  lines, with \"quotes\"."), usage),
		ask("one tool call", "Case one tool call: weather in Oslo?",
			models.AssistantMessage("", oslo), usage),
		ask("parallel tool calls", "Case parallel tool calls: weather in Oslo and Rome?",
			models.AssistantMessage("", oslo, rome), usage),
		ask("text and tool call", "Case text and tool call: weather in Oslo?",
			models.AssistantMessage("Let me look.", oslo), usage),
		ask("call without arguments", "Case call without arguments: what time is it?",
			models.AssistantMessage("", models.ToolCall{ID: "call_now", Name: "now", Arguments: "{}"}), usage),
		conversation(oslo, rome, usage),
		structured(usage),
		slow(),
		failing(models.KindRateLimit, "rate_limit_exceeded", 429, 7*time.Second),
		failing(models.KindQuota, "insufficient_quota", 429, 0),
		failing(models.KindAuth, "invalid_api_key", 401, 0),
		failing(models.KindNotFound, "model_not_found", 404, 0),
		failing(models.KindInvalidRequest, "unsupported_value", 400, 0),
		failing(models.KindContextLength, "context_length_exceeded", 400, 0),
		failing(models.KindTimeout, "timeout", 408, 0),
		failing(models.KindUnavailable, "server_error", 500, 0),
		failing(models.KindUnavailable, "service_unavailable", 503, 0),
	}
}

func ask(name, prompt string, answer models.Message, usage models.Usage) Case {
	c := Case{
		Name: name,
		Request: models.Request{
			Model:    "gpt-4.1-mini",
			Agent:    "tester",
			Messages: []models.Message{models.SystemMessage("You are tested."), models.UserMessage(prompt)},
			Tools:    []models.ToolSpec{weather, {Name: "now", Description: "The time."}},
		},
		Want: models.Response{Message: answer, Finish: models.FinishStop, Usage: usage},
	}
	if len(answer.ToolCalls) > 0 {
		c.Want.Finish = models.FinishToolCalls
	}
	return c
}

// conversation has everything that a request can carry: earlier calls, their results,
// one of them empty, and arguments that a model wrote wrongly.
func conversation(oslo, rome models.ToolCall, usage models.Usage) Case {
	c := ask("conversation", "Case conversation: and now in one word?", models.AssistantMessage("Sunny."), usage)
	last := c.Request.Messages[1]
	broken := models.ToolCall{ID: "call_bad", Name: "get_weather", Arguments: `{"city":`}
	empty := models.ToolCall{ID: "call_empty", Name: "now"}
	c.Request.Messages = []models.Message{
		models.SystemMessage("You are tested."),
		models.UserMessage("Weather in Oslo and Rome?"),
		models.AssistantMessage("", oslo, rome, broken, empty),
		models.ToolMessage(oslo, "sunny"),
		models.ToolMessage(rome, ""),
		models.ToolMessage(broken, "error: the arguments are not JSON"),
		models.ToolMessage(empty, "noon"),
		models.AssistantMessage("Sunny in both."),
		last,
	}
	return c
}

func structured(usage models.Usage) Case {
	c := ask("structured output", "Case structured output: name a city.", models.AssistantMessage(`{"city":"Oslo"}`), usage)
	c.Request.Tools = nil
	c.Request.Output = &models.OutputSchema{
		Name:   "city",
		Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`),
	}
	return c
}

func slow() Case {
	c := ask("slow", "Case slow: count.", models.AssistantMessage(strings.Repeat("one two three four ", 100)), models.Usage{})
	c.Slow = true
	return c
}

func failing(kind models.ErrorKind, code string, status int, after time.Duration) Case {
	name := fmt.Sprintf("error %d %s", status, kind)
	c := ask(name, "Case "+name+".", models.Message{}, models.Usage{})
	c.Want = models.Response{}
	c.Fail = &models.Error{Kind: kind, Code: code, Status: status, Message: "This failure is part of the test.", RetryAfter: after}
	return c
}
