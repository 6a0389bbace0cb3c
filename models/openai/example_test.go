package openai_test

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/models/openai"
)

func ExampleNew() {
	client, err := openai.New(openai.Options{BaseURL: "http://localhost:11434/v1", APIKey: "sk-secret", Model: "qwen3:8b"})
	fmt.Println(client, err)

	_, err = openai.New(openai.Options{BaseURL: "localhost:11434"})
	fmt.Println(err)
	// Output:
	// openai http://localhost:11434/v1 model qwen3:8b <nil>
	// openai: base URL "localhost:11434" must begin with http:// or https:// and a host
}
