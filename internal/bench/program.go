package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// program is the definitions that are measured. The time of each step is taken
// where its function runs.
type program struct {
	watch stopwatch

	step, pureStep *durable.Activity[payload, payload]
	shelf          *durable.Entity[payload]
	put            *durable.Op[payload, payload, payload]

	chain, pureChain, fanOut, entityCalls, children *durable.Orchestration[int, int]
	child, wait                                     *durable.Orchestration[payload, payload]
}

func newProgram() *program {
	p := &program{}
	run := func(_ context.Context, q payload) (payload, error) {
		p.watch.stamp()
		return answer(q), nil
	}
	p.step = durable.NewActivity("step", run)
	p.pureStep = durable.NewActivity("pure-step", run, durable.Pure())
	p.shelf = durable.NewEntity[payload]("shelf")
	p.put = durable.Operation(p.shelf, "put", func(_ *durable.EntityContext, state *payload, q payload) (payload, error) {
		p.watch.stamp()
		*state = q
		return answer(q), nil
	})
	p.chain = durable.NewOrchestration("chain", chainOf(p.step))
	p.pureChain = durable.NewOrchestration("pure-chain", chainOf(p.pureStep))
	p.fanOut = durable.NewOrchestration("fan-out", p.fan)
	p.entityCalls = durable.NewOrchestration("entity-calls", p.callEntity)
	p.child = durable.NewOrchestration("child", func(ctx *durable.Context, q payload) (payload, error) { return p.step.Call(ctx, q) })
	p.children = durable.NewOrchestration("children", p.startChildren)
	p.wait = durable.NewOrchestration("wait", func(ctx *durable.Context, _ payload) (payload, error) {
		return durable.WaitForEvent[payload](ctx, "go").Await()
	})
	return p
}

func (p *program) definitions() []durable.Definition {
	return []durable.Definition{p.step, p.pureStep, p.shelf, p.chain, p.pureChain, p.fanOut, p.entityCalls, p.children, p.child, p.wait}
}

// chainOf runs n steps one after the other and gives their number.
func chainOf(step *durable.Activity[payload, payload]) func(*durable.Context, int) (int, error) {
	return func(ctx *durable.Context, n int) (int, error) {
		run := ctx.InstanceID()
		for i := range n {
			a, err := step.Call(ctx, ask(run, i))
			if err == nil {
				err = check(a, run, i)
			}
			if err != nil {
				return i, err
			}
		}
		return n, nil
	}
}

// fan runs n steps at once and joins them. It lets go of each answer that it has
// seen, as a program would that sums up many.
func (p *program) fan(ctx *durable.Context, n int) (int, error) {
	run := ctx.InstanceID()
	tasks := make([]*durable.Task[payload], n)
	for i := range tasks {
		tasks[i] = p.step.Start(ctx, ask(run, i))
	}
	return join(run, tasks)
}

func join(run string, tasks []*durable.Task[payload]) (int, error) {
	for i, t := range tasks {
		a, err := t.Await()
		if err == nil {
			err = check(a, run, i)
		}
		if err != nil {
			return i, err
		}
		tasks[i] = nil
	}
	return len(tasks), nil
}

// callEntity calls an entity of its own n times, which keeps the last input.
func (p *program) callEntity(ctx *durable.Context, n int) (int, error) {
	run := ctx.InstanceID()
	for i := range n {
		a, err := p.put.Call(ctx, run, ask(run, i))
		if err == nil {
			err = check(a, run, i)
		}
		if err != nil {
			return i, err
		}
	}
	return n, nil
}

// startChildren starts n children at once and joins them.
func (p *program) startChildren(ctx *durable.Context, n int) (int, error) {
	run := ctx.InstanceID()
	tasks := make([]*durable.Task[payload], n)
	for i := range tasks {
		tasks[i] = p.child.Start(ctx, ask(run, i))
	}
	return join(run, tasks)
}

// stopwatch notes when steps ran, while it is on.
type stopwatch struct {
	mu    sync.Mutex
	on    bool
	times []time.Time
}

func (w *stopwatch) stamp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on {
		w.times = append(w.times, time.Now())
	}
}

// start turns it on, with room for n steps.
func (w *stopwatch) start(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on, w.times = true, make([]time.Time, 0, n)
}

// stop turns it off and gives the durations between consecutive steps.
func (w *stopwatch) stop() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = false
	var gaps []time.Duration
	for i := 1; i < len(w.times); i++ {
		gaps = append(gaps, w.times[i].Sub(w.times[i-1]))
	}
	return gaps
}

// counted checks what an orchestration of n steps gave.
func counted(got, n int, err error) error {
	if err == nil && got != n {
		err = fmt.Errorf("%d steps were done, want %d", got, n)
	}
	return err
}
