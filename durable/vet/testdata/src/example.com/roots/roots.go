// Package roots shows what is orchestration code.
package roots

import (
	"context"
	"errors"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

var literal = durable.NewOrchestration("order", func(ctx *durable.Context, in int) (time.Time, error) {
	return time.Now(), nil // want `^time: orchestration "order" calls time.Now: use ctx.Now\(\)`
})

var named = durable.NewOrchestration("named", body)

func body(ctx *durable.Context, in int) (int, error) {
	return time.Now().Day(), nil // want `^time: body calls time.Now`
}

type shop struct{}

var method = durable.NewOrchestration("method", shop{}.order)

func (shop) order(ctx *durable.Context, in int) (int, error) {
	return time.Now().Day(), nil // want `^time: shop.order calls time.Now`
}

func generic[T any](ctx *durable.Context, in T) (T, error) {
	_ = time.Now() // want `^time: generic calls time.Now`
	return in, nil
}

var instance = durable.NewOrchestration("generic", generic[int])

// inside makes one when the program starts: what it does itself may differ.
func inside() time.Time {
	durable.NewOrchestration("inside", func(ctx *durable.Context, in int) (int, error) {
		f := func() { _ = time.Now() } // want `^time: orchestration "inside" calls time.Now`
		f()
		return 0, nil
	})
	return time.Now()
}

// run keeps the context: its methods are orchestration code as well.
type run struct{ ctx *durable.Context }

func (r *run) step() time.Time {
	_ = r.ctx.NewGUID()
	return time.Now() // want `^time: run.step calls time.Now`
}

func (r *run) other() time.Time { return time.Now() }

func start(ctx *durable.Context) {
	r := &run{ctx}
	r.step()
	r.other() // want `^time: start calls run.other, which calls time.Now \(roots/roots.go:\d+\): use ctx.Now\(\), and ctx.Timer for what is due later; hand its value down the chain`
}

var policy = durable.RetryPolicy{Retry: func(err error) bool {
	return time.Now().Hour() < 12 // want `^time: RetryPolicy.Retry calls time.Now`
}}

func setRetry(p *durable.RetryPolicy) {
	p.Retry = sometimes
	_ = time.Now()
}

func sometimes(error) bool {
	return time.Now().Hour() < 12 // want `^time: sometimes calls time.Now`
}

// tool is run by somebody else, who has a context.
type tool struct {
	run func(context.Context) error
}

func tools(ctx *durable.Context) tool {
	use(func(context.Context) error { time.Sleep(1); return nil })
	use(work)
	_ = work(nil) // want `^sleep: tools calls work, which calls time.Sleep`
	return tool{run: func(context.Context) error { time.Sleep(1); return errors.New("x") }}
}

func use(func(context.Context) error) {}

func work(context.Context) error { time.Sleep(1); return nil }
