package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// Somebody who asks for Health while a commit is tried again does not race with it.
func TestHealthWhileCommitsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFault(memory.New(), func(op storetest.Op, n int) error {
			if op == storetest.OpCommit && n <= 8 {
				return errDisk
			}
			return nil
		})
		e := start(t, f, chainOf(1, upper), Options{})
		sick := make(chan bool)
		go func() {
			told := false
			for range 1000 {
				time.Sleep(7 * time.Millisecond)
				told = errors.Is(e.Health(), errDisk) || told
			}
			sick <- told
		}()
		begin(t, e, "i", "chain", "")
		equal(t, "output", finish(t, e, "i"), "STEP0")
		equal(t, "told that commits fail", <-sick, true)
		end(t, e)
	})
}
