package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/tools"
)

func Example() {
	type City struct {
		Name string `json:"name" jsonschema:"description=City in English"`
		Days int    `json:"days,omitempty" jsonschema:"minimum=1,maximum=7,default=1"`
	}
	weather := tools.New("weather", "Weather forecast for a city.",
		func(ctx context.Context, in City) (string, error) {
			return fmt.Sprintf("%s, %d day(s): sunny", in.Name, in.Days), nil
		},
		tools.Pure())

	ctx := context.Background()
	fmt.Println(string(weather.Schema()))
	result, err := weather.Call(ctx, tools.Call{Arguments: `{"name": "Oslo"}`})
	fmt.Println(result.Content, err)
	_, err = weather.Call(ctx, tools.Call{Arguments: `{"city": "Oslo", "days": 30}`})
	fmt.Println(tools.ErrorResult(err).Content)
	// Output:
	// {"properties":{"name":{"type":"string","description":"City in English"},"days":{"type":"integer","maximum":7,"minimum":1,"default":1}},"additionalProperties":false,"type":"object","required":["name"]}
	// Oslo, 1 day(s): sunny <nil>
	// invalid arguments for tool weather: /city: unknown field, the fields are days, name; /days: must be at most 7; /name: missing, string is required. Correct them and call the tool again.
}

type refund struct {
	Order string `json:"order"`
}

// A payment service that knows its requests by key, as real ones do.
var payments = map[string]string{}

func pay(ctx context.Context, in refund) (string, error) {
	payments[tools.Key(ctx)] = "refunded " + in.Order
	return "", &tools.UnknownOutcomeError{Err: errors.New("connection lost before the answer")}
}

func findPayment(ctx context.Context, key string, in refund) (string, bool, error) {
	receipt, ok := payments[key]
	return receipt, ok, nil
}

// An unsafe call whose outcome is unknown is not repeated. The tool is asked by key instead.
func ExampleReconcile() {
	tool := tools.New("refund", "Refund an order.", pay, tools.Unsafe(), tools.Reconcile(findPayment))

	ctx := context.Background()
	call := tools.Call{Key: "k1", Arguments: `{"order": "A-7"}`}
	_, err := tool.Call(ctx, call)
	fmt.Println(err)

	outcome, err := tool.Reconcile(ctx, call)
	fmt.Println(outcome.Happened, outcome.Result.Content, err)
	// Output:
	// tool refund: the outcome of call k1 is unknown: connection lost before the answer
	// true refunded A-7 <nil>
}

// A tool that others made is corrected, and two sets that have a tool of the same name are kept apart.
func ExampleCollect() {
	find := func(context.Context, struct{}) (string, error) { return "", nil }
	wiki := tools.Static("wiki", tools.New("search", "Search the wiki.", find))
	code := tools.Static("code", tools.New("search", "Search the code.", find))

	ctx := context.Background()
	_, err := tools.Collect(ctx, wiki, code)
	fmt.Println(err)

	code = tools.WithOptions(tools.Prefix(code, "code_"), func(tools.Tool) []tools.Option { return []tools.Option{tools.Pure()} })
	all, err := tools.Collect(ctx, wiki, code)
	for _, t := range all {
		fmt.Println(t.Name(), t.Effect())
	}
	fmt.Println(err)
	// Output:
	// toolsets "wiki" and "code" both have a tool "search": rename one, with tools.Prefix for instance
	// search unsafe
	// code_search pure
	// <nil>
}

// The runner of a call gives it the run's state, and merges what the call has changed.
func ExampleSetState() {
	visit := tools.New("visit", "Count a visit.", func(ctx context.Context, _ struct{}) (int, error) {
		count, _, err := tools.State[int](ctx, "visits")
		if err != nil {
			return 0, err
		}
		return count + 1, tools.SetState(ctx, "visits", count+1)
	})

	state := map[string]json.RawMessage{}
	for range 2 {
		result, err := visit.Call(tools.WithState(context.Background(), state), tools.Call{})
		if err == nil {
			state, err = tools.MergeState(state, result.Changes)
		}
		fmt.Println(result.Content, string(state["visits"]), err)
	}
	// Output:
	// 1 1 <nil>
	// 2 2 <nil>
}
