package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

var errDisk = errors.New("disk full")

// chainOf is definitions with an orchestration "chain" of n steps of one activity.
func chainOf(n int, a Activity) Definitions {
	var steps []*history.Event
	for i := range n {
		steps = append(steps, schedule(a.Name, fmt.Sprint("step", i)))
	}
	return Definitions{
		Orchestrations: []Orchestration{orchestration("chain", sequence(steps...)), orchestration("waits", waiting)},
		Activities:     []Activity{a},
	}
}

// A commit that fails before anything is written is tried again, the same batch,
// until it works. Health tells meanwhile; nobody hears of it otherwise.
func TestCommitIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var e *Engine
		unhealthy := 0
		f := storetest.NewFault(s, func(op storetest.Op, n int) error {
			if op != storetest.OpCommit || n%3 == 0 {
				return nil
			}
			if n%3 == 2 {
				if err := e.Health(); errors.Is(err, errDisk) {
					unhealthy++
				}
			}
			return errDisk
		})
		e = start(t, f, chainOf(3, upper), Options{})
		begin(t, e, "i", "chain", "")
		equal(t, "output", finish(t, e, "i"), "STEP2")
		if err := e.Health(); err != nil || unhealthy == 0 {
			t.Errorf("health: %v now, told %d times", err, unhealthy)
		}
		equal(t, "history", len(events(t, e, "i", "")), 2+3*3+1)
		end(t, e)
	})
}

// A commit whose outcome is unknown, or of a lost lease, stops the engine: every
// caller hears of it, nothing more is written, and the store, opened again, has
// all of the batch or nothing of it.
func TestHalt(t *testing.T) {
	fenced := fmt.Errorf("lease: %w", store.ErrFenced)
	for _, c := range []struct {
		name string
		op   storetest.Op
		give error
		want error
		kept bool
	}{
		{"unknown, but written", storetest.OpCommitted, errDisk, store.ErrUnknown, true},
		{"fenced, so not written", storetest.OpCommit, fenced, store.ErrFenced, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var armed atomic.Bool
				s := memory.New()
				f := storetest.NewFault(s, func(op storetest.Op, n int) error {
					if op == c.op && armed.Load() {
						return c.give
					}
					return nil
				})
				running := make(chan struct{})
				slow := Activity{Name: "slow", Run: func(ctx context.Context, _ *Call) Outcome {
					close(running)
					<-ctx.Done()
					return Outcome{Failure: &history.Failure{Message: "cancelled"}}
				}}
				d := chainOf(1, slow)
				e := start(t, f, d, Options{})
				begin(t, e, "busy", "chain", "")
				begin(t, e, "i", "waits", "")
				<-running
				waited := make(chan error)
				go func() {
					_, err := e.Wait(t.Context(), "i")
					waited <- err
				}()
				synctest.Wait()
				armed.Store(true)
				if err := e.Raise(t.Context(), "i", "x", history.Payload("v")); !errors.Is(err, c.want) {
					t.Errorf("the caller heard %v", err)
				}
				if err := <-waited; !errors.Is(err, c.want) {
					t.Errorf("the waiter heard %v", err)
				}
				<-e.Done()
				if err := e.Err(); !errors.Is(err, c.want) || !errors.Is(e.Health(), c.want) {
					t.Errorf("Err is %v", err)
				}
				if _, err := e.Start(t.Context(), Start{Name: "waits"}); !errors.Is(err, c.want) {
					t.Errorf("a later call heard %v", err)
				}
				armed.Store(false)
				commits := f.Calls(storetest.OpCommit)
				if err := e.Close(); !errors.Is(err, c.want) {
					t.Errorf("Close gave %v", err)
				}
				equal(t, "commits after the halt", f.Calls(storetest.OpCommit), commits)

				again, _ := reopen(t, s, chainOf(1, upper), Options{})
				if !c.kept {
					if err := again.Raise(t.Context(), "i", "x", history.Payload("v")); err != nil {
						t.Fatal(err)
					}
				}
				equal(t, "output", finish(t, again, "i"), "v")
				end(t, again)
			})
		})
	}
}

// While commits fail for ever, Close gives up after about a second and says why.
func TestCloseWhileCommitsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		f := storetest.NewFault(memory.New(), func(op storetest.Op, _ int) error {
			if op == storetest.OpCommit && full.Load() {
				return errDisk
			}
			return nil
		})
		e := start(t, f, chainOf(1, upper), Options{})
		begin(t, e, "i", "waits", "")
		full.Store(true)
		raised := make(chan error)
		go func() { raised <- e.Raise(t.Context(), "i", "x", nil) }()
		synctest.Wait()
		before := time.Now()
		if err := e.Close(); !errors.Is(err, errDisk) {
			t.Errorf("Close gave %v", err)
		}
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		if err := <-raised; !errors.Is(err, errDisk) {
			t.Errorf("the caller heard %v", err)
		}
		if err := e.Close(); !errors.Is(err, errDisk) {
			t.Errorf("the second Close gave %v", err)
		}
	})
}

// gate is a store whose commits wait while it is shut.
func gate(s store.Store) (g store.Store, shut func(), open func()) {
	pass := make(chan struct{}, 1)
	pass <- struct{}{}
	g = &spy{Store: s, commit: func(*store.Batch) {
		<-pass
		pass <- struct{}{}
	}}
	return g, func() { <-pass }, func() { pass <- struct{}{} }
}

// What leaves the log waits for its commit: answers to callers, refusals, the
// start of activities. What a crash would take back with its cause does not: Pure
// activities, and messages between instances.
func TestEffectsFollowTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran, guessed atomic.Int64
		d := Definitions{
			Orchestrations: []Orchestration{
				orchestration("real", sequence(schedule("ordinary", ""))),
				orchestration("parent", sequence(child("guess", ""))),
				orchestration("guess", sequence(schedule("pure", ""), schedule("pure", ""))),
			},
			Activities: []Activity{
				activity("ordinary", AtLeastOnce, func(*Call) string { ran.Add(1); return "" }),
				activity("pure", Pure, func(*Call) string { guessed.Add(1); return "" }),
			},
		}
		f, shut, open := gate(memory.New())
		e := start(t, f, d, Options{})
		shut()
		answered := make(chan string, 3)
		ask := func(id, name string) {
			go func() {
				_, err := e.Start(t.Context(), Start{ID: id, Name: name})
				answered <- fmt.Sprint(id, " ", err)
			}()
			synctest.Wait()
		}
		ask("r", "real")
		ask("p", "parent")
		ask("r", "real") // refused, but not before it is known that the first one lasts
		if ran.Load() != 0 || len(answered) != 0 {
			t.Errorf("before the commit %d activities ran and %d callers had answers", ran.Load(), len(answered))
		}
		equal(t, "pure activities before the commit", guessed.Load(), 2)
		if _, err := e.Get(t.Context(), "r", false); !errors.Is(err, ErrNotFound) {
			t.Errorf("a reader saw what is not committed: %v", err)
		}
		open()
		finish(t, e, "r")
		finish(t, e, "p")
		equal(t, "activities", ran.Load(), 1)
		refused := 0
		for range 3 {
			if strings.Contains(<-answered, ErrExists.Error()) {
				refused++
			}
		}
		end(t, e)
		equal(t, "refused", refused, 1)
	})
}

// Speculation is bounded in time and in bytes.
func TestSpeculationIsBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   time.Duration
		size   int
		costly bool
		most   int64
	}{
		{"time", 20 * time.Millisecond, 1, false, 5},
		{"bytes", 0, 100 << 10, false, 25},
		{"cost", 0, 1, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ran atomic.Int64
				a := activity("pure", Pure, func(*Call) string {
					time.Sleep(c.step)
					return fmt.Sprint(ran.Add(1), strings.Repeat("x", c.size))
				})
				a.Costly = c.costly
				d := chainOf(100, a)
				f, shut, open := gate(memory.New())
				e := start(t, f, d, Options{})
				begin(t, e, "other", "waits", "")
				shut()
				go func() { _, _ = e.Start(t.Context(), Start{ID: "i", Name: "chain"}) }()
				time.Sleep(time.Hour)
				if n := ran.Load(); n < min(2, c.most) || n > c.most {
					t.Errorf("%d steps ran ahead of the disk", n)
				}
				open()
				finish(t, e, "i")
				equal(t, "steps", ran.Load(), 100)
				end(t, e)
			})
		})
	}
}

// When more than the log takes is ahead of the disk, turns wait, and go on when
// the disk does.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, shut, open := gate(memory.New())
		e := start(t, f, chainOf(2, upper), Options{})
		shut()
		input := strings.Repeat("x", 15<<10)
		const n = 400
		answers := make(chan error, n)
		for i := range n {
			go func() {
				_, err := e.Start(t.Context(), Start{ID: fmt.Sprint(i), Name: "chain", Input: history.Payload(input)})
				answers <- err
			}()
		}
		synctest.Wait()
		e.commits.mu.Lock()
		ahead := e.commits.bytes
		e.commits.mu.Unlock()
		if ahead < maxAhead || ahead > maxAhead+(1<<20) {
			t.Errorf("%d bytes are ahead of the disk", ahead)
		}
		open()
		for range n {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			equal(t, "output", finish(t, e, fmt.Sprint(i)), "STEP1")
		}
		end(t, e)
	})
}

// A message that is sent and consumed within a batch is never written, and several
// turns of an instance within a batch are one row.
func TestBatchIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Definitions{
			Orchestrations: []Orchestration{orchestration("o", sequence(operate("@adder@a", "x"), operate("@adder@a", "y"), child("kid", ""))), orchestration("kid", sequence())},
			Entities:       []Entity{adder},
		}
		var batches []store.Batch
		g, shut, open := gate(memory.New())
		s := &spy{Store: g, commit: func(b *store.Batch) { batches = append(batches, *b) }}
		e := start(t, s, d, Options{})
		shut()
		for _, id := range []string{"first", "i"} { // the second one is whole before the first commit ends
			go func() {
				_, _ = e.Start(t.Context(), Start{ID: id, Name: map[string]string{"first": "kid", "i": "o"}[id]})
			}()
			synctest.Wait()
		}
		open()
		equal(t, "output", finish(t, e, "i"), "")
		end(t, e)
		if len(batches) != 2 {
			t.Fatalf("%d commits", len(batches))
		}
		b := batches[1]
		if len(b.Inbox)+len(b.Consumed) != 0 || len(b.Instances) != 3 || len(b.History) != 2 {
			t.Errorf("%d messages, %d consumed, %d instances, %d history rows", len(b.Inbox), len(b.Consumed), len(b.Instances), len(b.History))
		}
	})
}

func operate(entity, data string) *history.Event {
	return &history.Event{Kind: history.EntityOperationCalled, Target: entity, Name: "op", Request: NewRequest(), Data: history.Payload(data)}
}

// spy sees the batches.
type spy struct {
	store.Store
	commit    func(*store.Batch) // before; may be nil
	committed func()             // after; may be nil
}

func (s *spy) Commit(ctx context.Context, b *store.Batch) error {
	if s.commit != nil {
		s.commit(b)
	}
	err := s.Store.Commit(ctx, b)
	if s.committed != nil {
		s.committed()
	}
	return err
}
