package engine

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// TestLargeTurn has one turn of several megabytes: no commit is much larger than
// maxTurn, and a crash after any of them leaves all of the turn or nothing.
func TestLargeTurn(t *testing.T) {
	const calls = 400
	input := strings.Repeat("x", 12_000)
	fan := func(seen []*history.Event) (all []*history.Event) {
		answers := 0
		for _, ev := range seen {
			switch ev.Kind {
			case history.EventRaised:
				for i := range calls {
					all = append(all, schedule("echo", strconv.Itoa(i)+input))
				}
			case history.TaskCompleted:
				answers++
			}
		}
		if answers == calls {
			all = append(all, complete("done"))
		}
		return all
	}
	defs := Definitions{
		Orchestrations: []Orchestration{orchestration("fan", fan)},
		Activities:     []Activity{activity("echo", AtLeastOnce, func(c *Call) string { return string(c.Input[:3]) })},
	}
	check := func(e *Engine) {
		t.Helper()
		equal(t, "output", finish(t, e, "f"), "done")
		scheduled := 0
		for _, ev := range events(t, e, "f", "") {
			if ev.Kind == history.TaskScheduled {
				equal(t, "id", int(ev.ID), scheduled)
				equal(t, "input", string(ev.Data), strconv.Itoa(scheduled)+input)
				scheduled++
			}
		}
		equal(t, "scheduled", scheduled, calls)
	}

	s := memory.New()
	var mu sync.Mutex
	var images []*memory.Store
	largest := 0
	look := &spy{Store: s, commit: func(b *store.Batch) {
		size := 0
		for _, r := range b.History {
			size += len(r.Data)
		}
		mu.Lock()
		defer mu.Unlock()
		largest = max(largest, size)
		if len(images) < 12 { // what was on disk before this commit
			images = append(images, s.Clone())
		}
	}}
	e := start(t, look, defs, Options{})
	begin(t, e, "f", "fan", "")
	if err := e.Raise(t.Context(), "f", "go", nil); err != nil {
		t.Fatal(err)
	}
	check(e)
	end(t, e)
	if largest > maxAhead+2*maxTurn {
		t.Errorf("a commit has %d bytes of events", largest)
	}

	half := 0
	for i, image := range images {
		e := start(t, image, defs, Options{})
		r, err := image.Recover(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		row, err := image.Instance(t.Context(), "f")
		if err != nil {
			continue // taken before the start was on disk
		}
		if r.LastRow > row.Last {
			half++ // some of the turn is there, and does not count
		}
		if row.Events <= 2 {
			// Nobody was told that the event is on disk, so it is sent again.
			if err := e.Raise(t.Context(), "f", "go", nil); err != nil {
				t.Fatalf("image %d: %v", i, err)
			}
		}
		check(e)
		end(t, e)
	}
	if half < 2 {
		t.Errorf("%d of %d crashes were within the turn", half, len(images))
	}
}

// TestFullMailbox shows that results wait outside of a mailbox that its instance
// does not get round to empty, so that they do not fill the memory: neither with a turn on
// one of the activities' goroutines, nor with one on another.
func TestFullMailbox(t *testing.T) {
	for _, byClient := range []bool{false, true} {
		t.Run("byClient="+strconv.FormatBool(byClient), func(t *testing.T) { fullMailbox(t, byClient) })
	}
}

func fullMailbox(t *testing.T, byClient bool) {
	synctest.Test(t, func(t *testing.T) {
		const calls, atOnce, size = 2_000, 16, 12_000
		gate, ready := make(chan struct{}), make(chan struct{})
		fan := func(seen []*history.Event) (all []*history.Event) {
			for range calls {
				all = append(all, schedule("large", ""))
			}
			if len(seen) > 2 { // an answer came, or the client's event
				<-gate
			}
			if len(seen) > calls { // with OrchestratorStarted in each turn
				answers := 0
				for _, ev := range seen {
					if ev.Kind == history.TaskCompleted {
						answers++
					}
				}
				if answers == calls {
					all = append(all, complete("done"))
				}
			}
			return all
		}
		var ran atomic.Int64
		large := activity("large", AtLeastOnce, func(*Call) string {
			<-ready
			ran.Add(1)
			return strings.Repeat("x", size)
		})
		e := start(t, memory.New(), Definitions{
			Orchestrations: []Orchestration{orchestration("fan", fan), orchestration("single", sequence(schedule("small", "")))},
			Activities:     []Activity{large, activity("small", AtLeastOnce, func(*Call) string { return "small" })},
		}, Options{Activities: atOnce})
		begin(t, e, "f", "fan", "")
		if byClient {
			go func() { _ = e.Raise(t.Context(), "f", "go", nil) }()
			synctest.Wait()
		}
		close(ready)
		synctest.Wait()
		if n := ran.Load(); n < crowdedBox/size || n > crowdedBox/size+3*atOnce {
			t.Errorf("%d results were made for an instance that takes none, want about %d", n, crowdedBox/size)
		}
		// Nor do they keep others waiting.
		begin(t, e, "s", "single", "")
		equal(t, "output of another one", finish(t, e, "s"), "small")
		close(gate)
		equal(t, "output", finish(t, e, "f"), "done")
		end(t, e)
	})
}

// What a turn writes ahead may be in one batch with the turn before it, which
// counts: no commit shows more of a history than whole turns.
func TestLargeTurnBehindSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		input := strings.Repeat("x", 12_000)
		large := orchestration("large", func(seen []*history.Event) (all []*history.Event) {
			for _, ev := range seen {
				if ev.Kind == history.EventRaised && ev.Name == "large" {
					for range 400 {
						all = append(all, schedule("echo", input))
					}
				}
			}
			return all
		})
		s := memory.New()
		g, shut, open := gate(s)
		whole := &spy{Store: g, committed: func() {
			row, err := s.Instance(t.Context(), "l")
			if err != nil {
				return
			}
			n := 0
			for data, err := range s.History(t.Context(), row.Last) {
				if err != nil {
					t.Error(err)
				}
				for _, err := range history.DecodeRows(data) {
					if n++; err != nil {
						t.Error(err)
					}
				}
			}
			equal(t, "events that a commit shows", n, int(row.Events))
		}}
		e := start(t, whole, Definitions{Orchestrations: []Orchestration{large}}, Options{})
		begin(t, e, "l", "large", "")
		shut()
		for _, name := range []string{"first", "small", "large"} {
			go func() { _ = e.Raise(t.Context(), "l", name, nil) }()
			synctest.Wait() // first is being committed, the others wait behind it
		}
		open()
		synctest.Wait()
		end(t, e)
	})
}
