//go:build linux || darwin

package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// script is the input of the orchestration "script": what to do, and how far an
// earlier execution of the instance came.
type script struct {
	Name  string // unique: what it writes into ledgers is named after it
	At    int    // steps done by earlier executions
	Event int    // events taken by them
	Sum   int
	Lost  map[string]int
	Steps []step
}

type step struct {
	Do   string
	N    int
	Kids []step `json:",omitempty"`
}

// outcome is its result. Lost has what each call would have added whose outcome
// nobody knows: together with Sum it is always the same.
type outcome struct {
	Sum  int
	Lost map[string]int `json:",omitempty"`
}

// ledger is the state of an entity: how often each entry was written.
type ledger struct {
	Total   int
	Entries map[string]int
}

type entry struct {
	Name string
	N    int
}

// Values of calls, as the orchestration and the interpreter know them.
func value(n int) int     { return 2*n + 1 }
func pureValue(n int) int { return 3*n + 1 }

const (
	ledgers   = 3
	attempts  = 3
	dead      = -13
	exhausted = -7
	refused   = -3
)

// part names the i-th step of s, counted over all its executions.
func (s *script) part(i int) string { return fmt.Sprint(s.Name, ".", s.At+i) }

// definitions are what workers run and what the checker replays.
type definitions struct {
	script *durable.Orchestration[script, outcome]
	ledger *durable.Entity[ledger]
	all    []durable.Definition
	*features
}

// calls is the world that activities act on.
type calls interface {
	// begin tells that a call of an activity begins; end, what became of it.
	begin(ctx context.Context, what string)
	end(ctx context.Context, what string)
	// effect does what must be done once; effected tells whether it was.
	effect(ctx context.Context) error
	effected(ctx context.Context) bool
	pause(ctx context.Context)
	// progress tells how far a call is.
	progress(ctx context.Context, verb string, v int)
	// answer gives what a plain activity answers: v.
	answer(v int) int
}

// define makes them, perhaps with a bug.
func define(w calls, bug string) *definitions {
	d := &definitions{ledger: durable.NewEntity[ledger]("ledger")}
	write := durable.Operation(d.ledger, "write", func(_ *durable.EntityContext, l *ledger, e entry) (int, error) {
		if l.Entries == nil {
			l.Entries = map[string]int{}
		}
		l.Total += e.N
		l.Entries[e.Name]++
		if e.N == 0 {
			return 0, errors.New("nothing to write") // which takes all of it back
		}
		return l.Entries[e.Name], nil
	})
	d.features, d.all = defineFeatures(w, write, bug)
	observed := func(what string, fn func(ctx context.Context, n int) (int, error)) func(context.Context, int) (int, error) {
		return func(ctx context.Context, n int) (int, error) {
			w.begin(ctx, what)
			w.pause(ctx)
			v, err := fn(ctx, n)
			w.pause(ctx)
			w.end(ctx, what)
			return v, err
		}
	}
	plain := durable.NewActivity("plain", observed("plain", func(_ context.Context, n int) (int, error) { return w.answer(value(n)), nil }))
	pure := durable.NewActivity("pure", observed("pure", func(_ context.Context, n int) (int, error) { return pureValue(n), nil }), durable.Pure())
	once := durable.NewActivity("once", observed("once", func(_ context.Context, n int) (int, error) {
		if n == 0 {
			return 0, durable.NonRetriable(errors.New("refused"))
		}
		return value(n), nil
	}), durable.AtMostOnce())
	settled := durable.NewActivity("settled", observed("settled", func(ctx context.Context, n int) (int, error) {
		return value(n), w.effect(ctx)
	}), durable.Reconcile(func(ctx context.Context, n int) (int, bool, error) {
		if !w.effected(ctx) {
			w.end(ctx, "absent")
			return 0, false, nil
		}
		w.end(ctx, "found")
		return value(n), true, nil
	}))
	stubborn := durable.NewActivity("stubborn", observed("stubborn", func(ctx context.Context, n int) (int, error) {
		if info, _ := durable.Info(ctx); info.Attempt <= n {
			return 0, errors.New("not yet")
		}
		return n, nil
	}))
	blob := durable.NewActivity("blob", func(ctx context.Context, n int) (string, error) {
		w.begin(ctx, "blob")
		defer w.end(ctx, "blob")
		return strings.Repeat("x", n<<10), nil
	})
	// Results that need room, of calls that must not be repeated to make them again.
	large := func(what string) func(context.Context, int) (string, error) {
		return func(ctx context.Context, n int) (string, error) {
			w.begin(ctx, what)
			err := w.effect(ctx)
			w.end(ctx, what)
			return strings.Repeat("x", n<<10), err
		}
	}
	lonely := durable.NewActivity("lonely", large("lonely"), durable.AtMostOnce())
	receipt := durable.NewActivity("receipt", large("receipt"), durable.Reconcile(func(ctx context.Context, n int) (string, bool, error) {
		if !w.effected(ctx) {
			w.end(ctx, "absent")
			return "", false, nil
		}
		w.end(ctx, "found")
		return strings.Repeat("x", n<<10), true, nil
	}))

	run := func(ctx *durable.Context, s script) (outcome, error) {
		if s.Lost == nil {
			s.Lost = map[string]int{}
		}
		unsafeCall := func(part string, a *durable.Activity[int, int], n int) error {
			v, err := a.Call(ctx, n)
			switch {
			case durable.UnknownOutcome(err):
				s.Lost[part] = value(n)
				if n == 0 {
					s.Lost[part] = refused
				}
			case err != nil && n == 0:
				s.Sum += refused
			case err != nil:
				return err
			default:
				s.Sum += v
			}
			return nil
		}
		for i, in := range s.Steps {
			if bug == bugOtherCode && in.Do == "pure" {
				in.N++
			}
			var err error
			add := 0
			switch in.Do {
			case "plain":
				add, err = plain.Call(ctx, in.N)
			case "pure":
				add, err = pure.Call(ctx, in.N)
			case "once":
				err = unsafeCall(s.part(i), once, in.N)
			case "settled":
				add, err = settled.Call(ctx, in.N)
			case "blob", "receipt", "lonely":
				var text string
				text, err = durable.CallActivity[string](ctx, in.Do, in.N)
				add = len(text)
				if durable.UnknownOutcome(err) {
					s.Lost[s.part(i)], err = in.N<<10, nil
				}
			case "stubborn":
				add, err = stubborn.Call(ctx, in.N, durable.WithRetry(durable.RetryPolicy{MaxAttempts: attempts, FirstInterval: time.Millisecond}))
				if err != nil {
					add, err = exhausted, nil
				}
			case "fan":
				var all []int
				all, err = durable.All(ctx, durable.StartEach(ctx, make([]struct{}, in.N), func(struct{}) *durable.Task[int] {
					return plain.Start(ctx, in.N)
				}))
				for _, v := range all {
					add += v
				}
			case "call":
				add, err = write.Call(ctx, ledgerOf(in.N), entry{s.part(i), in.N})
				if in.N == 0 {
					add, err = 0, nil
				}
			case "signal":
				err = write.Signal(ctx, ledgerOf(in.N), entry{s.part(i), in.N})
			case "sleep":
				due := ctx.Now().Add(time.Duration(in.N) * 3 * time.Millisecond)
				_, err = ctx.TimerAt(due).Await()
				if err == nil && ctx.Now().Before(due) {
					err = fmt.Errorf("woken at %v, before %v", ctx.Now(), due)
				}
			case "event":
				add, err = durable.WaitForEvent[int](ctx, eventName(s.Event)).Await()
				s.Event++
			case "race":
				timer, act := ctx.Timer(time.Duration(in.N)*time.Millisecond), plain.Start(ctx, in.N)
				durable.Any(ctx, timer, act)
				if _, err = timer.Await(); err == nil {
					add, err = act.Await()
				}
			case "child":
				var o outcome
				o, err = durable.CallOrchestration[outcome](ctx, "script", script{Name: s.part(i), Steps: in.Kids})
				if err != nil {
					o, err = outcome{Sum: dead}, nil
				}
				add = o.Sum
				maps.Copy(s.Lost, o.Lost)
			case "again":
				return outcome{}, ctx.ContinueAsNew(script{Name: s.Name, At: s.At + i + 1, Event: s.Event, Sum: s.Sum, Lost: s.Lost, Steps: s.Steps[i+1:]})
			case "die":
				err = errors.New("died")
			default:
				add, err = d.step(ctx, in, s.part(i))
			}
			if err != nil {
				return outcome{}, fmt.Errorf("%s (%s): %w", s.part(i), in.Do, err)
			}
			s.Sum += add
		}
		return outcome{s.Sum, s.Lost}, nil
	}
	d.script = durable.NewOrchestration("script", run)
	d.all = append(d.all, plain, pure, once, settled, stubborn, blob, lonely, receipt, d.ledger, d.script)
	return d
}

func ledgerOf(n int) string      { return fmt.Sprint("l", n%ledgers) }
func eventName(n int) string     { return fmt.Sprint("event", n) }
func eventValue(i, n int) int    { return 1000*n + i%1000 }
func signalName(i, n int) string { return fmt.Sprint("from-outside-", i, "-", n) }
func instanceName(i int) string  { return fmt.Sprintf("i-%06d", i) }
func (s *script) has(do string) (n int) {
	for _, in := range s.Steps {
		if in.Do == do {
			n++
		}
	}
	return n
}

// interpret is what a script means: its sum if nothing is lost, and what it writes
// into each ledger, by name, and into safes. A script that dies leaves what it did before.
func interpret(s script, instance int, books map[string]map[string]int) (sum int, ok bool) {
	event := 0
	for i, in := range s.Steps {
		switch in.Do {
		case "plain", "settled", "race", "endless", "late", "counting":
			sum += value(in.N)
		case "pure":
			sum += pureValue(in.N)
		case "once":
			if in.N == 0 {
				sum += refused
			} else {
				sum += value(in.N)
			}
		case "blob", "receipt", "lonely":
			sum += in.N << 10
		case "stubborn":
			if in.N < attempts {
				sum += in.N
			} else {
				sum += exhausted
			}
		case "fan":
			sum += in.N * value(in.N)
		case "call", "signal", "later":
			if in.N == 0 {
				break
			}
			if in.Do == "call" {
				sum++
			}
			note(books, ledgerOf(in.N), s.part(i), in.N)
		case "lock":
			for i, key := range keysOf(in.N) {
				note(books, "safes", key, deposit(in.N, i))
			}
		case "event":
			sum += eventValue(instance, event)
			event++
		case "child":
			n, ok := interpret(script{Name: s.part(i), Steps: in.Kids}, instance, books)
			if !ok {
				n = dead
			}
			sum += n
		case "die":
			return 0, false
		}
	}
	return sum, true
}

// note adds to an entry of a book.
func note(books map[string]map[string]int, book, name string, n int) {
	if books[book] == nil {
		books[book] = map[string]int{}
	}
	books[book][name] += n
}

// draw makes the i-th script of a seed.
func draw(seed uint64, i int) script {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	return script{Name: instanceName(i), Steps: drawSteps(r, 1)}
}

func drawSteps(r *rand.Rand, depth int) (steps []step) {
	kinds := []string{"plain", "pure", "pure", "once", "settled", "blob", "stubborn", "fan", "call", "call", "signal", "sleep", "race", "again", "lock", "lock", "endless", "late", "later", "counting"}
	if depth > 0 {
		kinds = append(kinds, "event", "event", "child", "child")
	}
	for range 1 + r.IntN(8) {
		in := step{Do: kinds[r.IntN(len(kinds))], N: r.IntN(5)}
		if in.Do == "child" {
			in.Kids = drawSteps(r, depth-1)
			if r.IntN(4) == 0 {
				in.Kids = append(in.Kids, step{Do: "die"})
			}
		}
		steps = append(steps, in)
	}
	return steps
}
