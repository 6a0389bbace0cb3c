package durable_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Waiting for a lock ends with the scope that waits, at whatever instant: the
// request is taken back from every entity, and a grant that comes as late as that
// leaves nothing locked.
func TestLockWaitIsCanceled(t *testing.T) {
	impatient := durable.NewOrchestration("impatient", func(ctx *durable.Context, v visit) (bool, error) {
		inner, cancel := ctx.WithTimeout(v.Sleep)
		defer cancel()
		var ids []string
		for _, k := range v.Keys {
			ids = append(ids, purse.ID(k))
		}
		unlock, err := durable.Lock(inner, ids...)
		defer unlock()
		if errors.Is(err, context.DeadlineExceeded) {
			return false, ctx.Sleep(24 * time.Hour) // it goes on, and holds nothing
		}
		return err == nil, err
	})
	synctest.Test(t, func(t *testing.T) {
		for _, hours := range []time.Duration{1, 2, 3} { // the holder has it for two
			for _, cached := range []int{0, -1} {
				rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet, Cached: cached}, append(lockParts, impatient)...)
				if err != nil {
					t.Fatal(err)
				}
				c := rt.Client()
				if _, err := visitor.Schedule(t.Context(), c, visit{Keys: []string{"b"}, Sleep: 2 * time.Hour}, durable.WithInstanceID("holder")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				id, err := impatient.Schedule(t.Context(), c, visit{Keys: []string{"a", "b", "c"}, Sleep: hours * time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				equal(t, "holder of a", lockedBy(t, c, "a"), id)
				time.Sleep(4 * time.Hour)
				synctest.Wait()
				for _, k := range []string{"a", "b", "c"} {
					equal(t, "holder of "+k+" at last", lockedBy(t, c, k), "")
				}
				got, err := impatient.Wait(t.Context(), c, id)
				if err != nil || hours == 1 && got || hours == 3 && !got {
					t.Errorf("patience of %d h: %v, %v", hours, got, err)
				}
				if err := rt.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
