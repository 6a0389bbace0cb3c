package history_test

import (
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// The events of a turn are written one after the other into a row, and read back from it.
func Example() {
	clock := time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)
	var row []byte
	for _, e := range []*history.Event{
		{Kind: history.OrchestratorStarted, ID: history.FromOutside, Time: clock},
		{Kind: history.ExecutionStarted, ID: history.FromOutside, Time: clock, Name: "greet", Data: history.Payload(`"Oslo"`)},
		{Kind: history.TaskScheduled, ID: 0, Time: clock, Name: "sayHello", Data: history.Payload(`"Oslo"`)},
		{Kind: history.TimerCreated, ID: 1, Time: clock, FireAt: clock.Add(time.Hour)},
	} {
		row = history.AppendRow(row, e)
	}
	for e, err := range history.DecodeRows(row) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(history.Describe(e))
	}
	// Output:
	// OrchestratorStarted
	// ExecutionStarted "greet" "Oslo"
	// TaskScheduled #0 "sayHello" "Oslo"
	// TimerCreated #1 until 2026-08-17T11:00:00Z
}

// Replay compares what the code does with what was recorded under the same number.
func ExampleCompare() {
	recorded := &history.Event{Kind: history.TaskScheduled, ID: 5, Name: "tool:search_logs"}
	did := &history.Event{Kind: history.TaskScheduled, ID: 5, Name: "tool:find_logs"}

	if field, want, got, same := history.Compare(recorded, did); !same {
		fmt.Println(&history.Difference{
			Address: history.Address{Instance: "run-1", Execution: "3f2a", Number: 14},
			Event:   recorded, Did: did,
			Field: field, Want: want, Got: got,
		})
	}
	// Output:
	// history of run-1 diverges at event 14 (execution 3f2a): recorded TaskScheduled #5 "tool:search_logs", the code did TaskScheduled #5 "tool:find_logs" (name)
}
