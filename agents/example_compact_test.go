package agents_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

// A conversation outgrows what its model is to be sent: the oldest part is summed up by
// a smaller model, and the run after that is told the summary in its place.
func ExampleConfig_compaction() {
	friend := agents.New(agents.Config{Name: "friend", Model: "large", MaxContext: 600, Summarizer: "small"})
	find := func(_ context.Context, name string) (models.Model, error) {
		return scripted.Func(func(req *models.Request) (*models.Response, error) {
			answer := strings.Repeat("I remember the sea. ", 40)
			for _, m := range req.Messages {
				if strings.Contains(m.Content, "They spoke of the sea.") {
					answer = "I know it from a summary."
				}
			}
			if name == "small" {
				answer = "They spoke of the sea."
			}
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(answer)}, nil
		}), nil
	}
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{Models: find}, friend))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	var got agents.Result
	for range 6 {
		run, err := friend.Schedule(ctx, rt.Client(), "Go on.", agents.InConversation("letters"))
		if err != nil {
			log.Fatal(err)
		}
		if got, err = friend.Wait(ctx, rt.Client(), run); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(got.Text)
	// Output: I know it from a summary.
}
