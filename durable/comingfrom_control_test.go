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
	"github.com/agentrun-dev/agentrun/durable/history"
)

func TestComingFromCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var undone []string
		search := durable.NewActivity("search", func(ctx context.Context, what string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		undo := durable.NewActivity("undo", func(ctx context.Context, what string) (string, error) {
			undone = append(undone, what)
			return what, nil
		})
		trip := durable.NewOrchestration("trip", func(ctx *durable.Context, limit time.Duration) (string, error) {
			// doc: cancellation
			part, cancel := ctx.WithTimeout(limit)
			defer cancel()
			flight, err := search.Call(part, "flight")
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				return "no flight", nil
			case errors.Is(err, context.Canceled): // by Client.Cancel
				_, e := undo.Call(ctx.WithoutCancel(), "hotel")
				return "", errors.Join(err, e) // the status becomes Canceled
			}
			// end
			return flight, err
		})
		rt := open(t, trip, search, undo)
		defer closeRuntime(t, rt)
		ctx, client := t.Context(), rt.Client()
		equal(t, "trip", must[string](t)(trip.Run(ctx, client, time.Hour)), "no flight")
		id := must[string](t)(trip.Schedule(ctx, client, 48*time.Hour))
		if err := client.Cancel(ctx, id, "rain"); err != nil {
			t.Fatal(err)
		}
		st := must[*durable.State](t)(client.Wait(ctx, id))
		equal(t, "status", st.Status, history.Canceled)
		equal(t, "undone", fmt.Sprint(undone), "[hotel]")
	})
}

func TestComingFromChildren(t *testing.T) {
	pack := durable.NewOrchestration("pack", func(ctx *durable.Context, item string) (string, error) {
		return item + " in " + ctx.InstanceID() + " of " + ctx.Parent(), nil
	})
	order := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		// doc: children
		box, err := pack.Call(ctx, item, durable.WithInstanceID("box-1"),
			durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3}))
		// end
		return box, err
	})
	rt := open(t, order, pack)
	equal(t, "order", must[string](t)(order.Run(t.Context(), rt.Client(), "lamp", durable.WithInstanceID("o"))), "lamp in box-1 of o")
}

func TestComingFromContinueAsNew(t *testing.T) {
	tally := durable.NewOrchestration("tally", func(ctx *durable.Context, total int) (int, error) {
		// doc: continue-as-new
		n, err := durable.WaitForEvent[int](ctx, "add").Await()
		if err != nil || n == 0 {
			return total, err
		}
		return 0, ctx.ContinueAsNew(total + n) // what nobody has taken goes over
		// end
	})
	rt := open(t, tally)
	ctx, client := t.Context(), rt.Client()
	id := must[string](t)(tally.Schedule(ctx, client, 1))
	for _, n := range []int{2, 3, 0} {
		if err := client.RaiseEvent(ctx, id, "add", n); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "tally", must[int](t)(tally.Wait(ctx, client, id)), 6)
	equal(t, "executions", len(must[[]string](t)(client.Executions(ctx, id))), 3)
}

func TestComingFromEntities(t *testing.T) {
	type Transfer struct {
		From, To string
		Amount   int
	}
	// doc: entities
	account := durable.NewEntity[int]("account")
	add := durable.Operation(account, "add", func(ctx *durable.EntityContext, balance *int, amount int) (int, error) {
		if *balance+amount < 0 {
			return 0, errors.New("not enough money") // and nothing has changed
		}
		*balance += amount
		return *balance, nil
	})
	transfer := durable.NewOrchestration("transfer", func(ctx *durable.Context, t Transfer) (int, error) {
		unlock, err := durable.Lock(ctx, account.ID(t.From), account.ID(t.To)) // no deadlock
		defer unlock()
		if err != nil {
			return 0, err
		}
		if _, err := add.Call(ctx, t.From, -t.Amount); err != nil {
			return 0, err
		}
		return add.Call(ctx, t.To, t.Amount)
	})
	// end
	rt := open(t, account, transfer)
	ctx, client := t.Context(), rt.Client()
	for _, who := range []string{"ann", "bob"} {
		if err := add.Send(ctx, client, who, 10); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "bob", must[int](t)(transfer.Run(ctx, client, Transfer{"ann", "bob", 7})), 17)
	if _, err := transfer.Run(ctx, client, Transfer{"ann", "bob", 7}); err == nil {
		t.Error("money from nothing")
	}
	ann, ok, err := account.Get(ctx, client, "ann")
	if ann != 3 || !ok || err != nil {
		t.Error(ann, ok, err)
	}
}

func TestComingFromVersions(t *testing.T) {
	charge := durable.NewActivity("charge", func(ctx context.Context, how string) (string, error) { return how, nil })
	post := func(ctx *durable.Context, item string) (string, error) { return item + " by post", nil }
	bike := func(ctx *durable.Context, item string) (string, error) {
		// doc: patches
		if ctx.Patched("charge-in-two-steps") {
			if _, err := charge.Call(ctx, "first half"); err != nil {
				return "", err
			}
		} else {
			// what executions that have been here before the change go on with
		}
		// end
		return item + " by bike", nil
	}
	// doc: versions
	v1 := durable.NewOrchestration("order", post, durable.Version("1.0")) // goes on with what it began
	v2 := durable.NewOrchestration("order", bike, durable.Version("2.0")) // begins what is started by it
	// end
	rt := open(t, v1, v2, charge)
	equal(t, "old", must[string](t)(v1.Run(t.Context(), rt.Client(), "lamp")), "lamp by post")
	equal(t, "new", must[string](t)(v2.Run(t.Context(), rt.Client(), "lamp")), "lamp by bike")
}

func TestComingFromReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		charge := durable.NewActivity("charge", func(ctx context.Context, how string) (string, error) { return how, nil })
		v1 := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		v2 := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
			return charge.Call(ctx, item) // a step that those that wait have not taken
		})
		rt := open(t, v1)
		defer closeRuntime(t, rt)
		ctx, client := t.Context(), rt.Client()
		must[string](t)(v1.Schedule(ctx, client, "lamp", durable.WithInstanceID("o")))
		synctest.Wait()
		var broken []string
		// doc: replay
		for b, err := range durable.ReplayOpen(ctx, client, v2, charge) { // would a deploy of these break a run?
			if err != nil {
				t.Fatal(err)
			}
			broken = append(broken, b.ID) // b.Err names the event, what is recorded, what the code does
		}
		// end
		equal(t, "broken", fmt.Sprint(broken), "[o]")
	})
}

// A deploy that broke a run can be taken back, as the document says.
func TestComingFromDivergence(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		charge := durable.NewActivity("charge", func(ctx context.Context, how string) (string, error) { return how, nil })
		then := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
			if _, err := charge.Call(ctx, item); err != nil {
				return "", err
			}
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		now := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		ctx := t.Context()
		rt := d.run(t, durable.Options{}, then, charge)
		must[string](t)(then.Schedule(ctx, rt.Client(), "lamp", durable.WithInstanceID("o")))
		d.until(t, rt, func() bool { return strings.Contains(kinds(t, rt.Client(), "o"), "TaskCompleted") })
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, now)
		if err := rt.Client().RaiseEvent(ctx, "o", "go", "went"); err != nil {
			t.Fatal(err)
		}
		_, err := now.Wait(ctx, rt.Client(), "o")
		var failed *durable.TaskFailedError
		if !errors.As(err, &failed) || failed.Type != durable.NonDeterminism {
			t.Error(err)
		}
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, then, charge)
		if err := rt.Client().Rewind(ctx, "o", "the old code is back"); err != nil {
			t.Fatal(err)
		}
		equal(t, "order", must[string](t)(then.Wait(ctx, rt.Client(), "o")), "went")
	})
}

func TestComingFromQueries(t *testing.T) {
	wait := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		ctx.SetCustomStatus("packing")
		return durable.WaitForEvent[string](ctx, "packed").Await()
	})
	rt := open(t, wait)
	ctx, client := t.Context(), rt.Client()
	must[string](t)(wait.Schedule(ctx, client, "lamp", durable.WithTags(map[string]string{"customer": "ann"})))
	must[string](t)(wait.Schedule(ctx, client, "lamp", durable.WithTags(map[string]string{"customer": "bob"})))
	found := 0
	// doc: queries
	for st, err := range client.Query(ctx, durable.Query{
		Names:    []string{"order"},
		Statuses: []history.Status{history.Pending, history.Running},
		Tags:     map[string]string{"customer": "ann"},
	}) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(st.ID, st.Status, st.CustomStatus) // the custom status is JSON
		found++
	}
	// end
	equal(t, "found", found, 1)
}

func TestComingFromControl(t *testing.T) {
	full := true
	store := durable.NewActivity("store", func(ctx context.Context, item string) (string, error) {
		if full {
			return "", errors.New("the shelf is full")
		}
		return item, nil
	})
	order := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		return store.Call(ctx, item)
	}, durable.Retain(30*24*time.Hour))
	rt := open(t, order, store)
	ctx, client := t.Context(), rt.Client()
	if _, err := order.Run(ctx, client, "lamp", durable.WithInstanceID("o")); err == nil {
		t.Error("stored on a full shelf")
	}
	full = false
	control := func(id string) error {
		// doc: control
		if err := client.Rewind(ctx, id, "there is room now"); err != nil { // goes on from its failure
			return err
		}
		if _, err := order.Wait(ctx, client, id); err != nil {
			return err
		}
		_, err := client.Purge(ctx, id, true) // with its children
		// end
		return err
	}
	if err := control("o"); err != nil {
		t.Error(err)
	}
	if _, err := client.Get(ctx, "o"); !durable.IsNotFound(err) {
		t.Error(err)
	}
}

type comingDeclined struct{ Missing int }

func (e *comingDeclined) Error() string { return "declined" }

func TestComingFromErrors(t *testing.T) {
	type Declined = comingDeclined
	var calls []string
	charge := durable.NewActivity("charge", func(ctx context.Context, price int) (string, error) {
		return "", fmt.Errorf("charge: %w", &Declined{Missing: price - 100})
	})
	order := durable.NewOrchestration("order", func(ctx *durable.Context, price int) (int, error) {
		// doc: errors
		_, err := charge.Call(ctx, price)
		var declined *Declined // registered by durable.ErrorType[*Declined]("declined")
		if errors.As(err, &declined) {
			return declined.Missing, nil
		}
		// end
		return 0, err
	})
	// doc: interceptors
	logged := durable.Interceptor{
		Activity: func(ctx context.Context, c *durable.ActivityCall, next durable.ActivityFunc) (history.Payload, error) {
			out, err := next(ctx, c)
			calls = append(calls, fmt.Sprint(c.Name, ": ", err))
			return out, err
		},
	}
	opts := durable.Options{Interceptors: []durable.Interceptor{logged}}
	// end
	rt := must[*durable.Runtime](t)(durable.OpenWith(t.Context(), "memory:", opts,
		order, charge, durable.ErrorType[*Declined]("declined")))
	defer closeRuntime(t, rt)
	equal(t, "order", must[int](t)(order.Run(t.Context(), rt.Client(), 130)), 30)
	equal(t, "calls", fmt.Sprint(calls), "[charge: charge: declined]")
}
