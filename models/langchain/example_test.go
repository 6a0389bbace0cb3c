package langchain_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/tmc/langchaingo/llms/anthropic"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
)

func ExampleNew() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}`)
	}))
	defer server.Close()

	llm, err := anthropic.New(
		anthropic.WithBaseURL(server.URL),
		anthropic.WithToken("sk-secret"),
		anthropic.WithHTTPClient(langchain.HTTPClient(nil)), // lets the status be known
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	claude := langchain.New(llm, langchain.Options{Provider: "anthropic", OnePartPerMessage: true})

	_, err = models.Collect(claude.Generate(context.Background(), &models.Request{
		Messages: []models.Message{models.UserMessage("Hello!")},
	}))
	fmt.Println(err)
	// Output:
	// anthropic: rate_limit (status 429, rate_limit_error): Slow down.; retry after 30s
}

func ExampleNewOpenAI() {
	m, err := langchain.NewOpenAI(langchain.OpenAIOptions{BaseURL: "http://localhost:11434/v1", APIKey: "sk-secret", Model: "qwen3:8b"})
	fmt.Println(m, err)
	// Output:
	// langchain openai http://localhost:11434/v1 model qwen3:8b <nil>
}
