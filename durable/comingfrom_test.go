package durable_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// The code of docs/coming-from.md. What stands between a line "// doc: NAME" and the
// next "// end" is the document's block of that name, without its indentation:
// TestComingFrom compares the two.

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

type comingOrder struct {
	Item  string
	Price int
}

func TestComingFromDefinitions(t *testing.T) {
	type Order = comingOrder
	// doc: definitions
	charge := durable.NewActivity("charge", func(ctx context.Context, price int) (string, error) {
		return fmt.Sprint("receipt for ", price), nil
	})
	order := durable.NewOrchestration("order", func(ctx *durable.Context, o Order) (string, error) {
		return charge.Call(ctx, o.Price) // a typed value, no name in quotes
	})
	shop := durable.Bundle(order, charge) // what a package exports
	// end
	rt := open(t, shop)
	equal(t, "order", must[string](t)(order.Run(t.Context(), rt.Client(), Order{"lamp", 30})), "receipt for 30")
}

func TestComingFromStart(t *testing.T) {
	start := func(ctx context.Context, client *durable.Client, order *durable.Orchestration[string, string]) (string, error) {
		// doc: start
		id, err := order.Schedule(ctx, client, "lamp",
			durable.WithInstanceID("order-17"),
			durable.WithTags(map[string]string{"customer": "ann"}),
			durable.WithStartAt(time.Now().Add(8*time.Hour)),
			durable.WithReuse(history.Completed, history.Failed)) // otherwise ErrExists
		if err != nil {
			return "", err
		}
		return order.Wait(ctx, client, id) // in any process, also after a restart
		// end
	}
	synctest.Test(t, func(t *testing.T) {
		order := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
			return item + " for " + ctx.Tags()["customer"], nil
		})
		rt := open(t, order)
		defer closeRuntime(t, rt)
		began := time.Now()
		for range 2 { // the second takes the place of the first
			equal(t, "order", must[string](t)(start(t.Context(), rt.Client(), order)), "lamp for ann")
		}
		equal(t, "waited", time.Since(began), 16*time.Hour)
	})
}

func TestComingFromActivities(t *testing.T) {
	type payment struct {
		Customer string
		Amount   int
	}
	bank := map[string]int{}
	// doc: activities
	quote := durable.NewActivity("quote", func(ctx context.Context, item string) (int, error) {
		return len(item), nil
	}, durable.Pure()) // may run ahead of the disk

	ship := durable.NewActivity("ship", func(ctx context.Context, item string) (string, error) {
		info, _ := durable.Info(ctx)
		return item + " " + info.Key, nil // hand the key to whoever is called
	}, durable.Idempotent())

	pay := durable.NewActivity("pay", func(ctx context.Context, p payment) (string, error) {
		info, _ := durable.Info(ctx)
		bank[info.Key] = p.Amount
		return "paid", nil
	}, durable.Reconcile(func(ctx context.Context, p payment) (string, bool, error) {
		info, _ := durable.Info(ctx)
		_, happened := bank[info.Key] // only asked after a crash in between
		return "paid", happened, nil
	}), durable.MaxConcurrent(4),
		durable.RateLimit(func(p payment) string { return p.Customer }, 10, time.Second))
	// end
	order := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		price, err := quote.Call(ctx, item)
		if err != nil {
			return "", err
		}
		paid, err := pay.Call(ctx, payment{"ann", price}, durable.WithPriority(1))
		if err != nil {
			return "", err
		}
		shipped, err := ship.Call(ctx, item)
		return paid + ", " + strings.Fields(shipped)[0], err
	})
	rt := open(t, order, quote, ship, pay)
	equal(t, "order", must[string](t)(order.Run(t.Context(), rt.Client(), "lamp", durable.WithInstanceID("o"))), "paid, lamp")
	effects, err := rt.Effects(t.Context(), "o")
	if err != nil || len(effects) != 1 || bank[effects[0].IdempotencyKey] != 4 {
		t.Errorf("effects %v (%v), bank %v", effects, err, bank)
	}
}

func TestComingFromRetries(t *testing.T) {
	tries := 0
	call := func(ctx *durable.Context, charge *durable.Activity[int, string], price int) (string, error) {
		// doc: retries
		receipt, err := charge.Call(ctx, price, durable.WithRetry(durable.RetryPolicy{
			MaxAttempts:   5, // in all; the zero policy does not retry
			FirstInterval: time.Second,
			Backoff:       2,
			MaxInterval:   time.Minute,
			Timeout:       time.Hour,
			Retry:         func(err error) bool { return !strings.Contains(err.Error(), "declined") },
		}))
		// end
		return receipt, err
	}
	synctest.Test(t, func(t *testing.T) {
		charge := durable.NewActivity("charge", func(ctx context.Context, price int) (string, error) {
			tries++
			switch {
			case price > 100:
				return "", errors.New("card declined")
			case price < 0:
				return "", durable.NonRetriable(errors.New("no such price"))
			case tries < 4:
				return "", errors.New("the bank is closed")
			}
			return "paid", nil
		})
		order := durable.NewOrchestration("order", func(ctx *durable.Context, price int) (string, error) {
			began := ctx.Now()
			receipt, err := call(ctx, charge, price)
			return fmt.Sprint(receipt, " after ", ctx.Now().Sub(began)), err
		})
		rt := open(t, order, charge)
		defer closeRuntime(t, rt)
		equal(t, "order", must[string](t)(order.Run(t.Context(), rt.Client(), 30)), "paid after 7s")
		for _, price := range []int{101, -1} {
			tries = 0
			if _, err := order.Run(t.Context(), rt.Client(), price); err == nil || tries != 1 {
				t.Errorf("price %d: %v after %d tries", price, err, tries)
			}
		}
	})
}

func TestComingFromTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages, stuck := 0, false
		exportPage := func(ctx context.Context, page int) error {
			if page == 3 && !stuck {
				stuck = true
				<-ctx.Done() // no heartbeat comes from here
				return ctx.Err()
			}
			pages++
			return nil
		}
		// doc: timeouts
		export := durable.NewActivity("export", func(ctx context.Context, pages int) (int, error) {
			done, _ := durable.Progress[int](ctx) // of an earlier attempt, also before a crash
			for ; done < pages; done++ {
				if err := durable.Heartbeat(ctx, done); err != nil {
					return done, err // cut off: the cause tells why
				}
				if err := exportPage(ctx, done); err != nil {
					return done, err
				}
			}
			return done, nil
		}, durable.StartToClose(time.Hour), durable.HeartbeatTimeout(time.Minute))
		// end
		archive := durable.NewOrchestration("archive", func(ctx *durable.Context, pages int) (string, error) {
			n, err := export.Call(ctx, pages, durable.WithScheduleToClose(24*time.Hour),
				durable.WithRetry(durable.RetryPolicy{MaxAttempts: 2}))
			return fmt.Sprint(n, " ", durable.TimeoutOf(err)), nil
		})
		rt := open(t, archive, export)
		defer closeRuntime(t, rt)
		equal(t, "archive", must[string](t)(archive.Run(t.Context(), rt.Client(), 5)), "5 ")
		equal(t, "pages", pages, 5)
	})
}

func TestComingFromTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remind := durable.NewOrchestration("remind", func(ctx *durable.Context, due time.Time) (time.Duration, error) {
			began := ctx.Now()
			// doc: timers
			if err := ctx.Sleep(30 * 24 * time.Hour); err != nil {
				return 0, err
			}
			_, err := ctx.TimerAt(due).Await() // a task, as everything that Start gives
			// end
			return ctx.Now().Sub(began), err
		})
		rt := open(t, remind)
		defer closeRuntime(t, rt)
		year := 365 * 24 * time.Hour
		equal(t, "remind", must[time.Duration](t)(remind.Run(t.Context(), rt.Client(), time.Now().Add(year))), year)
	})
}

func TestComingFromEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		approval := durable.NewOrchestration("approval", func(ctx *durable.Context, _ string) (string, error) {
			// doc: events
			approved, deadline := durable.WaitForEvent[bool](ctx, "approved"), ctx.Timer(72*time.Hour)
			if durable.Any(ctx, approved, deadline) == deadline {
				approved.Cancel() // a later event is left for whoever waits next
				return "too late", nil
			}
			deadline.Cancel()
			ok, err := approved.Await()
			// end
			return fmt.Sprint("approved: ", ok), err
		})
		rt := open(t, approval)
		defer closeRuntime(t, rt)
		ctx, client := t.Context(), rt.Client()
		id := must[string](t)(approval.Schedule(ctx, client, ""))
		if err := client.RaiseEvent(ctx, id, "approved", true); err != nil {
			t.Fatal(err)
		}
		equal(t, "approval", must[string](t)(approval.Wait(ctx, client, id)), "approved: true")
		equal(t, "approval", must[string](t)(approval.Run(ctx, client, "")), "too late")
	})
}

func TestComingFromParallel(t *testing.T) {
	square := durable.NewActivity("square", func(ctx context.Context, n int) (int, error) { return n * n, nil })
	sum := durable.NewOrchestration("sum", func(ctx *durable.Context, numbers []int) (int, error) {
		// doc: parallel
		tasks := durable.StartEach(ctx, numbers, func(n int) *durable.Task[int] { return square.Start(ctx, n) })
		squares, err := durable.All(ctx, tasks) // in the order of the tasks
		if err != nil {
			return 0, err
		}
		twice := durable.Go(ctx, func(ctx *durable.Context) (int, error) { // a coroutine
			n, err := square.Call(ctx, squares[0])
			if err != nil {
				return 0, err
			}
			return square.Call(ctx, n)
		})
		orders, total := durable.Events[int](ctx, "order"), 0
		for open := true; open && err == nil; {
			durable.Select(ctx,
				orders.On(func(n int, e error) { total, err = total+n, e }),
				durable.On(twice, func(n int, e error) { total, open, err = total+n, false, e }))
		}
		// end
		return total + len(squares), err
	})
	rt := open(t, sum, square)
	equal(t, "sum", must[int](t)(sum.Run(t.Context(), rt.Client(), []int{2, 3})), 258)
}

func TestComingFromTests(t *testing.T) {
	charge := durable.NewActivity("charge", func(ctx context.Context, price int) (int, error) { return price, nil })
	order := durable.NewOrchestration("order", func(ctx *durable.Context, price int) (int, error) {
		if err := ctx.Sleep(72 * time.Hour); err != nil {
			return 0, err
		}
		return charge.Call(ctx, price)
	})
	// doc: tests
	synctest.Test(t, func(t *testing.T) { // three days pass at once
		durabletest.CrashEverywhere(t, []durable.Definition{order, charge},
			func(ctx context.Context, env *durabletest.Env) (int, error) {
				return order.Run(ctx, env.Client(), 30)
			})
	})
	// end
}

func TestComingFromHosting(t *testing.T) {
	order := durable.NewOrchestration("order", func(ctx *durable.Context, price int) (int, error) { return price, nil })
	file := filepath.Join(t.TempDir(), "hub.db")
	host := func(ctx context.Context) (int, error) {
		// doc: hosting
		rt, err := durable.OpenWith(ctx, "sqlite:"+file, durable.Options{Activities: 64}, order)
		if err != nil {
			return 0, err // a *durable.HeldError: another process has the database
		}
		defer rt.Close() // what was not done, the next Open goes on with

		// In another process, while this one runs or not:
		c, err := durable.Connect(ctx, "sqlite:"+file, durable.Options{}, order)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		return order.Run(ctx, c.Client, 30)
		// end
	}
	equal(t, "order", must[int](t)(host(t.Context())), 30)
}
