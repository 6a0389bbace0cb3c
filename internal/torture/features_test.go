//go:build linux || darwin

package torture

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// features are what steps beyond calls, signals and timers need.
type features struct {
	write          *durable.Op[ledger, entry, int]
	safe           *durable.Entity[int]
	get, set       *durable.Op[int, int, int]
	enter, leave   *durable.Activity[int, int]
	endless, late  *durable.Activity[int, int]
	counting       *durable.Activity[int, int]
	brief, purgeMe *durable.Orchestration[int, int]
}

const (
	safes     = 3
	lateTime  = 10 * time.Millisecond // what an attempt of late has
	retention = 50 * time.Millisecond
)

func defineFeatures(w calls, write *durable.Op[ledger, entry, int], bug string) (f *features, all []durable.Definition) {
	f = &features{write: write, safe: durable.NewEntity[int]("safe")}
	f.get = durable.Operation(f.safe, "get", func(_ *durable.EntityContext, sum *int, _ int) (int, error) { return *sum, nil })
	f.set = durable.Operation(f.safe, "set", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum = n
		return n, nil
	})
	// The witness hears of a section from the first call in it to the end of its last.
	at := func(which string) *durable.Activity[int, int] {
		return durable.NewActivity(which, func(ctx context.Context, n int) (int, error) {
			what := which + ":" + strings.Join(keysOf(n), ":")
			w.begin(ctx, what)
			w.pause(ctx)
			w.end(ctx, what)
			return n, nil
		})
	}
	f.enter, f.leave = at("enter"), at("leave")
	f.endless = durable.NewActivity("endless", func(ctx context.Context, _ int) (int, error) {
		w.begin(ctx, "endless")
		<-ctx.Done()
		w.end(ctx, "endless")
		return 0, context.Cause(ctx)
	})
	var opts []durable.ActivityOption
	if bug != bugNoTimeout {
		opts = append(opts, durable.StartToClose(lateTime))
	}
	// late takes all the time there is in its first attempt, and an odd n has a
	// wrong answer after that, when nobody may listen any more.
	f.late = durable.NewActivity("late", func(ctx context.Context, n int) (int, error) {
		w.begin(ctx, "late")
		defer w.end(ctx, "late")
		if info, _ := durable.Info(ctx); info.Attempt > 1 {
			return value(n), nil
		}
		<-ctx.Done()
		if n%2 == 1 && durable.TimeoutOf(context.Cause(ctx)) != "" {
			w.pause(ctx)
			return value(n) + 1000, nil
		}
		return 0, context.Cause(ctx)
	}, opts...)
	f.counting = counting(w)
	nap := func(ctx *durable.Context, n int) (int, error) { return n, ctx.Sleep(time.Millisecond) }
	f.brief = durable.NewOrchestration("brief", nap, durable.Retain(retention))
	f.purgeMe = durable.NewOrchestration("purge-me", nap)
	return f, []durable.Definition{f.safe, f.enter, f.leave, f.endless, f.late, f.counting, f.brief, f.purgeMe}
}

// keysOf are the safes of a section, one or two; the first one gets what the other
// one loses.
func keysOf(n int) []string {
	keys := []string{strconv.Itoa((n + 1) % safes), strconv.Itoa(n % safes)}
	if n == 0 {
		return keys[:1]
	}
	return keys
}

// deposit is what the i-th safe of a section gets.
func deposit(n, i int) int { return []int{n + 1, -n - 1}[i] }

// step does one.
func (f *features) step(ctx *durable.Context, in step, part string) (int, error) {
	switch in.Do {
	case "lock":
		return 0, f.transfer(ctx, in.N)
	case "later":
		due := ctx.Now().Add(time.Duration(in.N) * 100 * time.Millisecond)
		return 0, f.write.Signal(ctx, ledgerOf(in.N), entry{part, in.N}, durable.WithDeliverAt(due))
	case "endless":
		inner, cancel := ctx.WithCancel()
		defer cancel()
		task := f.endless.Start(inner, in.N)
		if err := ctx.Sleep(time.Duration(in.N) * 2 * time.Millisecond); err != nil {
			return 0, err
		}
		cancel()
		if _, err := task.Await(); !errors.Is(err, context.Canceled) {
			return 0, fmt.Errorf("an activity without end was canceled: %w", err)
		}
		return value(in.N), nil
	case "counting":
		return f.counting.Call(ctx, in.N)
	case "late":
		// On a machine that is busy good attempts are late, too.
		return f.late.Call(ctx, in.N, durable.WithRetry(durable.RetryPolicy{MaxAttempts: 1000, FirstInterval: time.Millisecond}))
	}
	return 0, fmt.Errorf("what is %q?", in.Do)
}

// transfer is a critical section: it reads, lets others have their turns, and writes.
func (f *features) transfer(ctx *durable.Context, n int) error {
	keys := keysOf(n)
	var ids []string
	for _, k := range keys {
		ids = append(ids, f.safe.ID(k))
	}
	unlock, err := durable.Lock(ctx, ids...)
	defer unlock()
	had := make([]int, len(keys))
	for i, k := range keys {
		if err == nil {
			had[i], err = f.get.Call(ctx, k, 0)
		}
	}
	if err == nil {
		_, err = f.enter.Call(ctx, n)
	}
	for i, k := range keys {
		if err == nil {
			_, err = f.set.Call(ctx, k, had[i]+deposit(n, i))
		}
	}
	if err == nil {
		_, err = f.leave.Call(ctx, n)
	}
	return err
}

// Instances that run beside some others and are to be gone in the end.
func briefName(i int) string  { return fmt.Sprintf("b-%06d", i) }
func purgedName(i int) string { return fmt.Sprintf("p-%06d", i) }
func hasBeside(i int) bool    { return i%4 == 2 }
func besidePurged(i int) bool { return i%8 == 6 } // the others have a retention
func startsLater(i int) bool  { return i%4 == 1 }
func (w *worker) soon() time.Time {
	return w.now().Add(time.Duration(w.chance(100)) * time.Millisecond)
}

// beside runs the one beside instance i.
func (w *worker) beside(ctx context.Context, i int) error {
	c := w.rt.Client()
	w.tell("try", "beside", i)
	var err error
	if besidePurged(i) {
		if _, err = w.defs.purgeMe.Schedule(ctx, c, i, durable.WithInstanceID(purgedName(i))); err == nil || errors.Is(err, durable.ErrExists) {
			if _, err = c.Wait(ctx, purgedName(i)); err == nil && w.plan.Bug != bugLostPurge {
				_, err = c.Purge(ctx, purgedName(i), true)
			}
		}
	} else {
		_, err = w.defs.brief.Schedule(ctx, c, i, durable.WithInstanceID(briefName(i)))
	}
	if err != nil && !errors.Is(err, durable.ErrExists) {
		return err
	}
	w.tell("ack", "beside", i)
	return nil
}

// section takes note of who is in which critical section, from the begin of its
// first call to the end of its last. A kill changes nothing of that: the lock is on
// disk, and its owner goes on in the next life.
func (a *account) section(verb string, words []string) {
	parts := strings.Split(words[1], ":")
	enter, leave := parts[0] == "enter", parts[0] == "leave"
	if !enter && !leave {
		return
	}
	if enter && verb == "begin" {
		a.figures.Sections++
	}
	for _, safe := range parts[1:] {
		if verb == "begin" {
			owner := a.inside[safe]
			a.must(owner == "" || owner == words[2], "%s is in the section of safe %s, and so is %s", words[2], safe, owner)
			a.inside[safe] = words[2]
		} else if leave {
			delete(a.inside, safe)
		}
	}
}

// safes checks what safes hold when everything has ended.
func (c *checker) safes(states map[string][]byte, want map[string]int) {
	for n := range safes {
		got, key := 0, strconv.Itoa(n)
		if text := states[c.defs.safe.ID(key)]; text != nil {
			var err error
			got, err = strconv.Atoi(string(text))
			c.must(err == nil, "safe %s holds %q", key, text)
		}
		c.must(got == want[key], "safe %s holds %d, not %d", key, got, want[key])
	}
}

// drained waits until nothing is due any more at a later time.
func (w *worker) drained(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		due, err := w.sqlite.Due(ctx, store.Due{}, 1)
		if err != nil || len(due) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still due: %w", due[0].ID, ctx.Err())
		case <-tick.C:
		}
	}
}
