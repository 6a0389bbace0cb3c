package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilInterrupted gives a context that ends, because of errInterrupted, with the
// first signal that asks to end. The second one ends the process at once: what is
// on disk stays good, as after any crash.
func (a *app) untilInterrupted() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-signals:
			case <-done:
				return
			}
			if !first {
				os.Exit(exitInterrupted)
			}
			cancel(errInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
