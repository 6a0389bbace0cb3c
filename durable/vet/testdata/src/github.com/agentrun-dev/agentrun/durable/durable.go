// Package durable has the names that the tests of the analyzer need of the real one.
package durable

import (
	"context"
	"log/slog"
	"time"
)

type Context struct{ clock time.Time }

func (ctx *Context) Now() time.Time                      { return time.Now() }
func (ctx *Context) Sleep(time.Duration) error           { return nil }
func (ctx *Context) NewGUID() string                     { return "" }
func (ctx *Context) Logger() *slog.Logger                { return nil }
func (ctx *Context) Go(f func(ctx *Context) error) error { return f(ctx) }

type EntityContext struct{}

type Client struct{}

func (c *Client) Schedule(ctx context.Context, name string) error { return nil }

type Orchestration[In, Out any] struct{}

func NewOrchestration[In, Out any](name string, fn func(*Context, In) (Out, error)) *Orchestration[In, Out] {
	return nil
}

func (o *Orchestration[In, Out]) Call(ctx *Context, in In) (out Out, err error) { return out, nil }

func (o *Orchestration[In, Out]) Schedule(ctx context.Context, c *Client, in In) (string, error) {
	return "", nil
}

type Activity[In, Out any] struct{}

type ActivityOption func()

func NewActivity[In, Out any](name string, fn func(context.Context, In) (Out, error), opts ...ActivityOption) *Activity[In, Out] {
	return nil
}

func Reconcile[In, Out any](find func(context.Context, In) (Out, bool, error)) ActivityOption {
	return nil
}

func (a *Activity[In, Out]) Call(ctx *Context, in In) (out Out, err error) { return out, nil }

func Operation[S, In, Out any](name string, fn func(ctx *EntityContext, state *S, in In) (Out, error)) *S {
	return nil
}

type RetryPolicy struct {
	MaxAttempts int
	Retry       func(error) bool
}

func Store(ctx context.Context, data []byte) error { return nil }
