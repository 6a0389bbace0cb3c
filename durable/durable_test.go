package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

func open(t *testing.T, defs ...durable.Definition) *durable.Runtime {
	t.Helper()
	rt, err := durable.Open(t.Context(), "memory:", defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

var (
	hello = durable.NewActivity("hello", func(ctx context.Context, name string) (string, error) {
		return "hello " + name, nil
	}, durable.Pure())
	refuse = durable.NewActivity("refuse", func(ctx context.Context, why string) (string, error) {
		return "", errors.New(why)
	})
)

func TestChain(t *testing.T) {
	chain := durable.NewOrchestration("chain", func(ctx *durable.Context, n int) (string, error) {
		s := ""
		for i := range n {
			out, err := hello.Call(ctx, fmt.Sprint(i))
			if err != nil {
				return "", err
			}
			s = out
		}
		return s, nil
	})
	rt := open(t, chain, hello)
	got, err := chain.Run(t.Context(), rt.Client(), 5)
	if err != nil || got != "hello 4" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestFanOut(t *testing.T) {
	fan := durable.NewOrchestration("fan", func(ctx *durable.Context, n int) (int, error) {
		items := make([]int, n)
		all, err := durable.All(ctx, durable.StartEach(ctx, items, func(int) *durable.Task[string] { return hello.Start(ctx, "x") }))
		return len(all), err
	})
	rt := open(t, fan, hello)
	got, err := fan.Run(t.Context(), rt.Client(), 300)
	if err != nil || got != 300 {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestFailure(t *testing.T) {
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) { return refuse.Call(ctx, "no money") })
	rt := open(t, o, refuse)
	_, err := o.Run(t.Context(), rt.Client(), "")
	var f *durable.TaskFailedError
	if !errors.As(err, &f) || f.Message != "activity refuse failed: no money" {
		t.Fatalf("got %v", err)
	}
}

func TestEventAndTimer(t *testing.T) {
	o := durable.NewOrchestration("o", func(ctx *durable.Context, d time.Duration) (string, error) {
		decision := durable.WaitForEvent[bool](ctx, "Decision")
		timeout := ctx.Timer(d)
		if durable.Any(ctx, decision, timeout) == timeout {
			return "timeout", nil
		}
		ok, err := decision.Await()
		return fmt.Sprint(ok), err
	})
	rt := open(t, o)
	ctx := t.Context()
	if got, err := o.Run(ctx, rt.Client(), time.Millisecond); err != nil || got != "timeout" {
		t.Fatalf("got %q, %v", got, err)
	}
	id, err := o.Schedule(ctx, rt.Client(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := rt.Client().RaiseEvent(ctx, id, "decision", true); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Wait(ctx, rt.Client(), id); err != nil || got != "true" {
		t.Fatalf("got %q, %v", got, err)
	}
	var kinds []string
	for ev, err := range rt.Client().History(ctx, id, "") {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, ev.Kind.String())
	}
	t.Log(kinds)
	if err := rt.Client().RaiseEvent(ctx, "nobody", "x", nil); !durable.IsNotFound(err) {
		t.Fatalf("got %v", err)
	}
}

type account struct{ Balance int }

var (
	accounts = durable.NewEntity[account]("account")
	deposit  = durable.Operation(accounts, "deposit", func(ctx *durable.EntityContext, a *account, n int) (int, error) {
		if a.Balance+n < 0 {
			return 0, errors.New("not enough")
		}
		a.Balance += n
		return a.Balance, nil
	})
)

func TestEntity(t *testing.T) {
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (int, error) {
		sum := 0
		for range n {
			var err error
			if sum, err = deposit.Call(ctx, "a", 2); err != nil {
				return 0, err
			}
		}
		if _, err := deposit.Call(ctx, "a", -1000); err == nil {
			return 0, errors.New("went below zero")
		}
		return sum, nil
	})
	rt := open(t, o, accounts)
	got, err := o.Run(t.Context(), rt.Client(), 10)
	if err != nil || got != 20 {
		t.Fatalf("got %v, %v", got, err)
	}
	s, ok, err := accounts.Get(t.Context(), rt.Client(), "a")
	if err != nil || !ok || s.Balance != 20 {
		t.Fatalf("got %v %v %v", s, ok, err)
	}
}

func TestChildAndContinueAsNew(t *testing.T) {
	child := durable.NewOrchestration("child", func(ctx *durable.Context, n int) (int, error) {
		if n < 3 {
			return 0, ctx.ContinueAsNew(n + 1)
		}
		return n * 10, nil
	})
	parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ int) (int, error) { return child.Call(ctx, 0) })
	rt := open(t, child, parent)
	id, err := parent.Schedule(t.Context(), rt.Client(), 1, durable.WithInstanceID("p"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parent.Wait(t.Context(), rt.Client(), id)
	if err != nil || got != 30 {
		t.Fatalf("got %v, %v", got, err)
	}
	n := 0
	for s, err := range rt.Client().Query(t.Context(), durable.Query{Data: true}) {
		if err != nil || s.Status != history.Completed {
			t.Fatal(s, err)
		}
		n++
		if s.ID != id {
			x, err := rt.Client().Executions(t.Context(), s.ID)
			if len(x) != 4 || err != nil {
				t.Fatal(x, err)
			}
		}
	}
	if n != 2 {
		t.Fatal(n)
	}
}
