package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable/live"
)

func next(t testing.TB, w live.Watch) live.Change {
	t.Helper()
	c, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func texts(c live.Change) string {
	var list []string
	for _, m := range c.Messages {
		list = append(list, string(m))
	}
	return strings.Join(list, " ")
}

func TestWhoComesLaterGetsWhatIsKept(t *testing.T) {
	b := live.NewBus(live.Options{})
	b.Publish("a", []byte("1"))
	b.Publish("b", []byte("other"))
	b.Publish("a", []byte("2"))
	w := b.Watch()
	defer w.Close()
	if err := w.Add("a", "a"); err != nil {
		t.Fatal(err)
	}
	if c := next(t, w); !c.Changed || c.ID != "a" || texts(c) != "1 2" || c.Missed != 0 {
		t.Errorf("first %+v", c)
	}
	b.Publish("a", []byte("3"))
	b.Touch("a")
	if c := next(t, w); !c.Changed || texts(c) != "3" {
		t.Errorf("then %+v", c)
	}
	b.Publish("a", []byte("4"))
	if c := next(t, w); c.Changed || texts(c) != "4" {
		t.Errorf("then %+v", c)
	}
}

// TestChangesAreOne touches a topic often: a watch that was not read has one change.
func TestChangesAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := live.NewBus(live.Options{})
		w := b.Watch()
		if err := w.Add("a"); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			b.Touch("a")
		}
		next(t, w)
		ended := make(chan error)
		go func() {
			c, err := w.Next(context.Background())
			ended <- fmt.Errorf("%+v %w", c, err)
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("there was more: %v", err)
		default:
		}
		b.Close()
		if err := <-ended; !errors.Is(err, live.ErrClosed) {
			t.Error(err)
		}
		if err := w.Add("b"); !errors.Is(err, live.ErrClosed) {
			t.Errorf("a watch of a closed bus: %v", err)
		}
	})
}

// TestBounds publishes more than is kept, in one topic and in all.
func TestBounds(t *testing.T) {
	b := live.NewBus(live.Options{Topic: 1000, Total: 3000, Watch: 2})
	slow := b.Watch()
	defer slow.Close()
	if err := slow.Add("a"); err != nil {
		t.Fatal(err)
	}
	next(t, slow)
	data := []byte(strings.Repeat("x", 100))
	for range 50 {
		b.Publish("a", data)
	}
	c := next(t, slow)
	if c.Missed == 0 || c.Missed+len(c.Messages) != 50 || len(c.Messages) > 10 {
		t.Errorf("missed %d, got %d", c.Missed, len(c.Messages))
	}
	for i := range 20 {
		for range 50 {
			b.Publish(fmt.Sprint("t", i), data)
		}
	}
	if kept := b.Kept(); kept > 3000 {
		t.Errorf("%d bytes are kept", kept)
	}
	b.Publish("a", data)
	if c := next(t, slow); c.Missed+len(c.Messages) != 1 {
		t.Errorf("after others took the room: missed %d, got %d", c.Missed, len(c.Messages))
	}
	if err := slow.Add("b", "c"); !errors.Is(err, live.ErrTooMany) {
		t.Errorf("a third topic: %v", err)
	}
	if err := slow.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if err := slow.Add("c"); err != nil {
		t.Errorf("in the place of another: %v", err)
	}
}

// TestLargeOnes are more than one change brings.
func TestLargeOnes(t *testing.T) {
	b := live.NewBus(live.Options{})
	for i := range 10 {
		b.Publish("a", fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", 100<<10)))
	}
	w := b.Watch()
	defer w.Close()
	if err := w.Add("a"); err != nil {
		t.Fatal(err)
	}
	got, changes := "", 0
	for len(got) < 10 {
		for _, m := range next(t, w).Messages {
			got += string(m[:1])
		}
		changes++
	}
	if got != "0123456789" || changes < 5 {
		t.Errorf("%s in %d changes", got, changes)
	}
}

// TestNothingIsLeft watches and publishes, and forgets all of it.
func TestNothingIsLeft(t *testing.T) {
	b := live.NewBus(live.Options{})
	w := b.Watch()
	for i := range 100 {
		id := fmt.Sprint(i)
		if err := w.Add(id); err != nil {
			t.Fatal(err)
		}
		b.Publish(id, []byte(id))
		b.Forget(id)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, topics := b.Kept(), b.Topics(); kept != 0 || topics != 0 {
		t.Errorf("%d bytes in %d topics are left", kept, topics)
	}
}

// TestEveryMessageOnce has watches come and read at any time: of each topic they get
// consecutive messages, and know how many they missed.
func TestEveryMessageOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := live.NewBus(live.Options{Topic: rapid.IntRange(1, 2000).Draw(t, "topic"), Total: rapid.IntRange(1, 5000).Draw(t, "total")})
		published := map[string]int{}
		var w live.Watch
		at := map[string]int{} // number of the next message; absent: not known yet
		read := func(all bool) {
			pending := len(at) > 0
			for pending {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				c, err := w.Next(ctx)
				if err != nil {
					return
				}
				n := at[c.ID] + c.Missed
				if at[c.ID] < 0 {
					n = -1
				}
				for _, m := range c.Messages {
					var got int
					if _, err := fmt.Sscanf(string(m), "%d", &got); err != nil {
						t.Fatal(err)
					}
					if n >= 0 && got != n {
						t.Fatalf("message %d of %s in the place of %d", got, c.ID, n)
					}
					n = got + 1
				}
				if n < 0 {
					n = published[c.ID] // nothing was kept
				}
				at[c.ID] = n
				pending = all
			}
		}
		w = b.Watch()
		defer func() { _ = w.Close() }()
		ids := rapid.SampledFrom([]string{"a", "b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				b.Publish(id, fmt.Appendf(nil, "%d %s", published[id], strings.Repeat("x", rapid.IntRange(0, 500).Draw(t, "size"))))
				published[id]++
			},
			"watch": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if _, known := at[id]; !known {
					at[id] = -1
				}
				if err := w.Add(id); err != nil {
					t.Fatal(err)
				}
			},
			"read one": func(*rapid.T) { read(false) },
			"read all": func(*rapid.T) {
				read(true)
				for id, n := range at {
					if n != published[id] {
						t.Fatalf("%s: at %d of %d", id, n, published[id])
					}
				}
			},
			"close": func(*rapid.T) {
				_ = w.Close()
				w, at = b.Watch(), map[string]int{}
			},
		})
	})
}

// TestMany publishes beside a hundred watches that come and go.
func TestMany(t *testing.T) {
	b := live.NewBus(live.Options{Topic: 4 << 10})
	var readers sync.WaitGroup
	for range 100 {
		readers.Go(func() {
			w := b.Watch()
			defer w.Close()
			if err := w.Add("a"); err != nil {
				t.Error(err)
			}
			for {
				c, err := w.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range c.Messages {
					if string(m) == "end" {
						return
					}
				}
			}
		})
	}
	for i := range 5000 {
		b.Publish("a", fmt.Append(nil, i))
		b.Touch("a")
	}
	b.Publish("a", []byte("end"))
	readers.Wait()
}
