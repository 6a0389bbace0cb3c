package models_test

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

// overloaded is a model that cannot answer now.
var overloaded = scripted.Func(func(*models.Request) (*models.Response, error) {
	return nil, &models.Error{Kind: models.KindUnavailable, Message: "overloaded"}
})

// good answers, and says what it took.
var good = scripted.Func(func(*models.Request) (*models.Response, error) {
	return &models.Response{Message: models.AssistantMessage("Four."), Usage: models.Usage{InputTokens: 1000, OutputTokens: 10}}, nil
})

func ExampleFallback() {
	model := models.Fallback([]models.Named{
		{Name: "large", Model: models.WithTimeouts(overloaded, models.Timeouts{FirstToken: 20 * time.Second})},
		{Name: "small", Model: good},
	}, models.FallbackOptions{})

	answer, err := models.Collect(model.Generate(context.Background(), &models.Request{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Message.Content, "says", answer.Answered)
	for _, t := range answer.Tried {
		fmt.Println("before:", t.Model, t.Kind, t.Attempts)
	}
	// Output:
	// Four. says small
	// before: large unavailable 1
}

func ExampleFallback_restart() {
	// A model that fails in the middle of its answer.
	model := models.Fallback([]models.Named{{Name: "large", Model: cut{}}, {Name: "small", Model: good}},
		models.FallbackOptions{Restart: true})

	for event, err := range model.Generate(context.Background(), &models.Request{}) {
		switch {
		case err != nil:
			fmt.Println(err)
		case event.Superseded != nil:
			fmt.Printf(" [forget that: %s]\n", event.Superseded.Kind)
		default:
			fmt.Print(event.Delta)
		}
	}
	// Output:
	// The answer [forget that: incomplete]
	// Four.
}

func ExampleWithTimeouts() {
	model := models.WithTimeouts(silent{}, models.Timeouts{FirstToken: time.Millisecond, Total: time.Minute})

	_, err := models.Collect(model.Generate(context.Background(), &models.Request{}))
	fmt.Println(err)
	// Output:
	// timeout: the model said nothing within 1ms
}

func ExampleWithCache() {
	model := models.WithCache(good, models.NewMemoryCache(16<<20), models.CacheOptions{})
	prices := models.Prices{"good": {Input: 3 * models.Dollar, Output: 12 * models.Dollar}}

	request := &models.Request{Model: "good", Messages: []models.Message{models.UserMessage("What is two and two?")}}
	for range 2 {
		answer, err := models.Collect(model.Generate(context.Background(), request))
		if err != nil {
			fmt.Println(err)
			return
		}
		cost, err := prices.CostOf("good", answer)
		fmt.Println(answer.Message.Content, answer.Cached, cost, err)
	}
	// Output:
	// Four. false $0.00312 <nil>
	// Four. true $0.00 <nil>
}

func ExamplePrices_Cost() {
	// Dollars per million tokens, from the provider's price list.
	prices, err := models.ParsePrices([]byte(`{"large": {"input": 2.5, "cachedInput": 0.25, "output": 10}, "small-*": {"input": 0.4, "output": 1.6}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(prices.Cost("large", models.Usage{InputTokens: 1200, CachedTokens: 1000, OutputTokens: 100}))
	fmt.Println(prices.Cost("small-2", models.Usage{InputTokens: 1}))
	fmt.Println(prices.Cost("other", models.Usage{InputTokens: 1}))
	// Output:
	// $0.00175 <nil>
	// $0.0000004 <nil>
	// $0.00 no price for model "other": add it to the table, which has 2
}

func ExampleRequireUsage() {
	mute := scripted.New(scripted.Entry{Text: "Four.", Usage: &models.Usage{}})

	_, err := models.Collect(models.RequireUsage(mute).Generate(context.Background(), &models.Request{}))
	fmt.Println(models.KindOf(err))
	// Output:
	// no_usage
}

// cut says the beginning of an answer only, and silent says nothing at all.
type (
	cut    struct{}
	silent struct{}
)

func (cut) Generate(context.Context, *models.Request) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) { yield(models.Event{Delta: "The answer"}, nil) }
}

func (silent) Generate(ctx context.Context, _ *models.Request) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		<-ctx.Done()
		yield(models.Event{}, models.ContextError(ctx, ""))
	}
}
