package engine

import (
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Several that take each other's place in one turn: the last one has the id, and
// of the others nothing is on the disk.
func TestReplacedInOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		e := start(t, s, Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{})
		begin(t, e, "x", "o", "first")
		held := make(chan struct{})
		ask(e, "x", askNothing, func() { <-held })
		synctest.Wait()
		var answers []<-chan error
		for _, input := range []string{"second", "third"} {
			answers = append(answers, e.request(&message{to: "x", reuse: []history.Status{history.Running},
				ev: &history.Event{Kind: history.ExecutionStarted, ID: history.FromOutside, Time: e.now(), Name: "o", Data: history.Payload(input)}}))
		}
		close(held)
		for _, a := range answers {
			if err := <-a; err != nil {
				t.Fatal(err)
			}
		}
		st, err := e.Get(t.Context(), "x", true)
		if err != nil || string(st.Input) != "third" {
			t.Fatalf("%+v, %v", st, err)
		}
		if err := e.Raise(t.Context(), "x", "go", history.Payload("done")); err != nil {
			t.Fatal(err)
		}
		equal(t, "output", finish(t, e, "x"), "done")
		end(t, e)
	})
}
