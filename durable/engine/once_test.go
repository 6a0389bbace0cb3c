package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// The cells of an at-most-once call: what is known of it when it is to start, and
// what Reconcile finds.
func TestAtMostOnceCells(t *testing.T) {
	result := func(s string) Outcome { return Outcome{Result: history.Payload(s)} }
	for _, c := range []struct {
		name      string
		killed    string // where the process ends: "before the intent", "after the intent", "after the function"
		reconcile func(ctx context.Context, c *Call) (Outcome, Finding)
		output    string
		runs      int64 // of the function, in both processes
	}{
		{"no intent", "before the intent", nil, "done", 1},
		{"intent, nobody can tell", "after the intent", nil, "failed: UnknownOutcome", 0},
		{"intent, happened", "after the function",
			func(context.Context, *Call) (Outcome, Finding) { return result("found"), Happened }, "found", 1},
		{"intent, did not happen", "after the intent",
			func(context.Context, *Call) (Outcome, Finding) { return Outcome{}, DidNotHappen }, "done", 1},
		{"intent, cannot tell", "after the function",
			func(context.Context, *Call) (Outcome, Finding) { return Outcome{}, CannotTell }, "failed: UnknownOutcome", 1},
		{"function ran, nobody can tell", "after the function", nil, "failed: UnknownOutcome", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int64
				var keys []string
				killed := make(chan struct{})
				defs := func(first bool) Definitions {
					a := Activity{Name: "pay", Effect: AtMostOnce, Reconcile: c.reconcile, Run: func(ctx context.Context, call *Call) Outcome {
						keys = append(keys, call.Key())
						if first && c.killed == "after the intent" {
							<-killed
							return Outcome{Failure: &history.Failure{}}
						}
						runs.Add(1)
						if first {
							<-killed
						}
						return result("done")
					}}
					d := chainOf(1, a)
					if first && c.killed == "before the intent" {
						d.Activities = nil
					}
					return d
				}
				s := memory.New()
				e := start(t, s, defs(true), Options{})
				begin(t, e, "i", "chain", "")
				synctest.Wait()
				image := s.Clone()
				s.Reopen() // the first process writes nothing more
				close(killed)
				_ = e.Close()

				e = start(t, image, defs(false), Options{})
				out := finish(t, e, "i")
				if len(out) > len(c.output) {
					out = out[:len(c.output)]
				}
				equal(t, "output", out, c.output)
				equal(t, "runs", runs.Load(), c.runs)
				for _, k := range keys {
					equal(t, "key", k, keys[0])
				}
				effects, err := e.Effects(t.Context(), "i")
				known := out == "done" || out == "found" // only what is known has a receipt
				if err != nil || len(effects) != 1 || effects[0].Intent.IsZero() || effects[0].Receipt.IsZero() == known || effects[0].Failed {
					t.Errorf("effects %+v, %v", effects, err)
				}
				end(t, e)
			})
		})
	}
}

// The intent is on disk before the function is called, and the receipt in the
// commit of the result.
func TestIntentBeforeReceiptAfter(t *testing.T) {
	s := memory.New()
	var during int
	pay := Activity{Name: "pay", Effect: AtMostOnce, Run: func(ctx context.Context, _ *Call) Outcome {
		effects, err := s.Clone().Effects(ctx, 1)
		if err != nil || len(effects) != 1 || !effects[0].Receipt.IsZero() {
			return Outcome{Failure: &history.Failure{Message: "no intent without receipt on disk"}}
		}
		during++
		return Outcome{}
	}}
	told := 0
	e := start(t, s, chainOf(2, pay), Options{OnIntent: func(c *Call) { told++ }})
	begin(t, e, "i", "chain", "")
	if got := finish(t, e, "i"); got != "failed: no intent without receipt on disk" { // the second step sees the first's record
		t.Errorf("got %q", got)
	}
	equal(t, "intents told", told, 2)
	effects, err := e.Effects(t.Context(), "i")
	if err != nil || during != 1 || len(effects) != 2 || effects[0].Failed || !effects[1].Failed || effects[1].Receipt.IsZero() {
		t.Errorf("%+v, %v", effects, err)
	}
}

// An orchestration that ends before its at-most-once call does still gets the
// receipt, and a program without the orchestration leaves its calls alone.
func TestReceiptOfAbandonedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		pay := Activity{Name: "pay", Effect: AtMostOnce, Run: func(context.Context, *Call) Outcome { <-done; return Outcome{} }}
		s := memory.New()
		e := start(t, s, chainOf(1, pay), Options{})
		begin(t, e, "i", "chain", "")
		synctest.Wait()
		image := s.Clone()
		if err := e.Terminate(t.Context(), "i", nil, false); err != nil {
			t.Fatal(err)
		}
		close(done)
		synctest.Wait()
		effects, err := e.Effects(t.Context(), "i")
		if err != nil || len(effects) != 1 || effects[0].Receipt.IsZero() {
			t.Errorf("%+v, %v", effects, err)
		}
		end(t, e)

		asked := false
		pay.Reconcile = func(context.Context, *Call) (Outcome, Finding) { asked = true; return Outcome{}, Happened }
		e = start(t, image, Definitions{Activities: []Activity{pay}}, Options{})
		synctest.Wait()
		if asked {
			t.Error("a call was settled by a program that cannot take its answer")
		}
		end(t, e)
	})
}

// A Reconcile that Close cut off has not told: nothing is decided.
func TestReconcileCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		pay := Activity{Name: "pay", Effect: AtMostOnce, Run: func(ctx context.Context, _ *Call) Outcome {
			runs++
			<-ctx.Done()
			return Outcome{Failure: &history.Failure{Message: "cut off"}}
		}}
		s := memory.New()
		e := start(t, s, chainOf(1, pay), Options{})
		begin(t, e, "i", "chain", "")
		synctest.Wait()
		end(t, e)
		for _, found := range []Finding{CannotTell, DidNotHappen} {
			pay.Reconcile = func(ctx context.Context, _ *Call) (Outcome, Finding) {
				<-ctx.Done()
				return Outcome{}, found
			}
			var image *memory.Store
			e, image = reopen(t, s, chainOf(1, pay), Options{})
			synctest.Wait()
			end(t, e)
			s = image
		}
		pay.Reconcile = func(context.Context, *Call) (Outcome, Finding) {
			return Outcome{Result: history.Payload("ok")}, Happened
		}
		e, _ = reopen(t, s, chainOf(1, pay), Options{})
		equal(t, "output", finish(t, e, "i"), "ok")
		equal(t, "runs", runs, 1)
		end(t, e)
	})
}

// Close waits for activities that ignore their context only so long; what they
// come to afterwards is dropped, and they are asked again by the next engine.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		deaf := activity("deaf", AtLeastOnce, func(*Call) string {
			if runs.Add(1) == 1 {
				time.Sleep(time.Hour)
			}
			return "heard"
		})
		s := memory.New()
		e := start(t, s, chainOf(1, deaf), Options{Grace: time.Minute})
		begin(t, e, "i", "chain", "")
		synctest.Wait()
		before := time.Now()
		end(t, e)
		equal(t, "time", time.Since(before), time.Minute)
		if err := e.Raise(t.Context(), "i", "x", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := e.Wait(t.Context(), "i"); err == nil {
			t.Error("Wait on a closed engine")
		}
		time.Sleep(2 * time.Hour) // the deaf one returns
		if n := len(e.instances.m); n != 0 {
			t.Errorf("its late result woke %d instances of a closed engine", n)
		}
		e, _ = reopen(t, s, chainOf(1, deaf), Options{})
		equal(t, "output", finish(t, e, "i"), "heard")
		equal(t, "runs", runs.Load(), 2)
		end(t, e)
	})
}
