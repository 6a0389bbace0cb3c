package agents

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// quotaRuns is runs under test, each of some model calls, and when these began.
type quotaRuns struct {
	mu    sync.Mutex
	calls []begun
	seen  map[string]bool
	// push, if set, is what the provider answers one call with.
	push  string
	until time.Time
}

type quotaRun struct {
	Name     string
	Calls    int
	Estimate int64
	Used     int64
	Limited  bool
}

// define makes a run an orchestration that calls the model in an activity. What a crash
// repeats is counted once: nobody can know whether the first one reached the provider.
func (r *quotaRuns) define(limits map[string]Quota) []durable.Definition {
	r.seen = map[string]bool{}
	call := durable.NewActivity("call", func(_ context.Context, in quotaRun) (time.Duration, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.seen[in.Name] {
			r.seen[in.Name] = true
			r.calls = append(r.calls, begun{time.Now(), in.Used, in.Name})
			if in.Name == r.push {
				r.until = time.Now().Add(20 * time.Minute)
				return 20 * time.Minute, nil
			}
		}
		return 0, nil
	})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, in quotaRun) (int, error) {
		name := in.Name
		for i := range in.Calls {
			res, err := waitQuota(ctx, in.Limited, "m", in.Estimate)
			if err != nil {
				return i, err
			}
			in.Name = fmt.Sprint(name, ".", i)
			again, err := call.Call(ctx, in)
			if err != nil {
				return i, err
			}
			if err := pushQuota(ctx, res, again); err != nil {
				return i, err
			}
			if err := settleQuota(ctx, res, models.Usage{InputTokens: in.Used}); err != nil {
				return i, err
			}
		}
		return in.Calls, nil
	})
	return []durable.Definition{call, run, quotaDefinition(limits)}
}

func openQuota(t *testing.T, s *memory.Store, defs []durable.Definition) *durable.Runtime {
	t.Helper()
	rt, err := durable.OpenStore(t.Context(), s, durable.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func schedule(t *testing.T, c *durable.Client, in quotaRun) string {
	t.Helper()
	id, err := c.Schedule(t.Context(), "run", in)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func finish(t *testing.T, c *durable.Client, ids []string) {
	t.Helper()
	for _, id := range ids {
		if s, err := c.Wait(t.Context(), id); err != nil || s.Failure != nil {
			t.Fatal(err, s)
		}
	}
}

// TestHundredRunsShareQuota has many runs at once, which never take more than the
// limit in any minute and wait no longer than they must; and a provider that holds all
// of them up.
func TestHundredRunsShareQuota(t *testing.T) {
	for _, push := range []string{"", "40.0"} {
		t.Run("push "+push, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := Quota{Requests: 25, Tokens: 10000, Per: time.Minute}
				runs := &quotaRuns{push: push}
				rt := openQuota(t, memory.New(), runs.define(map[string]Quota{"m": q}))
				defer rt.Close()
				var ids []string
				began := time.Now()
				for i := range 100 {
					ids = append(ids, schedule(t, rt.Client(), quotaRun{fmt.Sprint(i), 3, 300, 350 - int64(i), true}))
				}
				finish(t, rt.Client(), ids)
				if len(runs.calls) != 300 {
					t.Fatalf("%d calls", len(runs.calls))
				}
				if err := fits(Quota{Requests: q.Requests, Per: q.Per}, runs.calls); err != nil {
					t.Error(err)
				}
				most := 12 * 64 * time.Second
				if push != "" {
					most += 21 * time.Minute
				}
				if d := time.Since(began); d > most {
					t.Errorf("300 calls took %s", d)
				}
				pushed := slices.IndexFunc(runs.calls, func(c begun) bool { return c.name == push })
				for _, c := range runs.calls { // but for those of the same instant
					if push != "" && c.at.After(runs.calls[pushed].at) && c.at.Before(runs.until) {
						t.Errorf("call %s began at %s, though the provider wanted quiet until %s", c.name, c.at, runs.until)
					}
				}
			})
		})
	}
}

// TestQuotaOrder shows that runs are served in the order in which they came.
func TestQuotaOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &quotaRuns{}
		rt := openQuota(t, memory.New(), runs.define(map[string]Quota{"m": {Tokens: 500, Per: time.Minute}}))
		defer rt.Close()
		var ids []string
		for i := range 50 { // a large call is not overtaken by small ones
			ids = append(ids, schedule(t, rt.Client(), quotaRun{fmt.Sprintf("%02d", i), 1, int64(10 + i%5*100), 0, true}))
			time.Sleep(time.Millisecond)
		}
		finish(t, rt.Client(), ids)
		slices.SortFunc(runs.calls, func(a, b begun) int { return strings.Compare(a.name, b.name) })
		if !slices.IsSortedFunc(runs.calls, func(a, b begun) int { return a.at.Compare(b.at) }) || len(runs.calls) != 50 {
			t.Errorf("calls %v", runs.calls)
		}
	})
}

// TestQuotaAfterAbsence shows that runs whose times have all come while no process was
// there do not begin all at once.
func TestQuotaAfterAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := Quota{Requests: 5, Per: time.Minute}
		runs := &quotaRuns{}
		defs := runs.define(map[string]Quota{"m": q})
		s := memory.New()
		rt := openQuota(t, s, defs)
		var ids []string
		for i := range 40 {
			ids = append(ids, schedule(t, rt.Client(), quotaRun{fmt.Sprint(i), 1, 0, 0, true}))
		}
		time.Sleep(30 * time.Second)
		image := s.Clone()
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		if len(runs.calls) != 5 {
			t.Fatalf("%d calls began", len(runs.calls))
		}
		time.Sleep(time.Hour)
		rt = openQuota(t, image, defs)
		defer rt.Close()
		finish(t, rt.Client(), ids)
		if err := fits(q, runs.calls); err != nil || len(runs.calls) != 40 {
			t.Errorf("%d calls, %v", len(runs.calls), err)
		}
	})
}

// TestQuotaSettles shows that what a call did not take is for the next one.
func TestQuotaSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &quotaRuns{}
		rt := openQuota(t, memory.New(), runs.define(map[string]Quota{"m": {Tokens: 100, Per: time.Minute}}))
		defer rt.Close()
		began := time.Now()
		finish(t, rt.Client(), []string{schedule(t, rt.Client(), quotaRun{"a", 5, 90, 2, true})})
		if d := time.Since(began); d != 0 {
			t.Errorf("5 calls took %s", d)
		}
	})
}

// TestQuotaLate shows that a run which gets its leave too late asks again, and that it
// does not do so for ever.
func TestQuotaLate(t *testing.T) {
	for _, always := range []bool{false, true} {
		var asks []quotaAsk
		e := durable.NewEntity[quotaState](quotaEntity)
		durable.Operation(e, "reserve", func(ctx *durable.EntityContext, s *quotaState, in quotaAsk) (quotaGrant, error) {
			asks = append(asks, in)
			g := quotaGrant{quotaHold{Slot: int64(len(asks))}, ctx.Now(), ctx.Now().Add(time.Hour)}
			if always || len(asks) == 1 {
				g.Until = g.At
			}
			return g, nil
		})
		wait := durable.NewOrchestration("wait", func(ctx *durable.Context, _ struct{}) (int64, error) {
			r, err := waitQuota(ctx, true, "m", 7)
			return r.hold.Slot, err
		})
		rt := openQuota(t, memory.New(), []durable.Definition{e, wait})
		want := 2
		if always {
			want = maxLate + 1
		}
		if got, err := wait.Run(t.Context(), rt.Client(), struct{}{}); err != nil || int(got) != want || len(asks) != want || asks[1].Held.Slot != 1 || asks[1].Tokens != 7 {
			t.Errorf("always %v: leave %d, %v, after %+v", always, got, err, asks)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestQuotaCrashes crashes the hub at every point.
func TestQuotaCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := Quota{Requests: 2, Tokens: 250, Per: time.Minute}
		runs := &quotaRuns{}
		defs := runs.define(map[string]Quota{"m": q})
		points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (int, error) {
			runs.mu.Lock()
			runs.calls, runs.seen = nil, map[string]bool{}
			runs.mu.Unlock()
			var ids []string
			for i := range 3 {
				id, err := env.Client().Schedule(ctx, "run", quotaRun{fmt.Sprint(i), 2, 100, 80, true})
				if err != nil {
					return 0, err
				}
				ids = append(ids, id)
			}
			for _, id := range ids {
				if s, err := env.Client().Wait(ctx, id); err != nil || s.Failure != nil {
					return 0, fmt.Errorf("%w, %v", err, s)
				}
			}
			if err := fits(q, runs.calls); err != nil {
				t.Error(err)
			}
			return len(runs.calls), nil
		})
		t.Logf("%d points", points)
	})
}

// TestWithoutQuota shows that a model without a quota costs nothing, and that a run
// which began with one goes on after it was taken away.
func TestWithoutQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &quotaRuns{}
		rt := openQuota(t, memory.New(), runs.define(nil))
		defer rt.Close()
		began := time.Now()
		finish(t, rt.Client(), []string{schedule(t, rt.Client(), quotaRun{"a", 3, 1, 2, false})})
		for e, err := range rt.Client().Entities(t.Context(), durable.EntityQuery{Prefix: "@quota@"}) {
			t.Errorf("there is an entity: %v, %v", e, err)
		}
		finish(t, rt.Client(), []string{schedule(t, rt.Client(), quotaRun{"b", 3, 1, 2, true})})
		if time.Since(began) != 0 || len(runs.calls) != 6 {
			t.Errorf("%d calls took %s", len(runs.calls), time.Since(began))
		}
		for e, err := range rt.Client().Entities(t.Context(), durable.EntityQuery{Prefix: "@quota@"}) {
			t.Errorf("an entity is left: %v, %v", e, err)
		}
		if err := ResetQuota(t.Context(), rt.Client(), "m"); err != nil {
			t.Error(err)
		}
	})
}
