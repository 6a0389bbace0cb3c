//go:build linux || darwin

package torture

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// clock is set by somebody, hours forth and back.
type clock struct {
	mu     sync.Mutex
	skew   time.Duration
	before time.Duration // the skew until
	set    time.Time     // this moment
	jumps  int
	turns  map[string]time.Time // of the last turn of each instance
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew)
}

func (c *clock) jump(skew time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.skew, c.set = c.skew, skew, time.Now()
	c.jumps++
}

// turn checks a turn at the moment at which it was: in virtual time none passes
// between its beginning and its commit. Its time is what the clock shows, or that of
// the turn before, and its timers are due by then.
func (c *clock) turn(t *testing.T, r durable.Recorded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, skew := time.Now(), c.skew
	if c.set.Equal(now) {
		skew = max(skew, c.before)
	}
	latest := now.Add(skew)
	if last := c.turns[r.Instance.ID]; last.After(latest) {
		latest = last
	}
	for _, ev := range r.Events {
		switch {
		case ev.Kind == history.OrchestratorStarted && ev.Time.After(latest):
			t.Errorf("%s: a turn is of %v, and the clock shows %v", r.Instance.ID, ev.Time, latest)
		case ev.Kind == history.OrchestratorStarted:
			c.turns[r.Instance.ID] = ev.Time
		case ev.Kind == history.TimerFired && ev.FireAt.After(latest):
			t.Errorf("%s: a timer due at %v fired when the clock showed %v", r.Instance.ID, ev.FireAt, latest)
		}
	}
}

// TestTortureClock sets the clock up to two days forth and back under instances that
// sleep for hours, and takes the process away again and again. No timer fires before
// the clock showed its time, an orchestration's own clock never runs backwards, and
// everything ends once the clock stays.
func TestTortureClock(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(long(t) / 10)
	rounds, jumps := 0, 0
	for seed := firstSeed(t); ; seed++ {
		synctest.Test(t, func(t *testing.T) { jumps += jumpingClock(t, seed) })
		if rounds++; t.Failed() || time.Now().After(end) {
			break
		}
	}
	t.Logf("%d rounds, %d jumps", rounds, jumps)
}

func jumpingClock(t *testing.T, seed uint64) int {
	r := rand.New(rand.NewPCG(seed, 2))
	c := &clock{turns: map[string]time.Time{}}
	// linger is answered while a timer runs, on whatever the clock is then.
	linger := durable.NewActivity("linger", func(ctx context.Context, d time.Duration) (int, error) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return 1, ctx.Err()
	})
	naps := durable.NewOrchestration("naps", func(ctx *durable.Context, naps []time.Duration) (int, error) {
		sum := 0
		for _, d := range naps {
			timer := ctx.Timer(d)
			n, err := linger.Call(ctx, d/2)
			if err != nil {
				return 0, err
			}
			due, err := timer.Await()
			if err != nil {
				return 0, err
			}
			if ctx.Now().Before(due) {
				return 0, fmt.Errorf("it is %v and not yet %v", ctx.Now(), due)
			}
			sum += n
		}
		return sum, nil
	})
	const instances, each = 12, 10
	lives := 4
	disk := memory.New()
	for life := range lives {
		rt, err := durable.OpenStore(t.Context(), disk, durable.Options{
			Now: c.now, OnTurn: func(r durable.Recorded) { c.turn(t, r) }, Cached: []int{-1, 3, 0}[r.IntN(3)], Logger: slog.New(slog.DiscardHandler),
		}, linger, naps)
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			for i := range instances {
				var ds []time.Duration
				for range each {
					ds = append(ds, time.Duration(r.Int64N(int64(10*time.Hour))))
				}
				if _, err := naps.Schedule(t.Context(), rt.Client(), ds, durable.WithInstanceID(instanceName(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if life < lives-1 {
			for range 30 {
				c.jump(time.Duration(r.Int64N(int64(96*time.Hour))) - 48*time.Hour)
				<-time.After(time.Duration(r.Int64N(int64(time.Hour)))) // virtual
			}
			image := disk.Clone() // the process is gone; what it still does reaches nothing
			disk.Reopen()
			_ = rt.Close() // its error is that it was fenced
			disk = image
			continue
		}
		c.jump(0)
		ctx, cancel := context.WithTimeout(t.Context(), (48+each*10+48)*time.Hour)
		for i := range instances {
			got, err := naps.Wait(ctx, rt.Client(), instanceName(i))
			if err != nil || got != each {
				t.Errorf("seed %d: %s gives %d, %v", seed, instanceName(i), got, err)
			}
			checkClock(t, rt.Client(), instanceName(i))
		}
		cancel()
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
	return c.jumps
}

// checkClock checks the times in a history.
func checkClock(t *testing.T, c *durable.Client, id string) {
	t.Helper()
	var at time.Time
	for ev, err := range c.History(t.Context(), id, "") {
		if err != nil {
			t.Error(err)
			return
		}
		switch {
		case ev.Kind == history.OrchestratorStarted && ev.Time.Before(at):
			t.Errorf("%s: a turn is of %v, the one before of %v", id, ev.Time, at)
		case ev.Kind == history.OrchestratorStarted:
			at = ev.Time
		case ev.Kind == history.TimerFired && at.Before(ev.FireAt):
			t.Errorf("%s: a timer fired at %v, due at %v", id, at, ev.FireAt)
		}
	}
}
