package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// A random program, run by the engine with crashes and evictions, comes to what a
// trivial interpreter says.

// script is the input of the orchestration "script": what is to be done, and the
// sum so far, which goes along through ContinueAsNew.
type script struct {
	Sum   int
	Event int // number of the next event to wait for
	Steps []instruction
}

type instruction struct {
	Do   string
	N    int
	Kids []instruction `json:",omitempty"`
}

var (
	double = durable.NewActivity("double", func(_ context.Context, n int) (int, error) { return 2*n + 1, nil })
	triple = durable.NewActivity("triple", func(_ context.Context, n int) (int, error) { return 3*n + 1, nil }, durable.Pure())
	// stubborn fails in its first n attempts.
	stubborn = durable.NewActivity("stubborn", func(ctx context.Context, n int) (int, error) {
		if info, _ := durable.Info(ctx); info.Attempt <= n {
			return 0, errors.New("not yet")
		}
		return n, nil
	})
	attempts = 3
	tally    = durable.NewEntity[int]("tally")
	addTally = durable.Operation(tally, "add", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum += n
		if n == 0 {
			return 0, errors.New("nothing to add")
		}
		return *sum, nil
	})

	scripts     = durable.NewOrchestration("script", runScript)
	scriptParts = []durable.Definition{double, triple, stubborn, tally, scripts}
)

func runScript(ctx *durable.Context, s script) (int, error) {
	for i, in := range s.Steps {
		switch in.Do {
		case "double", "triple":
			n, err := durable.CallActivity[int](ctx, in.Do, in.N)
			if err != nil {
				return 0, err
			}
			s.Sum += n
		case "fan":
			all, err := durable.All(ctx, durable.StartEach(ctx, make([]int, in.N), func(int) *durable.Task[int] { return triple.Start(ctx, in.N) }))
			if err != nil {
				return 0, err
			}
			for _, n := range all {
				s.Sum += n
			}
		case "stubborn":
			n, err := stubborn.Call(ctx, in.N, durable.WithRetry(durable.RetryPolicy{MaxAttempts: attempts, FirstInterval: time.Minute, Backoff: 2}))
			if err != nil {
				n = -7
			}
			s.Sum += n
		case "entity":
			n, err := addTally.Call(ctx, ctx.InstanceID(), in.N)
			if err != nil {
				n = -11
			}
			s.Sum += n
		case "sleep":
			if err := ctx.Sleep(time.Duration(in.N) * time.Hour); err != nil {
				return 0, err
			}
		case "event":
			n, err := durable.WaitForEvent[int](ctx, fmt.Sprint("event", s.Event)).Await()
			if err != nil {
				return 0, err
			}
			s.Sum += n
			s.Event++
		case "race":
			timer, act := ctx.Timer(time.Duration(in.N)*time.Hour), double.Start(ctx, in.N)
			if durable.Any(ctx, timer, act) == nil {
				return 0, errors.New("nobody won")
			}
			if _, err := timer.Await(); err != nil {
				return 0, err
			}
			n, err := act.Await()
			if err != nil {
				return 0, err
			}
			s.Sum += n
		case "child":
			n, err := durable.CallOrchestration[int](ctx, "script", script{Steps: in.Kids})
			if err != nil {
				n = -13
			}
			s.Sum += n
		case "again":
			return 0, ctx.ContinueAsNew(script{Sum: s.Sum, Event: s.Event, Steps: s.Steps[i+1:]})
		case "die":
			return 0, errors.New("died")
		}
	}
	return s.Sum, nil
}

// interpret is what runScript means.
func interpret(steps []instruction, events []int) (int, error) {
	sum, tally := 0, 0
	for _, in := range steps {
		switch in.Do {
		case "double", "race":
			sum += 2*in.N + 1
		case "triple":
			sum += 3*in.N + 1
		case "fan":
			sum += in.N * (3*in.N + 1)
		case "stubborn":
			if in.N < attempts {
				sum += in.N
			} else {
				sum -= 7
			}
		case "entity":
			tally += in.N
			if in.N == 0 {
				sum -= 11
			} else {
				sum += tally
			}
		case "event":
			sum += events[0]
			events = events[1:]
		case "child":
			if n, err := interpret(in.Kids, nil); err == nil {
				sum += n
			} else {
				sum -= 13
			}
		case "die":
			return 0, errors.New("died")
		}
	}
	return sum, nil
}

func drawSteps(r *rapid.T, depth int) (steps []instruction) {
	kinds := []string{"double", "triple", "fan", "stubborn", "entity", "sleep", "race", "again", "entity", "double", "die"}
	if depth > 0 {
		kinds = append(kinds, "child", "child")
	}
	if depth == 2 {
		kinds = append(kinds, "event", "event")
	}
	for range rapid.IntRange(0, 7).Draw(r, "steps") {
		in := instruction{Do: rapid.SampledFrom(kinds).Draw(r, "do"), N: rapid.IntRange(0, 4).Draw(r, "n")}
		if in.Do == "child" {
			in.Kids = drawSteps(r, depth-1)
		}
		steps = append(steps, in)
	}
	return steps
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := drawSteps(r, 2)
		crashes := rapid.SliceOfN(rapid.IntRange(1, 8), 0, 4).Draw(r, "crash after so many commits")
		cached := rapid.SampledFrom([]int{-1, 1, 0}).Draw(r, "cached")
		var events []int
		for _, in := range steps {
			if in.Do == "event" {
				events = append(events, len(events)+100)
			}
		}
		want, wantErr := interpret(steps, events)
		var got int
		var err error
		synctest.Test(t, func(t *testing.T) {
			got, err = runLives(t.Context(), script{Steps: steps}, events, crashes, cached)
		})
		if got != want || (err == nil) != (wantErr == nil) {
			r.Fatalf("got %d, %v; want %d, %v", got, err, want, wantErr)
		}
	})
}

// runLives runs a script through as many lives as it takes.
func runLives(ctx context.Context, s script, events, crashes []int, cached int) (int, error) {
	disk := memory.New()
	for {
		at := 0
		if len(crashes) > 0 {
			at, crashes = crashes[0], crashes[1:]
		}
		v, image, err := runLife(ctx, disk, s, events, at, cached)
		if image == nil {
			return v, err
		}
		disk = image
	}
}

// runLife runs until the script ends, or the process after its at-th commit: then
// it gives the image of its disk.
func runLife(ctx context.Context, disk *memory.Store, s script, events []int, at, cached int) (v int, image *memory.Store, err error) {
	ctx, die := context.WithCancel(ctx)
	defer die()
	crashed := make(chan *memory.Store, 1)
	rt, err := durable.OpenStore(ctx, disk, durable.Options{Cached: cached, Logger: quiet, OnCommit: func(n uint64) {
		if n == uint64(at) {
			crashed <- disk.Clone()
			disk.Reopen() // it writes nothing more
			die()
		}
	}}, scriptParts...)
	if err == nil {
		v, err = driveScript(ctx, rt.Client(), s, events)
		_ = rt.Close() // a crash is its error
	}
	select {
	case image = <-crashed:
		return 0, image, nil
	default:
		return v, nil, err
	}
}

// driveScript does what a program does that may run again after each crash.
func driveScript(ctx context.Context, c *durable.Client, s script, events []int) (int, error) {
	if _, err := scripts.Schedule(ctx, c, s, durable.WithInstanceID("i")); err != nil && !errors.Is(err, durable.ErrExists) {
		return 0, err
	}
	for n, v := range events {
		if err := c.RaiseEvent(ctx, "i", fmt.Sprint("event", n), v); err != nil {
			return 0, err
		}
	}
	return scripts.Wait(ctx, c, "i")
}
