package durable_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// A whole history is compared, its end included.
func TestReplayComparesTheEnd(t *testing.T) {
	type body = func(ctx *durable.Context, in string) (string, error)
	def := func(b body) *durable.Orchestration[string, string] { return durable.NewOrchestration("o", b) }
	was := func(ctx *durable.Context, in string) (string, error) {
		out, err := hello.Call(ctx, in)
		if err != nil {
			return "", err
		}
		if _, err := deposit.Call(ctx, "r", 1); err != nil {
			return "", err
		}
		if in == "fail" {
			return "", errors.New("failed")
		}
		r := ctx.Store([]byte(out))
		b, err := ctx.Load(r)
		return string(b), err
	}
	rt := open(t, def(was), hello, accounts)
	for _, in := range []string{"x", "fail"} {
		_, _ = def(was).Run(t.Context(), rt.Client(), in, durable.WithInstanceID(in))
	}
	load := func(h history.Hash) ([]byte, error) { return rt.Client().Load(t.Context(), durable.Ref{Hash: h}) }
	step := func(ctx *durable.Context, in string) {
		_, _ = hello.Call(ctx, in)
		_, _ = deposit.Call(ctx, "r", 1)
	}
	for _, c := range []struct {
		name, id string
		is       body
		want     string // "": no difference
	}{
		{"the same", "x", was, ""},
		{"the same failure", "fail", was, ""},
		{"one more id", "x", func(ctx *durable.Context, in string) (string, error) { ctx.NewGUID(); return was(ctx, in) }, ""},
		{"another result", "x", func(ctx *durable.Context, in string) (string, error) { step(ctx, in); return "other", nil },
			`event 8: recorded ExecutionCompleted #2 completed, the code did ExecutionCompleted #2 completed (data: recorded "hello x", the code "other")`},
		{"a failure instead", "x", func(ctx *durable.Context, in string) (string, error) { step(ctx, in); return "", errors.New("oh") },
			`event 8: recorded ExecutionCompleted #2 completed, the code did ExecutionCompleted #2 failed (status)`},
		{"another failure", "fail", func(ctx *durable.Context, in string) (string, error) { step(ctx, in); return "", errors.New("oh") },
			`event 8: recorded ExecutionCompleted #2 failed, the code did ExecutionCompleted #2 failed (failure: recorded errors.errorString: failed, the code errors.errorString: oh)`},
		{"goes on", "x", func(ctx *durable.Context, in string) (string, error) { step(ctx, in); return hello.Call(ctx, in) },
			`event 8: recorded ExecutionCompleted #2 completed, the code did TaskScheduled #2 "hello" (kind)`},
		{"waits", "x", func(ctx *durable.Context, in string) (string, error) {
			step(ctx, in)
			return durable.WaitForEvent[string](ctx, "x").Await()
		}, `event 8: recorded ExecutionCompleted #2 completed, the code did nothing`},
		{"begins anew", "x", func(ctx *durable.Context, in string) (string, error) {
			step(ctx, in)
			return "", ctx.ContinueAsNew("hello x")
		},
			`event 8: recorded ExecutionCompleted #2 completed, the code did ExecutionCompleted #2 continued_as_new (status)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := range 2 { // a second time, to the same end
				d, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), c.id, ""), load, def(c.is), hello, accounts)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				if d != nil {
					_, got, _ = strings.Cut(d.Error(), "diverges at ")
					got = strings.Replace(got, fmt.Sprintf(" (execution %s)", d.Address.Execution), "", 1)
				}
				equal(t, fmt.Sprint("replay ", n), got, c.want)
			}
		})
	}
}

// A history that the engine ended is compared up to there, and an open one as far
// as it goes.
func TestReplayOfTerminatedAndOpen(t *testing.T) {
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
		if _, err := hello.Call(ctx, "x"); err != nil {
			return "", err
		}
		return durable.WaitForEvent[string](ctx, "never").Await()
	})
	rt := open(t, o, hello)
	if _, err := o.Schedule(t.Context(), rt.Client(), "", durable.WithInstanceID("i")); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		if d, err := durabletest.Replay(t.Context(), rt.Client(), "i", o, hello); d != nil || err != nil {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
	check("open")
	if err := rt.Client().Terminate(t.Context(), "i", "enough", false); err != nil {
		t.Fatal(err)
	}
	check("terminated")
}

// What cannot be replayed at all is an error, not a difference.
func TestReplayErrors(t *testing.T) {
	begun := &history.Event{Kind: history.ExecutionStarted, ID: -1, Name: "o", Instance: history.Instance{ID: "i", Execution: "e"}}
	large := &history.Event{Kind: history.ExecutionStarted, ID: -1, Name: "o", DataRef: history.HashOf([]byte("x"))}
	o := durable.NewOrchestration("o", func(*durable.Context, string) (string, error) { return "", nil })
	for _, c := range []struct {
		name   string
		events []*history.Event
		defs   []durable.Definition
		want   string
	}{
		{"empty", nil, []durable.Definition{o}, "no ExecutionStarted"},
		{"unknown", []*history.Event{begun}, nil, `orchestration "o", which is not among the definitions`},
		{"payload", []*history.Event{large}, []durable.Definition{o}, "is not part of the recording"},
	} {
		_, err := durable.Replay(t.Context(), durabletest.Events(c.events...), nil, c.defs...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}
