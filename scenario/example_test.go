package scenario_test

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/scenario"
)

func Example() {
	s, err := scenario.Parse("rollback.yaml", []byte(`
version: 1
name: rollback
team: {agent: fixer}
input: The checkout fails since v2.14.
decisions:
  - {tool: roll_back, decide: approve, as: on-call}
expect:
  status: completed
  tools: {called: [roll_back]}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	// The run asks:
	if d, ok := s.Decide(scenario.Request{Tool: "roll_back", Agent: "fixer"}); ok {
		fmt.Println(d.Decide, "by", d.As)
	}
	// When it has ended:
	for _, f := range s.Verify(scenario.Result{Status: scenario.Completed, Output: "I gave up."}) {
		fmt.Println(f)
	}
	// Output:
	// approve by on-call
	// rollback.yaml:10:20: the tool roll_back was not called
}

func Example_errors() {
	_, err := scenario.Parse("greet.yaml", []byte(`version: 1
name: greet
team: {agnet: assistant}
expect: {status: done}
`))
	fmt.Println(err)
	// Output:
	// greet.yaml:3:8: unknown key "agnet"; the keys here are agent, orchestration, planner, specialists
	// greet.yaml:4:18: the status "done" is not known; use completed, failed, waiting, cancelled
}
