package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// manual is a dispatcher whose calls the test takes by hand: one that asks for the
// next call stands for each goroutine of a real one.
func manual() *dispatcher {
	d := &dispatcher{}
	d.init(0, nil)
	d.running = 1 << 20 // they never end their term
	return d
}

// named is a call that waits to start.
func named(in *instance, name string, priority int32, t *terms) *call {
	ev := &history.Event{Kind: history.TaskScheduled, Name: name}
	if priority != 0 {
		ev.Terms = &history.Terms{Priority: priority}
	}
	if t != nil {
		copied := *t
		t = &copied
	}
	return &call{in: in, ev: ev, terms: t}
}

// taken gives the names of the calls that start next.
func taken(d *dispatcher, n int) string {
	var names []string
	for range n {
		c := d.next()
		if c == nil {
			names = append(names, "-")
			break
		}
		names = append(names, c.ev.Name)
	}
	return strings.Join(names, " ")
}

// A fan-out of 100,000 lets a single call beside it start next.
func TestFanOutIsFair(t *testing.T) {
	d := manual()
	big, small := &instance{id: "big"}, &instance{id: "small"}
	calls := make([]*call, 100_000)
	for i := range calls {
		calls[i] = named(big, "big", 0, nil)
	}
	d.put(false, calls...)
	d.put(false, named(small, "small", 0, nil))
	equal(t, "first", taken(d, 3), "big small big")
	d.put(false, named(small, "again", 0, nil), named(small, "and again", 0, nil))
	equal(t, "later", taken(d, 4), "big again big and again")
	equal(t, "left", d.ready.n, 100_000-4)
	n := 0
	for c := d.next(); c != nil; c = d.next() {
		n++
	}
	equal(t, "all", n, 100_000-4)
	if v := d.ready.levels[usualPriority-1]; len(v.lanes) != 0 || len(v.ring) != 0 {
		t.Errorf("an empty queue keeps %d lanes", len(v.lanes))
	}
}

// Higher priorities go first, and within one the instances take turns.
func TestPriorityOrder(t *testing.T) {
	d := manual()
	a, b := &instance{id: "a"}, &instance{id: "b"}
	d.put(false,
		named(a, "a5", 5, nil), named(a, "a3", 0, nil), named(a, "a3'", 3, nil), named(a, "a1", 1, nil), named(a, "a1'", 1, nil),
		named(b, "b3", 0, nil), named(b, "b1", 1, nil), named(b, "b9", 9, nil))
	equal(t, "order", taken(d, 9), "a1 b1 a1' a3 b3 a3' a5 b9 -")
}

// What is less urgent has its share: one of its own after passedOver others.
func TestPriorityStarvesNobody(t *testing.T) {
	d := manual()
	ins := [priorities + 1]*instance{}
	for p := 1; p <= priorities; p++ {
		ins[p] = &instance{id: fmt.Sprint(p)}
		for range 1000 {
			d.put(false, named(ins[p], fmt.Sprint(p), int32(p), nil))
		}
	}
	starts := map[string]int{}
	gap, longest := map[string]int{}, 0
	for range 1000 {
		name := taken(d, 1)
		starts[name]++
		for p := 1; p <= priorities; p++ {
			gap[fmt.Sprint(p)]++
		}
		longest = max(longest, gap[name])
		gap[name] = 0
	}
	for p := 2; p <= priorities; p++ {
		if n := starts[fmt.Sprint(p)]; n < 1000/(passedOver+priorities) || n > 1000/passedOver {
			t.Errorf("priority %d had %d of 1000 starts", p, n)
		}
	}
	if longest > passedOver+priorities {
		t.Errorf("a priority waited for %d starts of others", longest)
	}
	if starts["1"] < 750 {
		t.Errorf("the highest priority had only %d of 1000 starts", starts["1"])
	}

	d = manual() // without competition from above nothing is held back or owed
	d.put(false, named(ins[2], "2", 2, nil), named(ins[5], "5", 5, nil))
	equal(t, "first", taken(d, 2), "2 5")
	d.put(false, named(ins[5], "5", 5, nil), named(ins[1], "1", 1, nil))
	equal(t, "second", taken(d, 3), "1 5 -")
}

// limited gives a dispatcher and the terms of an activity with limits.
func limited(t *testing.T, atOnce int, r *Rate) (*dispatcher, *terms, *Engine) {
	t.Helper()
	e := &Engine{log: quiet}
	e.cuts.now, e.deadlines.now = time.Now, time.Now
	e.calls.init(0, nil)
	e.calls.running = 1 << 20
	if err := e.limit(&Activity{Name: "x", MaxConcurrent: atOnce, Rate: r}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.cuts.stop)
	return &e.calls, &terms{e: e, limiter: e.limiters["x"]}, e
}

// Calls beyond the limit wait beside the queue: what stands behind them in it
// starts, of the same instance too; a place that is free again goes to the next
// instance in turn.
func TestLimitBlocksNobody(t *testing.T) {
	d, x, _ := limited(t, 2, nil)
	a, b := &instance{id: "a"}, &instance{id: "b"}
	for i := range 4 {
		d.put(false, named(a, fmt.Sprint("a", i), 0, x))
	}
	d.put(false, named(a, "plain", 0, nil), named(b, "b0", 0, x), named(b, "plain too", 0, nil))
	equal(t, "at first", taken(d, 5), "a0 plain plain too a1 -")
	for _, want := range []string{"a2 -", "b0 -", "a3 -", "-"} {
		d.leave(x.limiter)
		equal(t, "next", taken(d, 2), want)
	}
	d.leave(x.limiter)
	equal(t, "inside", x.limiter.inside, 0)

	// Among those that wait, the more urgent goes first.
	d.put(false, named(a, "1", 0, x), named(a, "2", 0, x))
	d.put(false, named(a, "late", 5, x), named(a, "soon", 0, x), named(b, "urgent", 1, x))
	equal(t, "first", taken(d, 3), "1 2 -")
	for _, want := range []string{"urgent", "soon", "late"} {
		d.leave(x.limiter)
		equal(t, "next", taken(d, 1), want)
	}
}

// What has been let through and not started yet does not wait behind its own
// instance's fan-out a second time.
func TestLimitBesideFanOut(t *testing.T) {
	d, x, _ := limited(t, 1, nil)
	a := &instance{id: "a"}
	d.put(false, named(a, "x0", 0, x), named(a, "x1", 0, x))
	equal(t, "first", taken(d, 2), "x0 -")
	for range 1000 {
		d.put(false, named(a, "plain", 0, nil))
	}
	d.leave(x.limiter)
	equal(t, "next", taken(d, 2), "plain x1")
}

// A rate lets n start at once and then one per interval, for each key; waiting
// costs one timer, and none is left when nobody waits.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, e := limited(t, 0, &Rate{N: 3, Per: 30 * time.Second})
		a, b := &instance{id: "a"}, &instance{id: "b"}
		x.key = "one"
		for i := range 5 {
			d.put(false, named(a, fmt.Sprint("a", i), 0, x))
		}
		d.put(false, named(b, "b0", 0, x))
		other := *x
		other.key = "other"
		d.put(false, named(b, "other", 0, &other))
		equal(t, "at once", taken(d, 6), "a0 a1 a2 other -")
		begun := time.Now()
		for i, want := range []string{"a3", "b0", "a4"} {
			for c := taken(d, 1); c != want; c = taken(d, 1) {
				if c != "-" {
					t.Fatalf("%s started, want %s", c, want)
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			equal(t, want+" came after", time.Since(begun), time.Duration(i+1)*10*time.Second)
		}
		time.Sleep(time.Hour) // no more than n come together after a pause
		synctest.Wait()
		for i := range 5 {
			d.put(false, named(a, fmt.Sprint(i), 0, x))
		}
		equal(t, "after a pause", taken(d, 5), "0 1 2 -")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		equal(t, "the rest", taken(d, 3), "3 4 -")
		equal(t, "timers", len(e.cuts.heap), 0)
	})
}

// Tokens belong to starts: while all places for activities are taken, those let
// through wait, and start no faster than the rate afterwards.
func TestRateCountsStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, _ := limited(t, 0, &Rate{N: 2, Per: 2 * time.Second})
		a := &instance{id: "a"}
		for i := range 10 {
			d.put(false, named(a, fmt.Sprint(i), 0, x))
		}
		time.Sleep(time.Minute) // nobody takes one
		synctest.Wait()
		equal(t, "let through", d.ready.n, 2)
		equal(t, "start", taken(d, 3), "0 1 -")
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, "a second later", taken(d, 2), "2 -")
	})
}

// Dead calls take no place and no token, and do not pile up where they wait;
// buckets of keys that nobody uses any more do not either.
func TestLimiterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, x, _ := limited(t, 1, &Rate{N: 1, Per: time.Second})
		a := &instance{id: "a"}
		d.put(false, named(a, "first", 0, x))
		equal(t, "first", taken(d, 1), "first")
		for range 20 * minSweep {
			c := named(a, "dead", 0, x)
			d.put(false, c)
			c.abort()
		}
		if n := x.limiter.waiting; n > 2*minSweep {
			t.Errorf("%d dead calls wait", n)
		}
		d.put(false, named(a, "alive", 0, x))
		d.leave(x.limiter)
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, "then", taken(d, 1), "alive")
		d.leave(x.limiter)
		equal(t, "waiting", x.limiter.waiting, 0)

		let := named(a, "let through and then dead", 0, x)
		time.Sleep(time.Second)
		d.put(false, let, named(a, "next", 0, x))
		let.abort()
		equal(t, "after a dead one", taken(d, 2), "next -")
		d.leave(x.limiter)

		for i := range 5 * minSweep {
			k := *x
			k.key = fmt.Sprint(i)
			d.put(false, named(a, "key", 0, &k))
			equal(t, "key", taken(d, 1), "key")
			d.leave(x.limiter)
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(x.limiter.buckets); n > 2*minSweep+1 {
			t.Errorf("%d buckets", n)
		}
	})
}

// The queue without some of its calls is the queue that never had them.
func TestQueueRemove(t *testing.T) {
	ins := []*instance{{id: "a"}, {id: "b"}, {id: "c"}}
	for skip := range 7 {
		var with, without queue
		for i := range 60 {
			c := named(ins[i*i%3], fmt.Sprint(i), int32(i%4), nil)
			with.push(c)
			if (i+skip)%7 > 3 {
				without.push(c)
			} else {
				c.cancelled = true
			}
		}
		with.remove((*call).over)
		order := func(q *queue) (names []string) {
			for c := q.pop(); c != nil; c = q.pop() {
				names = append(names, c.ev.Name)
			}
			return names
		}
		got, want := order(&with), order(&without)
		slices.Sort(got) // the turns may begin with another instance
		slices.Sort(want)
		if !slices.Equal(got, want) || with.n != 0 || with.filled != 0 {
			t.Errorf("skip %d: %v, want %v", skip, got, want)
		}
	}
}
