package conformance

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/agentrun-dev/agentrun"
	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// asProgram makes the test binary the program of a user, with the command line that all have.
const asProgram = "AGENTRUN_CONFORMANCE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		agentrun.Main(program())
	}
	os.Exit(m.Run())
}

// TestMixed runs the programs of js/mixed against a program that serves definitions of its own.
func TestMixed(t *testing.T) {
	node := findNode(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, telemetry := range []bool{false, true} {
		t.Run(runName(telemetry), func(t *testing.T) {
			node.run(t, files(t, "js/mixed/*.test.mjs"), self, serve(t, self, asProgram+"=1"), telemetry)
		})
	}
}

type order struct {
	Customer string  `json:"customer"`
	Net      float64 `json:"net"`
}

type bill struct {
	Greeting string  `json:"greeting"`
	Gross    float64 `json:"gross"`
	Refused  string  `json:"refused"`
	Reviewed string  `json:"reviewed"`
	Paid     float64 `json:"paid"`
}

// program has half of what js/mixed runs: the activities "format" and "refuse", the orchestration
// "review" and the entity "till" are there, in JavaScript.
func program() agentrun.App {
	greet := durable.NewOrchestration("go greet", func(ctx *durable.Context, name string) (string, error) {
		return durable.CallActivity[string](ctx, "format", map[string]string{"template": "Hello, %!", "name": name})
	})

	tax := durable.NewActivity("go tax", func(_ context.Context, net float64) (float64, error) {
		if net < 0 {
			return 0, durable.NonRetriable(fmt.Errorf("a net price of %v", net))
		}
		return net * 1.25, nil
	})

	type book struct{ Sum float64 }
	ledger := durable.NewEntity[book]("ledger")
	add := durable.Operation(ledger, "add", func(_ *durable.EntityContext, b *book, amount float64) (float64, error) {
		b.Sum += amount
		return b.Sum, nil
	})

	// A failure of the other language is an error like any other.
	invoice := durable.NewOrchestration("go invoice", func(ctx *durable.Context, o order) (b bill, err error) {
		if b.Greeting, err = durable.CallActivity[string](ctx, "format", map[string]string{"template": "Dear %,", "name": o.Customer}); err != nil {
			return b, err
		}
		if b.Gross, err = tax.Call(ctx, o.Net); err != nil {
			return b, err
		}
		if _, err := durable.CallActivity[string](ctx, "refuse", o); err != nil {
			b.Refused = err.Error()
		}
		if b.Reviewed, err = durable.CallOrchestration[string](ctx, "review", b.Gross); err != nil {
			return b, err
		}
		b.Paid, err = add.Call(ctx, o.Customer, b.Gross)
		return b, err
	})

	lookUp := tools.New("look_up", "What a customer owes.", func(_ context.Context, in struct {
		Customer string `json:"customer"`
	}) (string, error) {
		return in.Customer + " owes 12.50", nil
	}, tools.Pure())
	clerk := agents.New(agents.Config{Name: "clerk", Instructions: "Answer in one sentence.", Model: "script", Tools: []tools.Tool{lookUp}})
	script := scripted.New(
		scripted.Entry{Agent: "clerk", Calls: []scripted.Call{{Tool: "look_up", Arguments: map[string]any{"customer": "Ann"}}}},
		scripted.Entry{Agent: "clerk", Text: "Ann still owes 12.50."},
	)

	return agentrun.App{
		Agents:      []*agents.Agent{clerk},
		Definitions: []durable.Definition{greet, tax, ledger, invoice},
		Models:      map[string]models.Model{"script": script},
	}
}
