package tokens_test

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/memory/tokens"
	"github.com/agentrun-dev/agentrun/models"
)

func Example() {
	counter, err := tokens.ForModel("gpt-4.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(counter.Count("hello world"))
	fmt.Println(memory.Tokens(counter, models.UserMessage("hello world"), models.AssistantMessage("Hello!")))
	// Output:
	// 2
	// 12
}
