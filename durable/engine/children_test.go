package engine

import (
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// A recursive termination reaches the children of earlier executions: those that
// run, and one that has not begun; also after a restart.
func TestTerminateChildrenOfEarlierExecutions(t *testing.T) {
	for name, restart := range map[string]bool{"in one engine": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memory.New()
				loop := func(seen []*history.Event) []*history.Event {
					for _, ev := range seen {
						if ev.Kind == history.ExecutionStarted && string(ev.Data) == "again" {
							return nil
						}
					}
					return []*history.Event{child("waits", "k1"), child("waits", "k2"), child("ends", "k3"),
						{Kind: history.ExecutionCompleted, Status: history.ContinuedAsNew, Data: history.Payload("again")}}
				}
				d := Definitions{Orchestrations: []Orchestration{
					orchestration("loop", loop), orchestration("waits", waiting), orchestration("ends", sequence())}}
				e := start(t, s, d, Options{Cached: -1})
				held := make(chan struct{})
				if !restart {
					ask(e, "k2", askNothing, func() { <-held })
					synctest.Wait()
				}
				begin(t, e, "p", "loop", "")
				begin(t, e, "other", "waits", "")
				synctest.Wait()
				if restart {
					end(t, e)
					s = s.Reopen()
					e = start(t, s, d, Options{Cached: -1})
				}
				if err := e.Terminate(t.Context(), "p", history.Payload("stop"), true); err != nil {
					t.Fatal(err)
				}
				close(held)
				synctest.Wait()
				for id, want := range map[string]history.Status{"p": history.Terminated, "k1": history.Terminated,
					"k2": history.Terminated, "k3": history.Completed, "other": history.Running} {
					st, err := e.Get(t.Context(), id, false)
					if err != nil {
						t.Fatal(err)
					}
					equal(t, id, st.Status, want)
				}
				end(t, e)
			})
		})
	}
}
