package scripted_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

func Example() {
	model := scripted.New(
		scripted.Entry{Agent: "weather", Calls: []scripted.Call{{Tool: "forecast", Arguments: map[string]any{"city": "Oslo"}}}},
		scripted.Entry{Agent: "weather", Text: "It will rain in Oslo."},
	)

	request := models.Request{Agent: "weather", Messages: []models.Message{models.UserMessage("Umbrella?")}}
	first, err := models.Collect(model.Generate(context.Background(), &request))
	if err != nil {
		panic(err)
	}
	call := first.Message.ToolCalls[0]
	fmt.Println(call.ID, call.Name, call.Arguments)

	request.Messages = append(request.Messages, first.Message, models.ToolMessage(call, "rain"))
	second, err := models.Collect(model.Generate(context.Background(), &request))
	if err != nil {
		panic(err)
	}
	fmt.Println(second.Message.Content)

	request.Messages = append(request.Messages, second.Message, models.UserMessage("Sure?"))
	_, err = models.Collect(model.Generate(context.Background(), &request))
	fmt.Println(err)
	// Output:
	// call_1_1 forecast {"city":"Oslo"}
	// It will rain in Oslo.
	// scripted: no_answer: the script has no answer for agent "weather" turn 3, whose last message is user "Sure?"; it has: weather turn 1; weather turn 2
}

func ExampleParse() {
	_, err := scripted.Parse("script.yaml", []byte(`version: 1
answers:
  - agent: weather
    txt: It will rain.
`))
	fmt.Println(err)
	// Output:
	// script.yaml:4: unknown field "txt"
}
