package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// Call is one call of a tool.
type Call struct {
	// ID is the model's id of the call. Models repeat ids, so it identifies nothing by itself.
	ID string
	// Key is the idempotency key: one per logical call, the same over retries, crashes and restarts.
	Key string
	// Arguments is a JSON object, as the model wrote it. Empty means no arguments, {}.
	Arguments string
	// Run and Agent say on whose behalf the call is made.
	Run, Agent string
	// Attempt counts the starts of this logical call from 1. 0 means that nobody counts.
	Attempt int
}

// scope is what a context of a call leads to.
type scope struct {
	call     Call
	progress reporter
	state    stateChanges
}

type scopeKey struct{}

// enter makes the context that a tool's function is called with.
func enter(ctx context.Context, call Call) (context.Context, *scope) {
	s := &scope{call: call}
	s.progress.report, _ = ctx.Value(progressKey{}).(func(string))
	s.state.base, _ = ctx.Value(stateKey{}).(map[string]json.RawMessage)
	return context.WithValue(ctx, scopeKey{}, s), s
}

// leave cuts the scope off from a function that goes on after its call is over.
func (s *scope) leave() {
	s.progress.close()
	s.state.take()
}

func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// FromContext returns the call that a tool's function or its Reconcile function was made for, and whether ctx
// comes from one.
func FromContext(ctx context.Context) (Call, bool) {
	if s := scopeOf(ctx); s != nil {
		return s.call, true
	}
	return Call{}, false
}

// Key returns the idempotency key of the call that ctx belongs to, or "" outside of a call. Give it to the
// service that does the work, so that it recognises a repetition.
func Key(ctx context.Context) string {
	call, _ := FromContext(ctx)
	return call.Key
}

var errZeroTool = errors.New("the zero Tool cannot be called: make tools with tools.New or tools.Raw")

// Validate checks arguments as [Tool.Call] does, without calling anything. The error is an [*ArgumentError], or
// a [*PanicError] if the input type's own UnmarshalJSON panics.
func (t Tool) Validate(arguments string) error {
	if t.def == nil {
		return errZeroTool
	}
	_, err := t.def.prepare(arguments)
	return err
}

// Call checks the arguments and calls the function, on a goroutine of its own. See the package documentation for
// its errors. It is safe for concurrent use.
//
// When ctx ends or the tool's [Timeout] passes, the function's context ends and Call returns without waiting for
// it: a function that ignores its context goes on by itself and what it returns is dropped. The error is a
// [*TimeoutError] or wraps the context's error if the tool is pure or idempotent, else it is an
// [*UnknownOutcomeError]. The same goes for an error that the function returns after its context has ended, since
// a request that was cut off may have arrived.
//
// If ctx has ended before, the function is not called, and the error wraps the context's error for every tool.
func (t Tool) Call(ctx context.Context, call Call) (Result, error) {
	d := t.def
	if d == nil {
		return Result{}, errZeroTool
	}
	in, err := d.prepare(call.Arguments)
	if err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, d.ended(ctx, "was not called")
	}
	ctx, s := enter(ctx, call)
	defer s.leave()
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()

	out, err := d.await(ctx, func() (any, error) {
		out, err := d.run(ctx, in)
		if err != nil {
			return nil, err
		}
		return d.render(out) // here, because a MarshalJSON may panic too
	})
	if err != nil {
		return Result{}, d.judge(ctx, call, err)
	}
	result := out.(Result)
	if !result.IsError {
		result.Changes = s.state.take()
	}
	return result, nil
}

// Reconcile asks the tool whether a call that was interrupted took effect. It never calls the tool's function.
// An error means that it is still unknown: ask again later or leave it to a person. The tool's [Timeout] holds
// for it too.
func (t Tool) Reconcile(ctx context.Context, call Call) (Outcome, error) {
	d := t.def
	if d == nil {
		return Outcome{}, errZeroTool
	}
	if d.reconcile == nil {
		return Outcome{}, fmt.Errorf("tool %s has no Reconcile function: a person must find out whether call %s happened", d.name, call.Key)
	}
	in, err := d.prepare(call.Arguments)
	if err != nil {
		return Outcome{}, err
	}
	ctx, s := enter(ctx, call)
	defer s.leave()
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()

	out, err := d.await(ctx, func() (any, error) {
		out, happened, err := d.reconcile.ask(ctx, call.Key, in)
		if err != nil || !happened {
			return Outcome{}, err
		}
		result, err := d.render(out)
		return Outcome{Happened: true, Result: result}, err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("reconcile call %s of tool %s: %w", call.Key, d.name, err)
	}
	outcome := out.(Outcome)
	if outcome.Happened && !outcome.Result.IsError {
		outcome.Result.Changes = s.state.take()
	}
	return outcome, nil
}

// withTimeout applies the tool's timeout, with a cause that tells it from a deadline of the caller.
func (d *definition) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d.timeout, &TimeoutError{Tool: d.name, After: d.timeout})
}

// await runs fn on a goroutine of its own until it returns or ctx ends. The goroutine has no owner after that: a
// function that ignores its context cannot be stopped, and the caller must not hang with it.
func (d *definition) await(ctx context.Context, fn func() (any, error)) (any, error) {
	type returned struct {
		out any
		err error
	}
	done := make(chan returned, 1) // buffered: nobody may be listening any more
	go func() {
		// Overwritten unless fn leaves by runtime.Goexit, which no recover sees.
		r := returned{err: &PanicError{Tool: d.name, Value: "runtime.Goexit was called"}}
		defer func() {
			if v := recover(); v != nil {
				r = returned{err: &PanicError{Tool: d.name, Value: v, Stack: trimStack(string(debug.Stack()))}}
			}
			done <- r
		}()
		out, err := fn()
		r = returned{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done: // it returned at the same moment: better to know
		return r.out, r.err
	default:
		return nil, d.ended(ctx, "did not return")
	}
}

// ended is the error of a call whose context is over.
func (d *definition) ended(ctx context.Context, what string) error {
	cause := context.Cause(ctx)
	if timeout, ok := cause.(*TimeoutError); ok && timeout.Tool == d.name {
		return timeout
	}
	if errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("tool %s %s: %w", d.name, what, cause)
	}
	return fmt.Errorf("tool %s %s: %w: %w", d.name, what, ctx.Err(), cause)
}

// judge decides what an error of a call means.
func (d *definition) judge(ctx context.Context, call Call, err error) error {
	if unknown, ok := errors.AsType[*UnknownOutcomeError](err); ok {
		_, stop := errors.AsType[*StopError](err)
		err = unknown.Err
		if err == nil {
			err = errors.New("the function cannot tell")
		}
		if stop {
			err = Stop(err) // also where the mark was around the unknown outcome
		}
		if !d.effect.Repeatable() {
			return &UnknownOutcomeError{Tool: d.name, Key: call.Key, Err: err}
		}
	}
	if ctx.Err() == nil {
		return err
	}
	if timeout, ok := context.Cause(ctx).(*TimeoutError); ok && timeout.Tool == d.name && errors.Is(err, context.DeadlineExceeded) {
		err = timeout // says more than "context deadline exceeded"
	}
	if !d.effect.Repeatable() {
		err = &UnknownOutcomeError{Tool: d.name, Key: call.Key, Err: err}
	}
	return err
}

// trimStack leaves of a panic's stack the frames from the panicking function to the tool's own, at most 4 KiB.
func trimStack(stack string) string {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	start, end := 0, len(lines)
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "panic(") && i+2 < len(lines):
			start = i + 2 // the line after names panic's own file
		case strings.Contains(line, "tools.(*definition).") && strings.HasPrefix(line, "github.com/") && end == len(lines) && start > 0:
			end = i
		}
	}
	stack = strings.Join(lines[start:max(start, end)], "\n")
	if const4k := 4 << 10; len(stack) > const4k {
		stack = strings.ToValidUTF8(stack[:const4k], "") + "\n…"
	}
	return stack
}
