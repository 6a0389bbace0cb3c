package models_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

func Example() {
	model := scripted.New(scripted.Entry{Text: "Hello, world!"})

	request := &models.Request{
		Model:    "scripted",
		Messages: []models.Message{models.UserMessage("Say hello.")},
	}
	for event, err := range model.Generate(context.Background(), request) {
		switch {
		case err != nil:
			fmt.Println(err)
		case event.Response != nil:
			fmt.Printf("\n%s after %d tokens\n", event.Response.Finish, event.Response.Usage.OutputTokens)
		default:
			fmt.Print(event.Delta)
		}
	}
	// Output:
	// Hello, world!
	// stop after 4 tokens
}

func ExampleResolver_Resolve() {
	resolver := models.Resolver{
		Local:     map[string]models.Model{"fake": scripted.New(scripted.Entry{Text: "Hi."})},
		Providers: []models.Provider{{Name: "openai", Setup: "set OPENAI_API_KEY"}},
	}
	_, err := resolver.Resolve("gpt-4.1")
	fmt.Println(err)
	// Output:
	// not_found: model "gpt-4.1" is not known; the program's models are fake; provider openai is not configured (set OPENAI_API_KEY)
}

func ExampleWithRetry() {
	attempts := 0
	busy := scripted.Func(func(*models.Request) (*models.Response, error) {
		if attempts++; attempts < 3 {
			return nil, &models.Error{Kind: models.KindUnavailable, Message: "overloaded"}
		}
		return &models.Response{Message: models.AssistantMessage("Here you are.")}, nil
	})
	patient := models.WithRetry(busy, models.RetryOptions{FirstInterval: 1}) // a nanosecond, for the example

	answer, err := models.Collect(patient.Generate(context.Background(), &models.Request{}))
	fmt.Println(answer.Message.Content, err, attempts)
	// Output:
	// Here you are. <nil> 3
}
