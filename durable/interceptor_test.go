package durable_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// tracer notes what passes it.
type tracer struct {
	mu   sync.Mutex
	said []string
}

func (s *tracer) say(format string, args ...any) {
	s.mu.Lock()
	s.said = append(s.said, fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

func (s *tracer) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(s.said, "\n")
	s.said = nil
	return text
}

// wraps is an interceptor that notes everything on its way in and out.
func (s *tracer) wraps(n string) durable.Interceptor {
	return durable.Interceptor{
		Client: func(ctx context.Context, c *durable.ClientCall, next durable.ClientFunc) error {
			s.say("%s %s %s %s", n, c.Op, c.Name, c.Input)
			return next(ctx, c)
		},
		Orchestration: func(ctx *durable.Context, c *durable.OrchestrationCall, next durable.OrchestrationFunc) (history.Payload, error) {
			if !ctx.IsReplaying() {
				s.say("%s > %s %s", n, ctx.Name(), c.Input)
			}
			p, err := next(ctx, c)
			s.say("%s < %s %s %v", n, ctx.Name(), p, err)
			return p, err
		},
		Activity: func(ctx context.Context, c *durable.ActivityCall, next durable.ActivityFunc) (history.Payload, error) {
			info, _ := durable.Info(ctx)
			s.say("%s > %s %s %v", n, c.Name, c.Input, info.Tags)
			p, err := next(ctx, c)
			s.say("%s < %s %s %v", n, c.Name, p, err)
			return p, err
		},
		Entity: func(ctx *durable.EntityContext, c *durable.EntityCall, next durable.EntityFunc) (history.Payload, error) {
			s.say("%s > %s %s %s signal %v", n, ctx.ID(), c.Operation, c.Input, c.Signal)
			p, err := next(ctx, c)
			s.say("%s < %s %s %v", n, c.Operation, p, err)
			return p, err
		},
	}
}

// Interceptors nest in their order around each kind of thing, once for each, whatever
// is replayed.
func TestInterceptorsNest(t *testing.T) {
	var trace tracer
	account := durable.NewEntity[int]("account")
	deposit := durable.Operation(account, "deposit", func(ctx *durable.EntityContext, s *int, n int) (int, error) {
		if *s += n; *s > 2 {
			return 0, errors.New("too much")
		}
		return *s, nil
	})
	work := durable.NewActivity("work", func(ctx context.Context, n int) (int, error) { return n + 1, nil })
	job := durable.NewOrchestration("job", func(ctx *durable.Context, n int) (int, error) {
		n, err := work.Call(ctx, n, durable.WithTags(map[string]string{"a": "b"}))
		if err != nil {
			return 0, err
		}
		if _, err := deposit.Call(ctx, "x", n); err != nil {
			return 0, err
		}
		return deposit.Call(ctx, "x", n)
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{
		Logger: quiet, Cached: -1, Interceptors: []durable.Interceptor{trace.wraps("1"), {}, trace.wraps("2")},
	}, account, work, job)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := job.Run(t.Context(), rt.Client(), 1); err == nil {
		t.Error("no error")
	}
	equal(t, "trace", trace.take(), `1 schedule job 1
2 schedule job 1
1 > job 1
2 > job 1
1 > work 1 map[a:b]
2 > work 1 map[a:b]
2 < work 2 <nil>
1 < work 2 <nil>
1 > @account@x deposit 2 signal false
2 > @account@x deposit 2 signal false
2 < deposit 2 <nil>
1 < deposit 2 <nil>
1 > @account@x deposit 2 signal false
2 > @account@x deposit 2 signal false
2 < deposit  too much
1 < deposit  too much
2 < job  operation deposit of @account@x failed: too much
1 < job  operation deposit of @account@x failed: too much`)
	c := rt.Client()
	if err := errors.Join(deposit.Send(t.Context(), c, "x", -2), c.RaiseEvent(t.Context(), "none", "e", 1)); !durable.IsNotFound(err) {
		t.Error(err)
	}
	id, err := c.Schedule(t.Context(), "nobody", nil)
	if err := errors.Join(err, c.Suspend(t.Context(), id, "s"), c.Resume(t.Context(), id, "r"), c.Terminate(t.Context(), id, "out", true)); err != nil {
		t.Error(err)
	}
	var ops []string
	for line := range strings.Lines(trace.take()) {
		if op, ok := strings.CutPrefix(strings.TrimSpace(line), "1 "); ok && !strings.HasPrefix(op, ">") && !strings.HasPrefix(op, "<") {
			ops = append(ops, op)
		}
	}
	equal(t, "client", strings.Join(ops, ", "), `signal deposit -2, raise e 1, schedule nobody, suspend  s, resume  r, terminate  "out"`)
}

// Interceptors may change what goes in and comes out, answer by themselves, and call
// next again.
func TestInterceptorsChange(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		tries := 0
		flaky := durable.NewActivity("flaky", func(ctx context.Context, s string) (string, error) {
			if tries++; tries == 1 {
				return "", errors.New("again")
			}
			return s, nil
		})
		box := durable.NewEntity[string]("box")
		put := durable.Operation(box, "put", func(ctx *durable.EntityContext, s *string, in string) (string, error) {
			*s += in
			return *s, nil
		})
		job := durable.NewOrchestration("job", func(ctx *durable.Context, s string) (string, error) {
			a, err := flaky.Call(ctx, s)
			if err != nil {
				return "", err
			}
			b, err := put.Call(ctx, "x", s)
			if err != nil {
				return "", err
			}
			c, err := put.Call(ctx, "x", "refused")
			return fmt.Sprint(a, b, c, err != nil), nil
		})
		quote := func(s string) history.Payload { return history.Payload(fmt.Sprintf("%q", s)) }
		rt := d.run(t, durable.Options{Interceptors: []durable.Interceptor{{
			Client: func(ctx context.Context, c *durable.ClientCall, next durable.ClientFunc) error {
				if string(c.Input) == `"forbidden"` {
					return errors.New("not allowed")
				}
				c.Instance, c.Input = "chosen", quote("changed")
				return next(ctx, c)
			},
			Orchestration: func(ctx *durable.Context, c *durable.OrchestrationCall, next durable.OrchestrationFunc) (history.Payload, error) {
				if err := ctx.Sleep(0); err != nil { // a step of its own
					return nil, err
				}
				c.Input = quote("seen")
				p, err := next(ctx, c)
				return quote("<" + string(p[1:len(p)-1]) + ">"), err
			},
			Activity: func(ctx context.Context, c *durable.ActivityCall, next durable.ActivityFunc) (history.Payload, error) {
				p, err := next(ctx, c)
				if err != nil {
					return next(ctx, c)
				}
				return p, err
			},
			Entity: func(ctx *durable.EntityContext, c *durable.EntityCall, next durable.EntityFunc) (history.Payload, error) {
				if string(c.Input) == `"refused"` {
					return quote("not done"), nil
				}
				return next(ctx, c)
			},
		}}}, job, flaky, box)
		if _, err := job.Run(t.Context(), rt.Client(), "forbidden"); err == nil || !strings.Contains(err.Error(), "not allowed") {
			t.Error(err)
		}
		id, err := job.Schedule(t.Context(), rt.Client(), "given")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "id", id, "chosen")
		out, err := job.Wait(t.Context(), rt.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "output", out, "<seenseennot donefalse>")
		state, _, err := box.Get(t.Context(), rt.Client(), "x")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "state after an operation that was not let through", state, "seen")
		for b, err := range durable.ReplayOpen(t.Context(), rt.Client(), job) {
			t.Errorf("%v, %v", b, err)
		}
	})
}

// A value goes by tags from a client to instances, their children and their
// activities, also through the socket.
func TestInterceptorsPropagate(t *testing.T) {
	type key struct{}
	who := durable.Interceptor{
		Client: func(ctx context.Context, c *durable.ClientCall, next durable.ClientFunc) error {
			if user, ok := ctx.Value(key{}).(string); ok && c.Op == durable.ClientSchedule {
				c.Tags = maps.Clone(c.Tags)
				if c.Tags == nil {
					c.Tags = map[string]string{}
				}
				c.Tags["user"] = user
			}
			return next(ctx, c)
		},
		Call: func(ctx *durable.Context, c *durable.OutgoingCall) {
			c.Tags["user"] = ctx.Tags()["user"]
			if c.Child {
				c.Tags["by"] = ctx.Name()
			}
		},
		Activity: func(ctx context.Context, c *durable.ActivityCall, next durable.ActivityFunc) (history.Payload, error) {
			info, _ := durable.Info(ctx)
			return next(context.WithValue(ctx, key{}, info.Tags["user"]), c)
		},
	}
	whoami := durable.NewActivity("whoami", func(ctx context.Context, own string) (string, error) {
		info, _ := durable.Info(ctx)
		keys := slices.Sorted(maps.Keys(info.Tags))
		return fmt.Sprint(ctx.Value(key{}), keys), nil
	})
	child := durable.NewOrchestration("child", func(ctx *durable.Context, _ string) (string, error) {
		s, err := whoami.Call(ctx, "")
		return s + " by " + ctx.Tags()["by"], err
	})
	parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (string, error) {
		a, err := whoami.Call(ctx, "", durable.WithTags(map[string]string{"own": "1"}))
		if err != nil {
			return "", err
		}
		b, err := child.Call(ctx, "")
		return a + ", " + b, err
	})
	url := "sqlite:" + filepath.Join(t.TempDir(), "hub.db")
	o := durable.Options{Logger: quiet, Interceptors: []durable.Interceptor{who}}
	rt, err := durable.OpenWith(t.Context(), url, o, parent, child, whoami)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	c, err := durable.Connect(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for user, client := range map[string]*durable.Client{"ann": rt.Client(), "bob": c.Client} {
		got, err := parent.Run(context.WithValue(t.Context(), key{}, user), client, "")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, user, got, fmt.Sprintf("%[1]s[own user], %[1]s[user] by parent", user))
	}
}

// An interceptor can tell the end of an execution from a failure.
func TestContinuesAsNew(t *testing.T) {
	var trace tracer
	loop := durable.NewOrchestration("loop", func(ctx *durable.Context, n int) (int, error) {
		if n < 2 {
			return 0, fmt.Errorf("round %d: %w", n, ctx.ContinueAsNew(n+1))
		}
		return n, errors.New("broken")
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet, Interceptors: []durable.Interceptor{{
		Orchestration: func(ctx *durable.Context, c *durable.OrchestrationCall, next durable.OrchestrationFunc) (history.Payload, error) {
			p, err := next(ctx, c)
			trace.say("%v", durable.ContinuesAsNew(err))
			return p, err
		},
	}}}, loop)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := loop.Run(t.Context(), rt.Client(), 0); err == nil {
		t.Error("no error")
	}
	equal(t, "ends", trace.take(), "true\ntrue\nfalse")
}
