package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

// words are what servers say about a failure.
type words struct{ code, kind, message string }

// parseWords reads an error's body: OpenAI's envelope, those of its imitators, or
// any text.
func parseWords(body []byte) words {
	var outer struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"` // FastAPI
	}
	if json.Unmarshal(body, &outer) != nil {
		if looksLikeHTML(body) {
			return words{message: "an HTML page instead of an answer"}
		}
		return words{message: string(body)}
	}
	var inner struct {
		Code    any    `json:"code"`
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(outer.Error, &text) == nil && text != "": // Ollama and others
		return words{message: text}
	case len(outer.Error) > 0 && json.Unmarshal(outer.Error, &inner) == nil:
		if f, ok := inner.Code.(float64); ok {
			inner.Code = int(f)
		}
		return words{code: word(inner.Code), kind: inner.Type, message: inner.Message}
	case outer.Message != "":
		return words{message: outer.Message}
	case len(outer.Detail) > 0:
		return words{message: string(outer.Detail)}
	}
	return words{message: string(body)}
}

// hasError reports whether a body is JSON with an error in it.
func hasError(body []byte) bool {
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	return json.Unmarshal(body, &outer) == nil && len(outer.Error) > 0 && string(outer.Error) != "null"
}

func looksLikeHTML(body []byte) bool {
	start := strings.ToLower(models.OneLine(string(body), 32))
	return strings.HasPrefix(start, "<!doctype") || strings.HasPrefix(start, "<html")
}

// word returns a code that may be text, a number or nothing.
func word(code any) string {
	if code == nil {
		return ""
	}
	return fmt.Sprint(code)
}

// byWord are codes and types that say more than the status that they come with.
var byWord = map[string]models.ErrorKind{
	"insufficient_quota":         models.KindQuota,
	"billing_hard_limit_reached": models.KindQuota,
	"billing_not_active":         models.KindQuota,
	"context_length_exceeded":    models.KindContextLength,
	"exceed_context_size_error":  models.KindContextLength, // llama.cpp
	"content_filter":             models.KindContentFilter, // Azure
	"content_policy_violation":   models.KindContentFilter,
	"model_not_found":            models.KindNotFound,
	"not_found_error":            models.KindNotFound,
	"invalid_api_key":            models.KindAuth,
	"authentication_error":       models.KindAuth,
	"permission_error":           models.KindAuth,
	"rate_limit_exceeded":        models.KindRateLimit,
	"rate_limit_error":           models.KindRateLimit,
	"server_error":               models.KindUnavailable,
	"overloaded_error":           models.KindUnavailable,
	"service_unavailable":        models.KindUnavailable,
	"engine_overloaded":          models.KindUnavailable,
	"timeout":                    models.KindTimeout,
	"invalid_prompt":             models.KindInvalidRequest,
	"unsupported_parameter":      models.KindInvalidRequest,
	"unsupported_value":          models.KindInvalidRequest,
}

// byPhrase is for servers that have no word for it.
var byPhrase = []struct {
	phrase string
	kind   models.ErrorKind
}{
	{"maximum context length", models.KindContextLength},
	{"context length exceeded", models.KindContextLength},
	{"exceeds the available context size", models.KindContextLength},
	{"prompt is too long", models.KindContextLength},                   // Anthropic
	{"exceeds the maximum number of tokens", models.KindContextLength}, // Gemini
	{"credit balance is too low", models.KindQuota},                    // Anthropic
}

// neverFits reports whether a rate limit is one that the request alone is over: "Request
// too large for … on tokens per min (TPM): Limit 6000, Requested 8107". OpenAI says so with
// 429, Groq with 413, both with the code of any other rate limit, and no wait helps.
func neverFits(message string) bool {
	return strings.HasPrefix(strings.ToLower(message), "request too large")
}

// classify gives the kind of a failure. The code decides, then the type, then the
// status; the text only where a server has nothing else to say.
func classify(status int, w words) models.ErrorKind {
	if n, err := strconv.Atoi(w.code); err == nil && status == 0 && n >= 400 && n < 600 {
		status = n // OpenRouter sends the status as code in mid-stream
	}
	for _, name := range []string{w.code, w.kind} {
		if kind, ok := byWord[strings.ToLower(name)]; ok {
			return kind
		}
	}
	text := strings.ToLower(w.message)
	if status == 400 || status == 413 || status == 0 {
		for _, p := range byPhrase {
			if strings.Contains(text, p.phrase) {
				return p.kind
			}
		}
	}
	switch {
	case w.kind == "invalid_request_error" && status == 0:
		return models.KindInvalidRequest
	case status == 0:
		return models.KindUnavailable
	case status == 401, status == 403, status == 407:
		return models.KindAuth
	case status == 402:
		return models.KindQuota
	case status == 404:
		return models.KindNotFound
	case status == 408, status == 504:
		return models.KindTimeout
	case status == 429:
		return models.KindRateLimit
	case status == 409, status == 425, status >= 500 && status != 501:
		return models.KindUnavailable
	}
	return models.KindInvalidRequest
}
