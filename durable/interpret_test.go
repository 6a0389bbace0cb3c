package durable_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// limit is how long a timeout or race goes on.
func (in *instruction) limit() time.Duration { return time.Duration(in.N)*time.Hour + in.Odd }

// runScript is the orchestration that does what a script says.
func runScript(ctx *durable.Context, s script) (int, error) {
	a := &actor{event: s.Event, read: s.Read}
	for i, in := range s.Steps {
		if in.Do == "again" {
			return 0, ctx.ContinueAsNew(script{Sum: s.Sum, Event: a.event, Read: a.read, Steps: s.Steps[i+1:]})
		}
		n, err := a.step(ctx, in, ctx.InstanceID())
		if err != nil {
			return 0, err
		}
		s.Sum += n
	}
	return s.Sum, nil
}

// actor does the steps of one instance; event and read number the next of these.
type actor struct{ event, read int }

func (a *actor) steps(ctx *durable.Context, steps []instruction, path string) (sum int, _ error) {
	for i, in := range steps {
		n, err := a.step(ctx, in, fmt.Sprint(path, ".", i))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// step does one instruction. path names the place in the program, for entities of
// its own.
func (a *actor) step(ctx *durable.Context, in instruction, path string) (int, error) {
	switch in.Do {
	case "double", "triple":
		return durable.CallActivity[int](ctx, in.Do, in.N)
	case "pay":
		return pay.Call(ctx, in.N)
	case "fan":
		all, err := durable.All(ctx, durable.StartEach(ctx, make([]int, in.N), func(int) *durable.Task[int] { return triple.Start(ctx, in.N) }))
		sum := 0
		for _, n := range all {
			sum += n
		}
		return sum, err
	case "stubborn":
		n, err := stubborn.Call(ctx, in.N, durable.WithRetry(durable.RetryPolicy{MaxAttempts: attempts, FirstInterval: time.Minute, Backoff: 2}))
		if err != nil && ctx.Err() == nil {
			return -7, nil
		}
		return n, err
	case "entity":
		n, err := addTally.Call(ctx, path, in.N)
		if err != nil && ctx.Err() == nil {
			return -11, nil
		}
		return n, err
	case "signal":
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return 0, addLedger.Signal(ctx, "all", in.N)
	case "later":
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		due := ctx.Now().Add(in.limit())
		return 0, addLater.Signal(ctx, "all", delayed{in.N + 1, due}, durable.WithDeliverAt(due))
	case "lock":
		return 0, transfer(ctx, in.N)
	case "compete": // children that all want to do it at once
		return compete(ctx, in.N)
	case "slow":
		return outlast(ctx, in)
	case "break":
		return fragile.Call(ctx, in.N)
	case "sleep":
		return 0, ctx.Sleep(time.Duration(in.N) * time.Hour)
	case "event":
		a.event++
		return durable.WaitForEvent[int](ctx, fmt.Sprint("event", a.event-1)).Await()
	case "read": // some different ticks, of which a crash may have doubled any
		a.read++
		seen, order := map[int]bool{}, 0
		for n, err := range durable.Events[int](ctx, fmt.Sprint("tick", a.read-1)).All() {
			if !seen[n] {
				order = 3*order + n + 1
			}
			if seen[n] = true; err != nil || len(seen) > in.N {
				return order, err
			}
		}
		return 0, errors.New("the events ended")
	case "race":
		timer, act := ctx.Timer(time.Duration(in.N)*time.Hour), double.Start(ctx, in.N)
		if durable.Any(ctx, timer, act) == nil {
			return 0, errors.New("nobody won")
		}
		if _, err := timer.Await(); err != nil {
			return 0, err
		}
		return act.Await()
	case "child":
		n, err := durable.CallOrchestration[int](ctx, "script", script{Steps: in.Kids})
		if err != nil && ctx.Err() == nil {
			return -13, nil
		}
		return n, err
	case "beside": // each step in a coroutine of its own
		var tasks []*durable.Task[int]
		for i, kid := range in.Kids {
			tasks = append(tasks, durable.Go(ctx, func(ctx *durable.Context) (int, error) { return a.step(ctx, kid, fmt.Sprint(path, "/", i)) }))
		}
		all, err := durable.All(ctx, tasks)
		sum := 0
		for _, n := range all {
			sum += n
		}
		return sum, err
	case "timeout":
		inner, cancel := ctx.WithTimeout(in.limit())
		defer cancel()
		n, err := a.steps(inner, in.Kids, path)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return -17, nil
		}
		return n, err
	case "lose": // a coroutine loses against a timer, and is cancelled; or it wins
		timer := ctx.Timer(in.limit())
		work := durable.Go(ctx, func(ctx *durable.Context) (int, error) { return a.steps(ctx, in.Kids, path) })
		if durable.Any(ctx, work, timer) == work {
			timer.Cancel()
			return work.Await()
		}
		if _, err := timer.Await(); err != nil {
			return 0, err
		}
		work.Cancel()
		if _, err := work.Await(); !errors.Is(err, context.Canceled) {
			return 0, fmt.Errorf("the loser was not canceled: %w", err)
		}
		return -19, nil
	case "die":
		return 0, errors.New("died")
	}
	return 0, fmt.Errorf("what is %q?", in.Do)
}

// interpret gives what a program comes to, and notes when, by running it on a clock
// that is a number.
func (p *program) interpret() (o outcome) {
	s := &simulation{tally: map[string]int{}, mended: map[int]bool{}, executions: 1}
	end := never
	if p.cancel > 0 {
		end = p.cancel
	}
	sum, end, err := s.instance(p.steps, 0, end)
	p.end = max(end, s.last)
	o = outcome{Sum: sum, Ledger: s.ledger, Paid: s.paid, Safes: s.safes, Executions: s.executions}
	switch {
	case err == errCut:
		o.Failed = "canceled"
	case err != nil:
		o.Failed = "failed"
	}
	return o
}

// simulation is the world of a program.
type simulation struct {
	ledger, paid     int
	last             time.Duration // when the last signal is delivered
	safes            [safes]int
	tally            map[string]int
	instances, event int
	executions       int // of the root
	mended           map[int]bool
}

// Entities of an instance's own are named after its number.
const (
	anyPath  = "instance "
	rootPath = anyPath + "1"
)

func (s *simulation) transfer(n int) {
	s.safes[(n+1)%safes] += n + 1
	if n < 4 {
		s.safes[n%safes] -= n + 1
	}
}

const never = time.Duration(1<<63 - 1)

var (
	errCut  = errors.New("the deadline came")
	errDied = errors.New("died")
)

// instance runs the steps of an orchestration from now on; end is when it is
// cancelled.
func (s *simulation) instance(steps []instruction, now, end time.Duration) (sum int, _ time.Duration, err error) {
	s.instances++
	path := fmt.Sprint(anyPath, s.instances)
	for _, in := range steps {
		var n int
		if n, now, err = s.step(in, now, end, path); err != nil {
			return 0, now, err
		}
		sum += n
	}
	return sum, now, nil
}

func (s *simulation) steps(steps []instruction, now, end time.Duration, path string) (sum int, _ time.Duration, err error) {
	for i, in := range steps {
		var n int
		if n, now, err = s.step(in, now, end, fmt.Sprint(path, ".", i)); err != nil {
			return 0, now, err
		}
		sum += n
	}
	return sum, now, nil
}

// pass lets time pass; no two moments of a program that matter are the same.
func pass(n int, now, d, end time.Duration) (int, time.Duration, error) {
	if now += d; now > end {
		return 0, end, errCut
	}
	return n, now, nil
}

func (s *simulation) step(in instruction, now, end time.Duration, path string) (int, time.Duration, error) {
	switch in.Do {
	case "double":
		return 2*in.N + 1, now, nil
	case "triple":
		return 3*in.N + 1, now, nil
	case "fan":
		return in.N * (3*in.N + 1), now, nil
	case "pay":
		s.paid += in.N
		return in.N, now, nil
	case "signal":
		s.ledger += in.N
	case "later":
		s.ledger += in.N + 1
		s.last = max(s.last, now+in.limit())
	case "lock":
		s.transfer(in.N)
	case "compete":
		for n := range in.N + 1 {
			s.transfer(n)
			s.instances++
		}
	case "slow":
		if in.N < 2 || in.N > attempts {
			return pass(-23, now, in.limit(), end)
		}
		return pass(in.N, now, in.limit(), end)
	case "again":
		if path == rootPath {
			s.executions++
		}
	case "break":
		if !s.mended[in.N] {
			s.executions++ // by the rewind
		}
		s.mended[in.N] = true
		return in.N, now, nil
	case "entity":
		s.tally[path] += in.N
		if in.N == 0 {
			return -11, now, nil
		}
		return s.tally[path], now, nil
	case "event":
		s.event++
		return 100 + s.event - 1, now, nil
	case "read":
		order := 0
		for n := range in.N + 1 {
			order = 3*order + n + 1
		}
		return order, now, nil
	case "stubborn":
		waits := []time.Duration{0, time.Minute, 3 * time.Minute}
		if in.N < attempts {
			return pass(in.N, now, waits[in.N], end)
		}
		return pass(-7, now, waits[attempts-1], end)
	case "sleep":
		return pass(0, now, time.Duration(in.N)*time.Hour, end)
	case "race":
		return pass(2*in.N+1, now, time.Duration(in.N)*time.Hour, end)
	case "child":
		n, now, err := s.instance(in.Kids, now, end)
		if err == errDied {
			return -13, now, nil
		}
		return n, now, err
	case "beside":
		sum, last, cut := 0, now, error(nil)
		for i, kid := range in.Kids {
			n, at, err := s.step(kid, now, end, fmt.Sprint(path, "/", i))
			sum, last = sum+n, max(last, at)
			if err != nil {
				cut = err
			}
		}
		return sum, last, cut
	case "timeout", "lose":
		limit := now + in.limit()
		n, at, err := s.steps(in.Kids, now, min(limit, end), path)
		if err == errCut && limit < end {
			return map[string]int{"timeout": -17, "lose": -19}[in.Do], limit, nil
		}
		return n, at, err
	case "die":
		return 0, now, errDied
	}
	return 0, now, nil
}
