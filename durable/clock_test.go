package durable_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A timer that fires while its instance is busy is not lost when the machine's
// clock is set back before the next turn: it fires when its time has come again.
func TestTimerAndClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		now := func() time.Time {
			if back.Load() {
				return time.Now().Add(-time.Hour)
			}
			return time.Now()
		}
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (int, error) {
			timer := ctx.Timer(300 * time.Millisecond)
			if _, err := durable.WaitForEvent[int](ctx, "a").Await(); err != nil {
				return 0, err
			}
			if !ctx.IsReplaying() {
				time.Sleep(600 * time.Millisecond) // a long turn, in which the timer fires
			}
			_, err := timer.Await()
			return 1, err
		})
		rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Now: now, Logger: quiet}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer closeRuntime(t, rt)
		id, err := o.Schedule(t.Context(), rt.Client(), 1)
		if err != nil {
			t.Fatal(err)
		}
		raise := func(name string) {
			go func() {
				if err := rt.Client().RaiseEvent(t.Context(), id, name, 1); err != nil {
					t.Error(err)
				}
			}()
		}
		raise("a")
		time.Sleep(450 * time.Millisecond)
		raise("b")
		synctest.Wait()
		back.Store(true)
		time.Sleep(500 * time.Millisecond)
		back.Store(false)
		if got, err := o.Wait(t.Context(), rt.Client(), id); err != nil || got != 1 {
			t.Errorf("got %d, %v", got, err)
		}
	})
}
