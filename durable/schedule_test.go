package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// collect gives the first n events named "e", and when it began to run.
var collect = durable.NewOrchestration("collect", func(ctx *durable.Context, n int) (string, error) {
	out := ctx.Now().Format("15:04")
	for range n {
		s, err := durable.WaitForEvent[string](ctx, "e").Await()
		if err != nil {
			return "", err
		}
		out += " " + s
	}
	return out, nil
})

// An instance that starts later is Pending until then, takes what came meanwhile
// in its order, and survives restarts; without them it does nothing at all.
func TestStartAt(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		for _, cached := range []int{0, -1} {
			t.Run(fmt.Sprintf("restarts=%v cached=%d", restarts, cached), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					s := memory.New()
					commits := 0
					open := func(defs ...durable.Definition) *durable.Runtime {
						rt, err := durable.OpenStore(ctx, s, durable.Options{Logger: quiet, Cached: cached, OnCommit: func(uint64) { commits++ }}, defs...)
						if err != nil {
							t.Fatal(err)
						}
						return rt
					}
					rt := open(collect)
					restart := func(defs ...durable.Definition) {
						if restarts {
							closeRuntime(t, rt)
							s = s.Reopen()
							rt = open(defs...)
							synctest.Wait()
						}
					}
					at := time.Now().Add(3 * time.Hour) // 03:00
					if _, err := collect.Schedule(ctx, rt.Client(), 4, durable.WithInstanceID("i"), durable.WithStartAt(at)); err != nil {
						t.Fatal(err)
					}
					if _, err := collect.Schedule(ctx, rt.Client(), 0, durable.WithInstanceID("past"), durable.WithStartAt(time.Now().Add(-time.Hour))); err != nil {
						t.Fatal(err)
					}
					got, err := collect.Wait(ctx, rt.Client(), "past")
					equal(t, "past", fmt.Sprint(got, err), "00:00<nil>")
					raise := func(v string) {
						t.Helper()
						if err := rt.Client().RaiseEvent(ctx, "i", "e", v); err != nil {
							t.Fatal(err)
						}
						time.Sleep(30 * time.Minute)
					}
					raise("a")
					restart()
					raise("b")
					restart(collect)
					before := commits
					time.Sleep(time.Hour)
					if commits != before {
						t.Errorf("%d commits while it waits", commits-before)
					}
					st, err := rt.Client().Get(ctx, "i")
					if err != nil {
						t.Fatal(err)
					}
					equal(t, "waiting", fmt.Sprint(st.Status, " ", string(st.Input), " ", st.StartAt.Equal(at)), "pending 4 true")
					if _, err := collect.Schedule(ctx, rt.Client(), 4, durable.WithInstanceID("i")); !errors.Is(err, durable.ErrExists) {
						t.Errorf("the id is taken: %v", err)
					}
					if _, err := rt.Client().Purge(ctx, "i", false); !errors.Is(err, durable.ErrNotEnded) {
						t.Errorf("purge: %v", err)
					}
					raise("c") // 02:30
					time.Sleep(time.Hour)
					raise("d")
					got, err = collect.Wait(ctx, rt.Client(), "i")
					equal(t, "output", fmt.Sprint(got, err), "03:00 a b c d<nil>")
					if waiting, err := s.Inbox(ctx, "i"); len(waiting) > 0 || err != nil {
						t.Errorf("%d messages are left, %v", len(waiting), err)
					}
					closeRuntime(t, rt)
				})
			})
		}
	}
}

// One that is terminated before it starts has its input and runs no code; one
// whose definition is missing when it is due starts in a program that has it.
func TestStartAtNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := memory.New()
		rt, err := durable.OpenStore(ctx, s, durable.Options{Logger: quiet, Cached: -1}, collect)
		if err != nil {
			t.Fatal(err)
		}
		later := durable.WithStartAt(time.Now().Add(time.Hour))
		for _, id := range []string{"a", "b"} {
			if _, err := collect.Schedule(ctx, rt.Client(), 1, durable.WithInstanceID(id), later); err != nil {
				t.Fatal(err)
			}
			if err := rt.Client().RaiseEvent(ctx, id, "e", "x"); err != nil {
				t.Fatal(err)
			}
		}
		if err := rt.Client().Terminate(ctx, "a", "no", false); err != nil {
			t.Fatal(err)
		}
		st, err := rt.Client().Wait(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "terminated", fmt.Sprint(st.Status, string(st.Input), string(st.Output)), `terminated1"no"`)
		equal(t, "history", kinds(t, rt.Client(), "a"), "OrchestratorStarted ExecutionStarted EventRaised ExecutionTerminated ExecutionCompleted")
		closeRuntime(t, rt)
		s = s.Reopen()
		rt, err = durable.OpenStore(ctx, s, durable.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if st, err = rt.Client().Get(ctx, "b"); err != nil || st.Status != history.Pending {
			t.Errorf("without its definition: %v, %v", st, err)
		}
		closeRuntime(t, rt)
		s = s.Reopen()
		rt, err = durable.OpenStore(ctx, s, durable.Options{Logger: quiet}, collect)
		if err != nil {
			t.Fatal(err)
		}
		got, err := collect.Wait(ctx, rt.Client(), "b")
		equal(t, "with it", fmt.Sprint(got, err), "02:00 x<nil>")
		for _, id := range []string{"a", "b"} {
			if waiting, err := s.Inbox(ctx, id); len(waiting) > 0 || err != nil {
				t.Errorf("%d messages for %s are left, %v", len(waiting), id, err)
			}
		}
		closeRuntime(t, rt)
	})
}

func TestStartAtCrashes(t *testing.T) {
	durabletest.CrashEverywhere(t, []durable.Definition{collect}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		c := env.Client()
		at := time.Now().Add(20 * time.Millisecond)
		if _, err := collect.Schedule(ctx, c, 1, durable.WithInstanceID("i"), durable.WithStartAt(at)); err != nil {
			return 0, err
		}
		if err := c.RaiseEvent(ctx, "i", "e", "x"); err != nil {
			return 0, err
		}
		_, err := collect.Wait(ctx, c, "i")
		return 1, err
	})
}

// What may be replaced is replaced in one step, a live one as if terminated.
func TestReuse(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		parent := durable.NewOrchestration("parent", func(ctx *durable.Context, id string) (string, error) {
			_, err := collect.Call(ctx, 1, durable.WithInstanceID(id))
			return fmt.Sprint(err), nil
		})
		fail := durable.NewOrchestration("fail", func(*durable.Context, int) (int, error) { return 0, errors.New("no") })
		rt := d.run(t, durable.Options{}, collect, parent, fail)
		c := rt.Client()
		all := []history.Status{history.Running, history.Pending, history.Suspended, history.Completed, history.Failed, history.Terminated, history.Canceled}
		become := map[history.Status]func(id string) error{
			history.Running: func(id string) error {
				_, err := collect.Schedule(ctx, c, 1, durable.WithInstanceID(id))
				return err
			},
			history.Pending: func(id string) error {
				_, err := collect.Schedule(ctx, c, 1, durable.WithInstanceID(id), durable.WithStartAt(time.Now().Add(time.Hour)))
				return errors.Join(err, c.RaiseEvent(ctx, id, "e", "for the old one"))
			},
			history.Suspended: func(id string) error {
				_, err := collect.Schedule(ctx, c, 1, durable.WithInstanceID(id))
				return errors.Join(err, c.Suspend(ctx, id, "why"))
			},
			history.Completed: func(id string) error {
				_, err := collect.Run(ctx, c, 0, durable.WithInstanceID(id))
				return err
			},
			history.Failed: func(id string) error {
				if _, err := fail.Run(ctx, c, 0, durable.WithInstanceID(id)); err == nil {
					return errors.New("it did not fail")
				}
				return nil
			},
			history.Terminated: func(id string) error {
				_, err := collect.Schedule(ctx, c, 1, durable.WithInstanceID(id))
				return errors.Join(err, c.Terminate(ctx, id, nil, false))
			},
		}
		for old, make := range become {
			for _, allowed := range all {
				id := fmt.Sprintf("%v-%v", old, allowed)
				if err := make(id); err != nil {
					t.Fatal(id, err)
				}
				before, err := c.Get(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				opts := []durable.CallOption{durable.WithInstanceID(id), durable.WithReuse(allowed), durable.WithTags(map[string]string{"new": "yes"})}
				live := allowed == history.Running || allowed == history.Pending || allowed == history.Suspended
				if live {
					_, err := collect.Schedule(ctx, c, 0, opts...)
					if !errors.Is(err, durable.ErrInvalid) {
						t.Errorf("%s: live ones without terminated ones: %v", id, err)
					}
					opts = append(opts, durable.WithReuse(history.Terminated))
				}
				_, err = collect.Schedule(ctx, c, 0, opts...)
				if old != allowed && !(live && old == history.Terminated) {
					if !errors.Is(err, durable.ErrExists) {
						t.Errorf("%s: %v, not ErrExists", id, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", id, err)
					continue
				}
				after, err := c.Wait(ctx, id)
				if err != nil || after.Execution == before.Execution || after.Status != history.Completed || after.Tags["new"] != "yes" || after.Name != "collect" {
					t.Errorf("%s: %+v, %v", id, after, err)
				}
				if x, err := c.Executions(ctx, id); len(x) != 1 || err != nil {
					t.Errorf("%s: executions %v, %v", id, x, err)
				}
			}
		}
		// A child that is replaced has ended for its parent.
		if _, err := parent.Schedule(ctx, c, "kid", durable.WithInstanceID("p")); err != nil {
			t.Fatal(err)
		}
		d.until(t, rt, func() bool { _, err := c.Get(ctx, "kid"); return err == nil })
		if _, err := collect.Schedule(ctx, c, 0, durable.WithInstanceID("kid"), durable.WithReuse(history.Running, history.Terminated)); err != nil {
			t.Fatal(err)
		}
		got, err := parent.Wait(ctx, c, "p")
		equal(t, "the parent", fmt.Sprint(got, err), "orchestration collect failed: the sub-orchestration was terminated<nil>")
		closeRuntime(t, rt)
	})
}

func TestReuseCrashes(t *testing.T) {
	act := durable.NewActivity("act", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (int, error) {
		if n == 0 {
			return 0, ctx.Sleep(time.Hour)
		}
		return act.Call(ctx, n)
	})
	durabletest.CrashEverywhere(t, []durable.Definition{o, act}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		c := env.Client()
		reuse := durable.WithReuse(history.Running, history.Terminated, history.Completed)
		for n := range 2 {
			if _, err := o.Schedule(ctx, c, n, durable.WithInstanceID("i"), reuse); err != nil {
				return 0, err
			}
		}
		return o.Wait(ctx, c, "i")
	})
}

// The options of clients are refused where they mean nothing.
func TestStartOptionsOfChildren(t *testing.T) {
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (string, error) {
		_, at := collect.Call(ctx, 0, durable.WithStartAt(ctx.Now().Add(time.Hour)))
		_, reuse := collect.Call(ctx, 0, durable.WithReuse(history.Completed))
		return fmt.Sprint(errors.Is(at, durable.ErrInvalid), errors.Is(reuse, durable.ErrInvalid)), nil
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, o, collect)
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Run(t.Context(), rt.Client(), 0)
	equal(t, "errors", fmt.Sprint(got, err), "true true<nil>")
	closeRuntime(t, rt)
}
