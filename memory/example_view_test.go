package memory_test

import (
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// A conversation that grew too long is told from a summary on; the task stays.
func ExampleView_Plan() {
	payloads := shelf{} // an agent has durable.Load and durable.Store in its place
	head := payloads.append(memory.Head{}, "", models.UserMessage("Find the cheapest flight."))
	for i := range 20 {
		head = payloads.append(head, "", models.AssistantMessage(strings.Repeat("I looked further. ", 9)), models.UserMessage(fmt.Sprint("Try airline ", i)))
	}
	view, limits := memory.View{}, memory.Limits{Tokens: 600, Recent: 2}
	for {
		plan, err := view.Plan(payloads.load, head, limits)
		if err != nil {
			fmt.Println(err)
			return
		}
		if plan.Prompt == nil {
			view = plan.View
			break
		}
		text := "12 airlines were tried; the best offer is 99 EUR." // a model's answer to plan.Prompt
		view = plan.With(payloads.put(plan.Summary(text)))
	}
	messages, err := view.Read(payloads.load, head)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(head.Length, "messages,", len(messages), "told")
	fmt.Println(messages[0].Content)
	fmt.Println(messages[1].Content)
	// Output:
	// 41 messages, 18 told
	// Find the cheapest flight.
	// Summary of what was said before in this conversation, which is left out here:
	// 12 airlines were tried; the best offer is 99 EUR.
}
