package models_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
)

// TestInFrontOfServer puts everything in front of a provider and that in front of a
// server of others, which is busy, out of credit, silent and cut off, one after the other.
func TestInFrontOfServer(t *testing.T) {
	failing := func(model, code string, after int) modeltest.Fixture {
		return modeltest.Fixture{"match": map[string]any{"userMessage": "hello", "model": model}, "response": map[string]any{
			"error": map[string]any{"message": "not now", "type": "requests", "code": code}, "status": 429, "retryAfter": after}}
	}
	saying := func(model, text string, more modeltest.Fixture) modeltest.Fixture {
		f := modeltest.Fixture{"match": map[string]any{"userMessage": "hello", "model": model}, "chunkSize": 5,
			"response": map[string]any{"content": text, "usage": map[string]any{"prompt_tokens": 1000, "completion_tokens": 10}}}
		for k, v := range more {
			f[k] = v
		}
		return f
	}
	server := modeltest.StartAimock(t,
		failing("busy-1", "rate_limit_exceeded", 90),
		failing("poor-1", "insufficient_quota", 1),
		saying("silent-1", "too late", modeltest.Fixture{"latency": 120_000}),
		saying("cut-1", strings.Repeat("half ", 40), modeltest.Fixture{"truncateAfterChunks": 4, "latency": 20}),
		saying("good-1", "Good day.", nil),
	)
	id := server.NewTestID(t)
	client, err := openai.New(openai.Options{BaseURL: server.BaseURL, Headers: map[string]string{modeltest.TestIDHeader: id}})
	if err != nil {
		t.Fatal(err)
	}
	var chain []models.Named
	for _, name := range []string{"busy-1", "poor-1", "silent-1", "cut-1", "good-1"} {
		var bounds models.Timeouts
		if name == "silent-1" {
			bounds.FirstToken = 100 * time.Millisecond
		}
		m := models.WithRetry(models.WithTimeouts(client, bounds), models.RetryOptions{MaxAttempts: 2, FirstInterval: 1})
		chain = append(chain, models.Named{Name: name, Model: models.RequireUsage(m)})
	}
	fallback := models.Fallback(chain, models.FallbackOptions{Restart: true})
	request := &models.Request{Model: "chain", Messages: []models.Message{models.UserMessage("hello")}}

	text, voided := "", ""
	var answer *models.Response
	for ev, err := range fallback.Generate(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		text += ev.Delta
		if ev.Superseded != nil {
			text, voided = "", text
		}
		answer = ev.Response
	}
	if text != "Good day." || answer.Message.Content != text || !strings.HasPrefix(voided, "half ") || answer.Answered != "good-1" {
		t.Errorf("shown %q after %q; the answer is %+v", text, voided, answer)
	}
	var tried []string
	for _, x := range answer.Tried {
		tried = append(tried, x.Model+" "+string(x.Kind))
	}
	want := []string{"busy-1 rate_limit", "poor-1 quota", "silent-1 timeout", "cut-1 incomplete"}
	if !slices.Equal(tried, want) || answer.Tried[2].Attempts != 2 {
		t.Errorf("tried %+v; want %v, the silent one twice", answer.Tried, want)
	}
	var asked []string
	for _, e := range server.Journal(t, id) {
		var body struct {
			Model string `json:"model"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatal(err)
		}
		asked = append(asked, body.Model)
	}
	if got := slices.Compact(slices.Clone(asked)); !slices.Equal(got, []string{"busy-1", "poor-1", "silent-1", "cut-1", "good-1"}) || len(asked) > 6 {
		t.Errorf("the server was asked as %v", asked)
	}

	// The chain's answer was that of a stand-in, the good model's own is kept.
	requests := len(asked)
	prices := models.Prices{"good-*": {Input: 2 * models.Dollar, Output: 8 * models.Dollar}}
	kept := models.WithCache(chain[4].Model, models.NewMemoryCache(0), models.CacheOptions{})
	request.Model = "good-1"
	for i, cost := range []models.Money{2_080_000, 0} {
		answer, err := models.Collect(kept.Generate(t.Context(), request))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := prices.CostOf("good-1", answer); err != nil || got != cost || answer.Cached != (i == 1) || answer.Message.Content != "Good day." {
			t.Errorf("answer %d costs %s, %v: %+v", i+1, got, err, answer)
		}
	}
	if n := len(server.Journal(t, id)) - requests; n != 1 {
		t.Errorf("the server was asked %d times for what is in the cache", n)
	}
}
