package durabletest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/internal/durablehook"
)

// CrashEverywhere runs a program on the given definitions, then again with a crash
// at each point where a process could end, and gives the number of these points.
// It fails t if
//
//   - a run that crashed comes to another result, or another error, than the one
//     that did not;
//   - an activity is asked again though its answer was committed;
//   - an at-most-once activity is called twice for one call, though its Reconcile
//     did not say that the first one never took effect;
//   - there is no point at all: the program did nothing through env.Client, so that
//     nothing was shown.
//
// The program runs once, in one piece: only the hub behind env.Client crashes, see
// [Env.Client]. It should start its instances, do what people and other systems
// would (raise events, read states), wait, and give back what counts, as something
// that encoding/json can write. It must not depend on what is new in each run, such
// as the time or execution ids. What the program's activities do to the world
// is for the program to reset, at its beginning.
func CrashEverywhere[R any](t testing.TB, defs []durable.Definition, program func(ctx context.Context, env *Env) (R, error)) (points int) {
	t.Helper()
	want, _ := runOnce(t, defs, 0, program)
	for at := 1; ; at++ {
		got, r := runOnce(t, defs, at, program)
		if r == nil {
			return points
		}
		if r.where == "" { // it ended before it came to that point
			if points == 0 {
				t.Errorf("durabletest: no crash point was hit: the program commits nothing; it should do its work through env.Client")
			}
			t.Logf("durabletest: the same result after a crash at each of %d points", points)
			return points
		}
		points++
		if got != want {
			t.Errorf("durabletest: crash %s (point %d): the program gave\n%s\nand without a crash\n%s", r.where, at, got, want)
		}
		if t.Failed() {
			return points
		}
	}
}

// runOnce gives the program's result as text; nil instead of the run if t failed.
func runOnce[R any](t testing.TB, defs []durable.Definition, at int, program func(context.Context, *Env) (R, error)) (string, *crashRun) {
	t.Helper()
	r, err := newRun(t, defs, at)
	if err != nil {
		t.Errorf("durabletest: %v", err)
		return "", nil
	}
	client, err := durablehook.NewClient(&hub{r}, defs)
	if err != nil {
		t.Errorf("durabletest: %v", err)
		return "", nil
	}
	v, failed := program(t.Context(), &Env{client.(*durable.Client)})
	if err := r.stop(); err != nil {
		t.Errorf("durabletest: the engine ended with: %v", err)
		return "", nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Errorf("durabletest: the program's result: %v", err)
		return "", nil
	}
	return fmt.Sprintf("%s, error: %v", text, failed), r
}

// answers lists the calls whose answers are in the histories of a store.
func answers(s *memory.Store) (map[callID]bool, error) {
	defer s.Close()
	ctx, found := context.Background(), map[callID]bool{}
	add := func(id, execution string, last int64) error {
		for row, err := range s.History(ctx, last) {
			if err != nil {
				return err
			}
			for ev, err := range history.DecodeRows(row) {
				if err != nil {
					return err
				}
				if ev.Kind == history.TaskCompleted || ev.Kind == history.TaskFailed {
					found[callID{history.Instance{ID: id, Execution: execution}, ev.Answers}] = true
				}
			}
		}
		return nil
	}
	for q := (store.Query{}); ; {
		page, err := s.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, in := range page.Instances {
			old, err := s.Executions(ctx, in.Num)
			if err != nil {
				return nil, err
			}
			for _, x := range append(old, store.Execution{ID: in.Execution, Last: in.Last}) {
				if err := add(in.ID, x.ID, x.Last); err != nil {
					return nil, err
				}
			}
		}
		if page.Token == "" {
			return found, nil
		}
		q.Token = page.Token
	}
}
