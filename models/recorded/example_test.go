package recorded_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/recorded"
)

func Example() {
	request := &models.Request{Model: "gpt-4.1", Agent: "weather", Messages: []models.Message{models.UserMessage("Umbrella?")}}
	model := recorded.New([]recorded.Answer{{
		Hash:     request.Hash(),
		Response: models.Response{Message: models.AssistantMessage("Yes."), Finish: models.FinishStop},
	}})

	answer, err := models.Collect(model.Generate(context.Background(), request))
	fmt.Println(answer.Message.Content, err)
	// Output:
	// Yes. <nil>
}
