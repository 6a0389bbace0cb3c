package worklist_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/internal/worklist"
)

func everything(limit int) worklist.Takes {
	return worklist.Takes{Limits: [worklist.Kinds]int{limit, limit, limit}}
}

func take(t *testing.T, s *worklist.Sink[string]) string {
	t.Helper()
	item, _, ok := s.Take()
	if !ok {
		return ""
	}
	return item
}

func call(name, instance string, priority int) worklist.About {
	return worklist.About{Kind: worklist.Activity, Name: name, Instance: instance, Priority: priority}
}

// TestFairness has a fan-out of 100,000, beside which come a call of another instance, one of
// another name and one of another kind: each of them is among the next few.
func TestFairness(t *testing.T) {
	l := worklist.New[string]()
	for i := range 100_000 {
		l.Offer(strconv.Itoa(i), call("fan", "big", 0), 0)
	}
	l.Offer("instance", call("fan", "small", 0), 0)
	l.Offer("name", call("other", "small", 0), 0)
	l.Offer("kind", worklist.About{Kind: worklist.Orchestration, Name: "x"}, 0)
	s := l.Join(everything(1 << 20))
	seen := map[string]bool{}
	for range 8 {
		seen[take(t, s)] = true
	}
	for _, want := range []string{"0", "1", "instance", "name", "kind"} {
		if !seen[want] {
			t.Errorf("%s is not among the first 8, which are %v", want, seen)
		}
	}
}

// TestPriorities serves the higher one first, and the lower one too.
func TestPriorities(t *testing.T) {
	l := worklist.New[string]()
	for i := range 100 {
		l.Offer("last "+strconv.Itoa(i), call("a", "i", 5), 0)
		l.Offer("usual "+strconv.Itoa(i), call("a", "i", 0), 0)
		l.Offer("first "+strconv.Itoa(i), call("a", "i", 1), 0)
	}
	s := l.Join(everything(1000))
	counts := map[byte]int{}
	for i := range 90 {
		item := take(t, s)
		if i < 10 && item != "first "+strconv.Itoa(i) {
			t.Fatalf("item %d is %q", i, item)
		}
		counts[item[0]]++
	}
	if counts['u'] < 3 || counts['l'] < 3 || counts['f'] < 60 {
		t.Errorf("of 90 items there are %d of the first priority, %d of the usual and %d of the last", counts['f'], counts['u'], counts['l'])
	}
}

// TestLeastLoaded gives each of three sinks that wait a third, whichever asks first.
func TestLeastLoaded(t *testing.T) {
	l := worklist.New[string]()
	var sinks [3]*worklist.Sink[string]
	for i := range sinks {
		sinks[i] = l.Join(everything(100))
		take(t, sinks[i])
	}
	for i := range 30 {
		l.Offer(strconv.Itoa(i), call("a", "i", 0), 0)
		for _, s := range sinks {
			select {
			case <-s.Ready():
				if take(t, s) == "" || take(t, s) != "" {
					t.Fatal("a sink that was told gets none, or two")
				}
			default:
			}
		}
	}
	for i, s := range sinks {
		if n := s.Load()[worklist.Activity]; n != 10 {
			t.Errorf("sink %d has %d of 30", i, n)
		}
	}
	sinks[1].Done(worklist.Activity)
	l.Offer("next", call("a", "i", 0), 0)
	if got := take(t, sinks[1]); got != "next" {
		t.Errorf("the sink that has the fewest got %q", got)
	}
}

// TestHandedOn has a sink that leaves, or has its item withdrawn, after it was told of the item.
func TestHandedOn(t *testing.T) {
	l := worklist.New[string]()
	a, b := l.Join(everything(1)), l.Join(everything(1))
	take(t, a)
	take(t, b)
	l.Offer("x", call("a", "i", 0), 0)
	a.Leave()
	<-b.Ready()
	if !l.Withdraw("x") {
		t.Fatal("x cannot be withdrawn before it is taken")
	}
	if got := take(t, b); got != "" {
		t.Fatalf("got %q, which was withdrawn", got)
	}
	l.Offer("y", call("a", "i", 0), 0)
	<-b.Ready()
	if got := take(t, b); got != "y" {
		t.Errorf("got %q, want y", got)
	}
	if got := take(t, a); got != "" {
		t.Errorf("a sink that has left got %q", got)
	}
}

// TestDelay gives an item to nobody before its time, and the first one due first.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := worklist.New[string]()
		defer l.Close()
		begin := time.Now()
		s := l.Join(everything(10))
		l.Offer("b", call("a", "i", 0), 2*time.Second)
		l.Offer("gone", call("a", "i", 0), time.Second/2)
		l.Offer("a", call("a", "i", 0), time.Second)
		l.Withdraw("gone")
		if w := l.Waiting(); len(w) != 1 || w[0].Delayed != 2 || w[0].Ready != 0 {
			t.Errorf("Waiting gives %+v", w)
		}
		for i, want := range []string{"a", "b"} {
			if got := take(t, s); got != "" {
				t.Fatalf("got %q at once", got)
			}
			<-s.Ready()
			if got := take(t, s); got != want || time.Since(begin) != time.Duration(i+1)*time.Second {
				t.Errorf("got %q after %v, want %q", got, time.Since(begin), want)
			}
		}
	})
}

// TestClosed takes no more items, and gives none.
func TestClosed(t *testing.T) {
	l := worklist.New[string]()
	s := l.Join(everything(1))
	take(t, s)
	l.Offer("handed", call("a", "i", 0), 0)
	l.Offer("waits", call("a", "i", 0), 0)
	l.Offer("later", call("a", "i", 0), time.Hour)
	l.Close()
	l.Offer("after", call("a", "i", 0), 0)
	if got := take(t, s); got != "" || len(l.Waiting()) != 0 {
		t.Errorf("a closed list gives %q and has %v", got, l.Waiting())
	}
}
