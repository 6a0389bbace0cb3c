package facts_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory/facts"
)

func Example() {
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", facts.Definitions())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	memory, err := facts.New(facts.Options{Client: func(context.Context) (*durable.Client, error) { return rt.Client(), nil }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer memory.Close()
	anna := facts.User("anna")
	for _, text := range []string{"Anna prefers window seats.", "Anna is a vegetarian."} {
		if _, err := memory.Remember(ctx, anna, facts.NewFact{Key: text, Text: text}); err != nil {
			fmt.Println(err)
			return
		}
	}
	found, err := memory.Search(ctx, []facts.Scope{anna}, "Which seat does she prefer?", 3)
	for _, f := range found {
		fmt.Println(f.Fact.Text, err)
	}
	// Output:
	// Anna prefers window seats. <nil>
}
