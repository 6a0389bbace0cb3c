package durable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

type scene struct {
	name  string
	body  func(ctx *durable.Context) ([]string, error)
	world func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error
	want  string // the result, and after a bar the error
}

// scenes are orchestrations around coroutines, scopes and events, each with what
// the world does meanwhile (pass lets virtual time pass) and what must come of it. Each runs in
// memory, with every instance put away after each turn, and with a crash at each
// point: the result is the same.
var scenes = []scene{
	{
		name: "coroutines go on in their order",
		body: func(ctx *durable.Context) (log []string, err error) {
			var tasks []*durable.Task[string]
			for i := range 3 {
				tasks = append(tasks, durable.Go(ctx, func(ctx *durable.Context) (string, error) {
					for step := range 3 {
						if err := ctx.Sleep(time.Duration(3-i) * time.Minute); err != nil {
							return "", err
						}
						log = append(log, fmt.Sprintf("%d.%d", i, step))
					}
					return fmt.Sprint("done ", i), nil
				}))
			}
			all, err := durable.All(ctx, tasks)
			return append(log, all...), err
		},
		want: "2.0 1.0 2.1 0.0 2.2 1.1 0.1 1.2 0.2 done 0 done 1 done 2",
	},
	{
		name: "a coroutine that fails",
		body: func(ctx *durable.Context) ([]string, error) {
			task := ctx.Go(func(*durable.Context) error { return errors.New("lost") })
			_, err := task.Await()
			return nil, err
		},
		want: " | lost",
	},
	{
		name: "a coroutine that panics ends the orchestration",
		body: func(ctx *durable.Context) ([]string, error) {
			ctx.Go(func(*durable.Context) error { panic("oh") })
			return nil, ctx.Sleep(time.Hour)
		},
		want: " | panic: oh",
	},
	{
		name: "the body ends before its coroutines",
		body: func(ctx *durable.Context) ([]string, error) {
			ctx.Go(func(ctx *durable.Context) error { return ctx.Sleep(time.Hour) })
			return []string{"first"}, ctx.Sleep(time.Minute)
		},
		want: "first",
	},
	{
		name: "coroutines within coroutines share variables",
		body: func(ctx *durable.Context) ([]string, error) {
			sum := 0
			var add func(ctx *durable.Context, depth int) error
			add = func(ctx *durable.Context, depth int) error {
				n, err := double.Call(ctx, depth)
				if sum += n; err != nil || depth == 0 {
					return err
				}
				a := ctx.Go(func(ctx *durable.Context) error { return add(ctx, depth-1) })
				b := ctx.Go(func(ctx *durable.Context) error { return add(ctx, depth-1) })
				_, err = durable.All(ctx, []*durable.Task[struct{}]{a, b})
				return err
			}
			err := add(ctx, 3)
			return []string{fmt.Sprint(sum)}, err
		},
		want: fmt.Sprint(7 + 2*5 + 4*3 + 8*1),
	},
	{
		name: "the loser of a race is cancelled",
		body: func(ctx *durable.Context) ([]string, error) {
			slow, fast := endless.Start(ctx, 1), ctx.Timer(time.Hour)
			if durable.Any(ctx, slow, fast) != fast {
				return nil, errors.New("the slow one won")
			}
			slow.Cancel()
			_, err := slow.Await()
			return []string{fmt.Sprint(errors.Is(err, context.Canceled)), err.Error()}, nil
		},
		want: "true the task was canceled: context canceled",
	},
	{
		name: "a deadline ends everything in its scope",
		body: func(ctx *durable.Context) (log []string, _ error) {
			begun := ctx.Now()
			in, cancel := ctx.WithTimeout(time.Hour)
			defer cancel()
			calls := []durable.Awaitable{
				endless.Start(in, 1), in.Timer(2 * time.Hour), durable.WaitForEvent[int](in, "never"), napper.Start(in, 48*time.Hour),
			}
			for _, c := range calls {
				durable.Any(ctx, c)
			}
			log = append(log, fmt.Sprint(ctx.Now().Sub(begun)))
			_, err := double.Call(in, 1)
			log = append(log, fmt.Sprint(errors.Is(err, context.DeadlineExceeded), in.Err(), ctx.Err()))
			n, err := double.Call(in.WithoutCancel(), 1) // clean-up
			return append(log, fmt.Sprint(n)), err
		},
		want: "1h0m0s true the deadline of the scope has passed: context deadline exceeded <nil> 3",
	},
	{
		name: "a scope that is over takes its timer back",
		body: func(ctx *durable.Context) ([]string, error) {
			in, cancel := ctx.WithTimeout(1000 * time.Hour)
			_, err := double.Call(in, 1)
			cancel()
			return []string{fmt.Sprint(in.Err())}, errors.Join(err, ctx.Sleep(time.Minute))
		},
		want: "the scope was canceled: context canceled",
	},
	{
		name: "scopes within scopes",
		body: func(ctx *durable.Context) (log []string, _ error) {
			outer, cancel := ctx.WithCancel()
			inner, stop := outer.WithTimeout(time.Hour)
			defer stop()
			free := inner.WithoutCancel()
			a, b, c := outer.Timer(time.Minute), inner.Timer(time.Minute), free.Timer(time.Minute)
			done := inner.Done()
			cancel()
			for _, t := range []*durable.Task[time.Time]{a, b, c} {
				_, err := t.Await()
				log = append(log, fmt.Sprint(err))
			}
			_, err := done.Await()
			_, again := inner.WithCancel()
			again()
			return append(log, fmt.Sprint(inner.Err(), free.Err())), err
		},
		want: "the scope was canceled: context canceled; the scope was canceled: context canceled; <nil>; the scope was canceled: context canceled <nil>",
	},
	{
		name: "a coroutine is cancelled by its task",
		body: func(ctx *durable.Context) ([]string, error) {
			var seen error
			task := ctx.Go(func(ctx *durable.Context) error {
				seen = ctx.Sleep(time.Hour)
				return ctx.WithoutCancel().Sleep(time.Minute) // it may take its time
			})
			if err := ctx.Sleep(time.Second); err != nil {
				return nil, err
			}
			task.Cancel()
			before := ctx.Now()
			_, err := task.Await()
			return []string{fmt.Sprint(seen), ctx.Now().Sub(before).String()}, err
		},
		want: "the task was canceled: context canceled; 1m0s",
	},
	{
		name: "cancelled from outside, down the tree",
		body: func(ctx *durable.Context) (log []string, _ error) {
			err := ctx.Sleep(time.Minute)
			if err == nil {
				_, err = napper.Call(ctx, 48*time.Hour, durable.WithInstanceID(ctx.InstanceID()+"-child"))
			}
			state, _ := double.Call(ctx.WithoutCancel(), 20)
			log = append(log, fmt.Sprint(state), err.Error())
			return log, err
		},
		world: func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error {
			pass(time.Hour)
			if err := c.Cancel(ctx, id, "not needed any more"); err != nil {
				return err
			}
			child, err := c.Wait(ctx, id+"-child")
			if err == nil && (child.Status != history.Canceled || child.Err().Error() != "orchestration napper failed: not needed any more") {
				err = fmt.Errorf("the child: %v %w", child.Status, child.Err())
			}
			return err
		},
		want: " | canceled: not needed any more",
	},
	{
		name: "a cancellation that is handled",
		body: func(ctx *durable.Context) ([]string, error) {
			err := ctx.Sleep(48 * time.Hour)
			return []string{fmt.Sprint(err)}, nil
		},
		world: func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error {
			pass(time.Hour)
			return c.Cancel(ctx, id, "")
		},
		want: "the orchestration was asked to cancel",
	},
	{
		name: "events one after the other",
		body: func(ctx *durable.Context) (log []string, _ error) {
			r := durable.Events[int](ctx, "number")
			for n, err := range r.All() {
				if err != nil {
					return nil, err
				}
				if unseen(log, n) {
					log = append(log, fmt.Sprint(n))
				}
				if n == 3 {
					break
				}
			}
			if err := ctx.Sleep(10 * time.Hour); err != nil {
				return nil, err
			}
			log = append(log, fmt.Sprint("pending ", r.Pending() >= 2))
			for {
				n, ok, err := r.TryReceive()
				if !ok || err != nil {
					return log, err
				}
				if n > 3 && unseen(log, n) {
					log = append(log, fmt.Sprint(n))
				}
			}
		},
		world: func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error {
			for n := range 6 {
				if err := c.RaiseEvent(ctx, id, "Number", n); err != nil {
					return err
				}
				pass(time.Minute)
			}
			return nil
		},
		want: "0 1 2 3 pending true 4 5",
	},
	{
		name: "an event is left for others by a wait that was given up",
		body: func(ctx *durable.Context) ([]string, error) {
			w := durable.WaitForEvent[int](ctx, "number")
			if durable.Any(ctx, w, ctx.Timer(time.Minute)) == w {
				return nil, errors.New("it came early")
			}
			w.Cancel()
			n, err := durable.WaitForEvent[int](ctx, "number").Await()
			return []string{fmt.Sprint(n)}, err
		},
		world: func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error {
			pass(time.Hour)
			return c.RaiseEvent(ctx, id, "number", 5)
		},
		want: "5",
	},
	{
		name: "select",
		body: func(ctx *durable.Context) (log []string, err error) {
			r := durable.Events[int](ctx, "number")
			timer := ctx.Timer(150 * time.Second)
			for timer != nil {
				durable.Select(ctx,
					durable.On(timer, func(time.Time, error) { timer = nil }),
					r.On(func(n int, err error) {
						if err == nil && unseen(log, n) {
							log = append(log, fmt.Sprint(n))
						}
					}))
			}
			durable.Select(ctx,
				r.On(func(int, error) { log = append(log, "unexpected") }),
				durable.Otherwise(func() { log = append(log, "nothing") }))
			in, cancel := ctx.WithCancel()
			cancel()
			durable.Select(ctx, durable.Events[int](in, "other").On(func(_ int, err error) { log = append(log, fmt.Sprint(err)) }))
			return log, nil
		},
		world: func(ctx context.Context, c *durable.Client, id string, pass func(time.Duration)) error {
			for n := range 3 {
				if err := c.RaiseEvent(ctx, id, "number", n); err != nil {
					return err
				}
				pass(time.Minute)
			}
			return nil
		},
		want: "0; 1; 2; nothing; the scope was canceled: context canceled",
	},
	{
		name: "a lock that is waited for no longer",
		body: func(ctx *durable.Context) (log []string, _ error) {
			holder := locker.Start(ctx, "a")
			if err := ctx.Sleep(time.Minute); err != nil {
				return nil, err
			}
			in, cancel := ctx.WithTimeout(time.Hour)
			defer cancel()
			unlock, err := durable.Lock(in, tally.ID("b"), tally.ID("a")) // it has neither: a comes first
			defer unlock()
			log = append(log, fmt.Sprint(errors.Is(err, context.DeadlineExceeded)))
			if _, err := addTally.Call(ctx, "b", 1); err != nil {
				return nil, err
			}
			if _, err := holder.Await(); err != nil {
				return nil, err
			}
			unlock, err = durable.Lock(ctx, tally.ID("a"), tally.ID("b"))
			defer unlock()
			return append(log, "locked"), err
		},
		want: "true locked",
	},
	{
		name: "chance is the same in each replay",
		body: func(ctx *durable.Context) (log []string, _ error) {
			for range 3 {
				n := ctx.Rand().IntN(1000)
				got, err := double.Call(ctx, n) // the input must be what it was
				if err != nil || got != 2*n+1 {
					return nil, fmt.Errorf("%d: %w", got, err)
				}
			}
			return []string{"same"}, nil
		},
		want: "same",
	},
	{
		name: "select without a case",
		body: func(ctx *durable.Context) ([]string, error) { durable.Select(ctx); return nil, nil },
		want: " | durable.Select without a case would wait for ever",
	},
}

var (
	// endless ends with its context, and then only.
	endless = durable.NewActivity("endless", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	locker = durable.NewOrchestration("locker", func(ctx *durable.Context, key string) (int, error) {
		unlock, err := durable.Lock(ctx, tally.ID(key))
		defer unlock()
		if err != nil {
			return 0, err
		}
		return 0, ctx.Sleep(10 * time.Hour)
	})
	napper = durable.NewOrchestration("napper", func(ctx *durable.Context, d time.Duration) (int, error) { return 0, ctx.Sleep(d) })
)

// unseen reports whether n is not the number that was logged last: a crash may
// double an event whose acknowledgement it took.
func unseen(log []string, n int) bool {
	return len(log) == 0 || log[len(log)-1] != fmt.Sprint(n)
}

// play gives the definitions of a scene, and what runs it and gives its log.
func (s *scene) play() ([]durable.Definition, func(ctx context.Context, c *durable.Client, pass func(time.Duration)) string) {
	scene := durable.NewOrchestration("scene", func(ctx *durable.Context, _ int) ([]string, error) { return s.body(ctx) })
	defs := []durable.Definition{scene, double, endless, napper, locker, tally}
	play := func(ctx context.Context, c *durable.Client, pass func(time.Duration)) string {
		if _, err := scene.Schedule(ctx, c, 0, durable.WithInstanceID("x")); err != nil {
			return err.Error()
		}
		if s.world != nil {
			if err := s.world(ctx, c, "x", pass); err != nil {
				return "world: " + err.Error()
			}
		}
		state, err := c.Wait(ctx, "x")
		if err != nil {
			return err.Error()
		}
		if state.Status == history.Canceled {
			return " | canceled: " + state.Failure.Message
		}
		log, err := scene.Wait(ctx, c, "x")
		if err != nil {
			return " | " + strings.TrimPrefix(err.Error(), "orchestration scene failed: ")
		}
		if strings.Contains(s.want, "; ") {
			return strings.Join(log, "; ")
		}
		return strings.Join(log, " ")
	}
	return defs, play
}

func TestScenes(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			defs, play := s.play()
			for _, cached := range []int{0, -1} {
				synctest.Test(t, func(t *testing.T) {
					rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Cached: cached, Logger: quiet}, defs...)
					if err != nil {
						t.Fatal(err)
					}
					defer closeRuntime(t, rt)
					equal(t, fmt.Sprint("cached ", cached), play(t.Context(), rt.Client(), time.Sleep), s.want)
					if diff, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), "x", ""), nil, defs...); err != nil || diff != nil {
						t.Errorf("replay: %v %v", diff, err)
					}
				})
			}
			if t.Failed() {
				return
			}
			synctest.Test(t, func(t *testing.T) {
				durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (string, error) {
					return play(ctx, env.Client(), time.Sleep), nil
				})
			})
		})
	}
}
