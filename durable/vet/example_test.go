package vet_test

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/vet"
)

// The rules, as an allow line names them.
func ExampleRules() {
	for _, r := range vet.Rules() {
		fmt.Printf("%s: %s\n", r.Name, r.Why)
	}
	// Output:
	// time: a replay runs later: the clock says something else
	// sleep: it holds its thread, does not survive a restart, and waits again in each replay
	// random: a replay draws something else
	// id: a replay makes another id
	// goroutine: the scheduler decides which runs first, and steps from beside the body are lost
	// channel: who else is at the channel is not recorded, and waiting for it holds the engine's thread
	// select: of several cases that are ready it takes one at random
	// sync: it waits for, or shares state with, code that is not replayed
	// maporder: the order of a map's elements is another each time
	// io: a replay does it again, and may be answered differently
	// log: each replay writes it again
	// global: it outlives the body: a replay finds it changed, another process does not
	// env: the process or machine that replays may be another
}
