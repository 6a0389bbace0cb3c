package durable_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Many orchestrations that lock random sets, in random order: none waits for ever,
// and nothing that one did is lost by another.
func TestLocksWithoutDeadlock(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		rt := d.run(t, durable.Options{Cached: -1}, lockParts...)
		keys := []string{"a", "b", "c", "d", "e", "f"}
		want := map[string]int{}
		random := rand.New(rand.NewPCG(1, 2))
		var wg sync.WaitGroup
		for range 60 {
			random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			v := visit{Keys: slices.Clone(keys[:1+random.IntN(4)])}
			for _, k := range v.Keys {
				want[k]++
			}
			wg.Go(func() {
				if _, err := visitor.Run(t.Context(), rt.Client(), v); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for k, n := range want {
			if got, _, err := purse.Get(t.Context(), rt.Client(), k); got != n || err != nil {
				t.Errorf("%s has %d, %v; want %d", k, got, err, n)
			}
		}
	})
}

// Random visits, some of which end badly while they have locks or wait for them,
// with crashes and evictions.
func TestModelLocks(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		crashes := rapid.SliceOfN(rapid.IntRange(1, 25), 0, 4).Draw(r, "crash after so many commits")
		cached := rapid.SampledFrom([]int{-1, 1, 0}).Draw(r, "cached")
		keys := []string{"a", "b", "c", "d"}
		visits := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) visit {
			return visit{
				Keys:  rapid.SliceOfN(rapid.SampledFrom(keys), 1, 4).Draw(r, "keys"),
				Sleep: time.Duration(rapid.IntRange(0, 2).Draw(r, "sleep")) * time.Minute,
				End:   rapid.SampledFrom([]string{"", "keep", "fail", "panic", "terminate"}).Draw(r, "end"),
			}
		}), 1, 6).Draw(r, "visits")
		want := map[string]int{}
		for _, v := range visits {
			for _, k := range slices.Compact(slices.Sorted(slices.Values(v.Keys))) {
				if v.End != "terminate" {
					want[k]++
				}
			}
		}
		synctest.Test(t, func(t *testing.T) {
			err := throughCrashes(t.Context(), lockParts, crashes, cached, func(ctx context.Context, c *durable.Client) error {
				return driveVisits(ctx, c, visits, keys, want, func() { time.Sleep(time.Minute) })
			})
			if err != nil {
				r.Fatal(err)
			}
		})
	})
}

// throughCrashes runs a program, which must bear to run again, through as many
// lives as it takes: each but the last ends after so many commits.
func throughCrashes(ctx context.Context, parts []durable.Definition, crashes []int, cached int, program func(context.Context, *durable.Client) error) error {
	disk := memory.New()
	for {
		at := 0
		if len(crashes) > 0 {
			at, crashes = crashes[0], crashes[1:]
		}
		life, die := context.WithCancel(ctx)
		crashed := make(chan *memory.Store, 1)
		rt, err := durable.OpenStore(life, disk, durable.Options{Cached: cached, Logger: quiet, OnCommit: func(n uint64) {
			if n == uint64(at) {
				crashed <- disk.Clone()
				disk.Reopen() // it writes nothing more
				die()
			}
		}}, parts...)
		if err == nil {
			err = program(life, rt.Client())
			_ = rt.Close() // a crash is its error
		}
		die()
		select {
		case disk = <-crashed:
		default:
			return err
		}
	}
}

// driveVisits does what a program does that may run again after each crash.
func driveVisits(ctx context.Context, c *durable.Client, visits []visit, keys []string, want map[string]int, pause func()) error {
	for i, v := range visits {
		if v.End == "terminate" {
			v.Event = "never"
		}
		if _, err := visitor.Schedule(ctx, c, v, durable.WithInstanceID(fmt.Sprint(i))); err != nil && !errors.Is(err, durable.ErrExists) {
			return err
		}
	}
	stopped := 0
	for i, v := range visits {
		if v.End == "terminate" {
			pause() // it may have its locks, or wait for them
			if err := c.Terminate(ctx, fmt.Sprint(i), nil, false); err != nil {
				return err
			}
			stopped++
		}
	}
	for i := range visits {
		if _, err := c.Wait(ctx, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	// All locks are free: one more gets them all.
	if _, err := visitor.Schedule(ctx, c, visit{Keys: keys}, durable.WithInstanceID("last")); err != nil && !errors.Is(err, durable.ErrExists) {
		return err
	}
	if _, err := visitor.Wait(ctx, c, "last"); err != nil {
		return err
	}
	for _, k := range keys {
		n, _, err := purse.Get(ctx, c, k)
		if err != nil {
			return err
		}
		if n < want[k]+1 || n > want[k]+1+stopped {
			return fmt.Errorf("%s has %d, want %d to %d", k, n, want[k]+1, want[k]+1+stopped)
		}
	}
	return nil
}

// The same after a crash at every point.
func TestCrashLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := durabletest.CrashEverywhere(t, lockParts, func(ctx context.Context, env *durabletest.Env) (string, error) {
			c := env.Client()
			var ids []string
			for _, v := range []visit{
				{Keys: []string{"a", "b"}, Sleep: time.Minute}, {Keys: []string{"b", "c"}, End: "fail"}, {Keys: []string{"c", "a"}, End: "keep"},
			} {
				id, err := visitor.Schedule(ctx, c, v)
				if err != nil {
					return "", err
				}
				ids = append(ids, id)
			}
			for _, id := range ids {
				if _, err := c.Wait(ctx, id); err != nil {
					return "", err
				}
			}
			var got []string
			synctest.Wait() // the last unlocks
			for _, k := range []string{"a", "b", "c"} {
				s, err := c.Entity(ctx, purse.ID(k))
				if err != nil {
					return "", err
				}
				got = append(got, fmt.Sprint(k, string(s.State), s.LockedBy))
			}
			return strings.Join(got, " "), nil
		})
		if points < 15 {
			t.Errorf("only %d crash points", points)
		}
	})
}
