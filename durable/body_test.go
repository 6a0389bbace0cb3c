package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// How a body can end badly, and what its caller sees of it.
func TestBodyEnds(t *testing.T) {
	type call func(ctx *durable.Context) (string, error)
	for _, c := range []struct {
		name string
		body call
		typ  string
		text string
	}{
		{"error", func(*durable.Context) (string, error) { return "", errors.New("no") }, "errors.errorString", "no"},
		{"panic", func(*durable.Context) (string, error) { panic("oh") }, "panic", "panic: oh"},
		{"panic with an error", func(*durable.Context) (string, error) { panic(errors.New("oh")) }, "panic", "panic: oh"},
		{"panic after a step", func(ctx *durable.Context) (string, error) { _, _ = hello.Call(ctx, "x"); panic("oh") }, "panic", "panic: oh"},
		{"goexit", func(*durable.Context) (string, error) { runtime.Goexit(); return "", nil }, "errors.errorString", "the orchestration ended its goroutine (runtime.Goexit)"},
		{"goexit after a step", func(ctx *durable.Context) (string, error) {
			_, _ = hello.Call(ctx, "x")
			runtime.Goexit()
			return "", nil
		},
			"errors.errorString", "the orchestration ended its goroutine (runtime.Goexit)"},
		{"wrong status", func(ctx *durable.Context) (string, error) { ctx.SetCustomStatus(func() {}); return "", nil },
			"fmt.wrapError", "custom status: func() has no JSON form: json: unsupported type: func()"},
		{"wrong input", func(ctx *durable.Context) (string, error) { return durable.CallActivity[string](ctx, "hello", 7) },
			"fmt.wrapError", "activity hello failed: input of activity hello does not decode into string: json: cannot unmarshal number into Go value of type string, at byte 1: 7"},
		{"wrong result", func(ctx *durable.Context) (string, error) {
			n, err := durable.CallActivity[int](ctx, "hello", "x")
			return fmt.Sprint(n), err
		}, "", `result of activity hello does not decode into int`},
		{"predicate panics", func(ctx *durable.Context) (string, error) {
			return refuse.Call(ctx, "why", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3, Retry: func(error) bool { panic("p") }}))
		}, "", "panic: p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			child := durable.NewOrchestration("child", func(ctx *durable.Context, _ int) (string, error) { return c.body(ctx) })
			parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ int) (string, error) { return child.Call(ctx, 1) })
			rt := open(t, child, parent, hello, refuse)
			for _, o := range []*durable.Orchestration[int, string]{child, parent} {
				_, err := o.Run(t.Context(), rt.Client(), 1)
				var failed *durable.TaskFailedError
				if !errors.As(err, &failed) {
					t.Fatalf("%s: got %v", o.Name(), err)
				}
				if !strings.Contains(failed.Message, c.text) {
					t.Errorf("%s: message %q", o.Name(), failed.Message)
				}
				if o == child && c.typ != "" && failed.Type != c.typ {
					t.Errorf("type %q", failed.Type)
				}
				if o == child && c.typ == "panic" && !strings.Contains(failed.Stack, "body_test.go") {
					t.Errorf("stack %q", failed.Stack)
				}
			}
		})
	}
}

// A body that is put away runs its deferred functions, cannot stop that by recover,
// and does nothing more; its next life sees none of it.
func TestPutAway(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		var deferred, recovered atomic.Int64
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (s string, err error) {
			defer func() {
				deferred.Add(1)
				if s != "" {
					return // this life ended by itself
				}
				if recover() != nil {
					recovered.Add(1)
				}
				_, _ = hello.Call(ctx, "from the grave")
				_, _ = durable.All(ctx, []*durable.Task[string]{durable.WaitForEvent[string](ctx, "x")})
				_ = ctx.SendEvent("i", "x", "from the grave")
				ctx.SetCustomStatus("from the grave")
				ctx.Logger().Error("from the grave")
				ctx.Store([]byte("from the grave"))
				_ = durable.Any(ctx, durable.WaitForEvent[string](ctx, "x")).Done() // nil: a panic on the way out
			}()
			for range 2 {
				more, err := durable.WaitForEvent[string](ctx, "go").Await()
				if err != nil {
					return "", err
				}
				s += more
				if _, err := hello.Call(ctx, more); err != nil {
					return "", err
				}
			}
			return s, nil
		})
		rt := d.run(t, durable.Options{}, o, hello)
		if _, err := o.Schedule(t.Context(), rt.Client(), "", durable.WithInstanceID("i")); err != nil {
			t.Fatal(err)
		}
		closeRuntime(t, rt)
		equal(t, "deferred", deferred.Load(), 1)
		for range 2 {
			rt = d.run(t, durable.Options{}, o, hello)
			if err := rt.Client().RaiseEvent(t.Context(), "i", "go", "x"); err != nil {
				t.Fatal(err)
			}
			closeRuntime(t, rt)
		}
		rt = d.run(t, durable.Options{}, o, hello)
		got, err := o.Wait(t.Context(), rt.Client(), "i")
		if got != "xx" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		equal(t, "recovered", recovered.Load(), 0)
		st, err := rt.Client().Get(t.Context(), "i")
		if err != nil || len(st.CustomStatus) != 0 {
			t.Errorf("custom status %q, %v", st.CustomStatus, err)
		}
		if h := kinds(t, rt.Client(), "i"); strings.Contains(h, "EventSent") || strings.Count(h, "TaskScheduled") != 2 {
			t.Errorf("history %s", h)
		}
	})
}

// counting is a slog.Handler that counts records by message.
type counting struct {
	slog.Handler
	n *atomic.Int64
}

func (h counting) Handle(context.Context, slog.Record) error { h.n.Add(1); return nil }
func (h counting) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h counting) Enabled(_ context.Context, l slog.Level) bool {
	return l == slog.LevelInfo
}

// Replay is silent and gives everything again as it was: the clock, random ids,
// parents, tags.
func TestReplayIsTheSame(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		var logged, replays atomic.Int64
		type seen struct{ Now, GUID1, GUID2, Execution, Tag string }
		var lives []seen
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			if ctx.IsReplaying() {
				replays.Add(1)
			}
			ctx.Logger().Info("begun")
			s := seen{Now: ctx.Now().String(), GUID1: ctx.NewGUID(), GUID2: ctx.NewGUID(), Execution: ctx.ExecutionID(), Tag: ctx.Tags()["k"]}
			lives = append(lives, s)
			if _, err := durable.WaitForEvent[string](ctx, "go").Await(); err != nil {
				return "", err
			}
			if ctx.IsReplaying() {
				return "", errors.New("the new turn is a replay")
			}
			return ctx.NewGUID(), nil
		})
		log := slog.New(counting{slog.DiscardHandler, &logged})
		rt := d.run(t, durable.Options{Logger: log}, o)
		id, err := o.Schedule(t.Context(), rt.Client(), "", durable.WithTags(map[string]string{"k": "v"}))
		if err != nil {
			t.Fatal(err)
		}
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{Logger: log}, o)
		if err := rt.Client().RaiseEvent(t.Context(), id, "go", ""); err != nil {
			t.Fatal(err)
		}
		guid, err := o.Wait(t.Context(), rt.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(lives) != 2 || lives[0] != lives[1] || lives[0].Tag != "v" || len(guid) != 36 || guid == lives[0].GUID2 || lives[0].GUID1 == lives[0].GUID2 {
			t.Errorf("lives %+v, then %s", lives, guid)
		}
		equal(t, "replays", replays.Load(), 1)
		equal(t, "records", logged.Load(), 1)
	})
}

// Code that takes another step than its history fails the instance, with an error
// that names the event, what was recorded and what the code did.
func TestNonDeterminism(t *testing.T) {
	wait := func(ctx *durable.Context) (string, error) { return durable.WaitForEvent[string](ctx, "go").Await() }
	was := func(ctx *durable.Context) (string, error) {
		if _, err := hello.Call(ctx, "a"); err != nil {
			return "", err
		}
		return wait(ctx)
	}
	for _, c := range []struct {
		name string
		is   func(ctx *durable.Context) (string, error)
		want string // "": no difference
	}{
		{"the same", was, ""},
		{"another activity", func(ctx *durable.Context) (string, error) { _, _ = refuse.Call(ctx, "a"); return wait(ctx) },
			`event 2 (execution X): recorded TaskScheduled #0 "hello", the code did TaskScheduled #0 "refuse" (name)`},
		{"another input", func(ctx *durable.Context) (string, error) { _, _ = hello.Call(ctx, "b"); return wait(ctx) },
			`event 2 (execution X): recorded TaskScheduled #0 "hello", the code did TaskScheduled #0 "hello" (data: recorded "a", the code "b")`},
		{"another kind", func(ctx *durable.Context) (string, error) { _ = ctx.Sleep(0); return wait(ctx) },
			`event 2 (execution X): recorded TaskScheduled #0 "hello", the code did TimerCreated #0`},
		{"less", wait, `event 2 (execution X): recorded TaskScheduled #0 "hello", the code did nothing`},
		{"more", func(ctx *durable.Context) (string, error) { _ = ctx.SendEvent("x", "y", ""); return was(ctx) },
			`event 2 (execution X): recorded TaskScheduled #0 "hello", the code did EventSent #0 "y"`},
		{"more, later", func(ctx *durable.Context) (string, error) {
			_, _ = hello.Call(ctx, "a")
			_ = ctx.SendEvent("x", "y", "")
			return wait(ctx)
		}, `event 5 (execution X): recorded nothing, the code did EventSent #1 "y"`},
		{"ends before", func(ctx *durable.Context) (string, error) { return hello.Call(ctx, "a") },
			`event 5 (execution X): recorded nothing, the code did ExecutionCompleted #1`},
		{"recovers", func(ctx *durable.Context) (string, error) {
			defer func() { _ = recover() }()
			_, _ = refuse.Call(ctx, "a")
			return wait(ctx)
		}, `event 2 (execution X): recorded TaskScheduled #0 "hello", the code did TaskScheduled #0 "refuse" (name)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, d *disk) {
				def := func(body func(*durable.Context) (string, error)) *durable.Orchestration[string, string] {
					return durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) { return body(ctx) })
				}
				rt := d.run(t, durable.Options{}, def(was), hello, refuse)
				if _, err := def(was).Schedule(t.Context(), rt.Client(), "", durable.WithInstanceID("i")); err != nil {
					t.Fatal(err)
				}
				d.until(t, rt, func() bool { return strings.Contains(kinds(t, rt.Client(), "i"), "TaskCompleted") })
				closeRuntime(t, rt)
				rt = d.run(t, durable.Options{}, def(c.is), hello, refuse)
				if err := rt.Client().RaiseEvent(t.Context(), "i", "go", "done"); err != nil {
					t.Fatal(err)
				}
				got, err := def(c.is).Wait(t.Context(), rt.Client(), "i")
				if c.want == "" {
					if err != nil || got != "done" {
						t.Fatalf("got %q, %v", got, err)
					}
					return
				}
				var failed *durable.TaskFailedError
				if !errors.As(err, &failed) || failed.Type != durable.NonDeterminism || !failed.NonRetriable {
					t.Fatalf("got %q, %v", got, err)
				}
				evs := record(t, rt.Client(), "i")
				want := "history of i diverges at " + strings.ReplaceAll(c.want, "X", evs[1].Instance.Execution)
				if !strings.HasPrefix(failed.Message, want) {
					t.Errorf("got\n%s\nwant\n%s", failed.Message, want)
				}
				increasing(t, evs)
			})
		})
	}
}

// increasing checks that ids of actions increase strictly.
func increasing(t *testing.T, evs []*history.Event) {
	t.Helper()
	last := history.FromOutside
	for i, ev := range evs {
		if ev.ID == history.FromOutside {
			continue
		}
		if ev.ID <= last {
			t.Errorf("event %d has the id %d after %d", i, ev.ID, last)
		}
		last = ev.ID
	}
}
