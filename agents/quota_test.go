package agents

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/models"
)

// begun is a call that began, and what it took.
type begun struct {
	at     time.Time
	tokens int64
	name   string
}

// fits reports the first stretch of q.Per, from one call on, in which there was more
// than the quota allows.
func fits(q Quota, calls []begun) error {
	calls = slices.SortedStableFunc(slices.Values(calls), func(a, b begun) int { return a.at.Compare(b.at) })
	first, tokens := 0, int64(0)
	for i, c := range calls {
		tokens += c.tokens
		for c.at.Sub(calls[first].at) >= q.Per {
			tokens -= calls[first].tokens
			first++
		}
		if n := i - first + 1; q.Requests > 0 && n > q.Requests || q.Tokens > 0 && tokens > int64(q.Tokens) {
			return fmt.Errorf("%d calls of %d tokens from %s to %s, more than %+v", n, tokens, calls[first].at, c.at, q)
		}
	}
	return nil
}

// waiting is a call that has been promised a time, in the test below.
type waiting struct {
	grant    quotaGrant
	estimate int64
	order    int
	late     bool
}

// TestQuotaKeepsLimits drives a quota by a clock that is set back now and then, with
// calls that begin late, or too late, answers that correct estimates and providers
// that want to be left alone, and looks at when calls really began.
func TestQuotaKeepsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Quota{
			Requests: rapid.IntRange(0, 8).Draw(t, "requests"), Tokens: rapid.IntRange(0, 500).Draw(t, "tokens"),
			Per: time.Duration(rapid.Int64Range(1, int64(5*time.Minute)).Draw(t, "per")),
		}
		if q.Requests == 0 && q.Tokens == 0 {
			q.Requests = 1
		}
		var s quotaState
		var queue []waiting
		var calls []begun
		var holds []quotaHold
		real := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		quiet, skew := real, time.Duration(0)
		clock := func() time.Time { return real.Add(skew) }
		ordered := 0 // of the last call that began in time
		reserve := func(ask quotaAsk) quotaGrant {
			b, err := json.Marshal(s) // as an entity keeps it
			s = quotaState{}
			if err != nil || json.Unmarshal(b, &s) != nil || len(s.Slots) > quotaSlots+3 {
				t.Fatalf("state %s, %v", b, err)
			}
			return s.reserve(clock(), q, ask)
		}
		// try lets a call begin if it may; one that may not stays in the queue.
		try := func(w waiting) {
			for ; ; w.late = true {
				switch now := clock(); {
				case w.grant.At.After(now):
					queue = append(queue, w)
					return
				case !now.Before(w.grant.Until):
					w.grant = reserve(quotaAsk{w.estimate, &w.grant.quotaHold})
					continue
				}
				break
			}
			if real.Before(quiet) {
				t.Fatalf("a call began at %s though the provider wanted quiet until %s", real, quiet)
			}
			if !w.late {
				if w.order < ordered {
					t.Fatalf("call %d began after call %d", w.order, ordered)
				}
				ordered = w.order
			}
			calls = append(calls, begun{at: real, tokens: w.grant.Tokens})
			holds = append(holds, w.grant.quotaHold)
		}
		// wake does what timers do: who has waited asks again.
		wake := func() {
			due := queue
			queue = nil
			slices.SortStableFunc(due, func(a, b waiting) int {
				return cmp.Or(a.grant.At.Compare(b.grant.At), cmp.Compare(a.order, b.order))
			})
			for _, w := range due {
				if !w.grant.At.After(clock()) {
					w.late = w.late || !clock().Before(w.grant.Until)
					w.grant = reserve(quotaAsk{w.estimate, &w.grant.quotaHold})
				}
				try(w)
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"ask", "ask", "ask", "pass", "next", "away", "back", "settle", "push", "edge"}).Draw(t, "step") {
			case "ask":
				w := waiting{estimate: rapid.Int64Range(0, 600).Draw(t, "estimate"), order: i}
				w.grant = reserve(quotaAsk{Tokens: w.estimate})
				if rapid.Bool().Draw(t, "slowly") { // it begins a moment later
					real = real.Add(time.Duration(rapid.Int64Range(0, int64(q.Per/8+time.Second)).Draw(t, "moment")))
					wake()
					w.late = true // others may have come before it
				}
				try(w)
			case "pass":
				real = real.Add(time.Duration(rapid.Int64Range(0, int64(q.Per/10)+1).Draw(t, "time")))
				wake()
			case "edge": // just before what some call took is free again
				if len(calls) > 0 {
					at := calls[rapid.IntRange(0, len(calls)-1).Draw(t, "call")].at.Add(q.Per - 1)
					real = real.Add(max(at.Sub(real), 0))
				}
				wake()
			case "next": // to when the next one may go
				if len(queue) > 0 {
					next := slices.MinFunc(queue, func(a, b waiting) int { return a.grant.At.Compare(b.grant.At) })
					real = real.Add(max(next.grant.At.Sub(clock()), 0))
				}
				wake()
			case "away": // the process is gone for a while
				real = real.Add(time.Duration(rapid.Int64Range(0, int64(10*q.Per)).Draw(t, "away")))
				for i := range queue {
					queue[i].late = true
				}
				wake()
			case "back":
				skew -= time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "back"))
				s.virtual(clock())
				for i := range queue { // their timers move with the clock
					queue[i].grant = reserve(quotaAsk{queue[i].estimate, &queue[i].grant.quotaHold})
				}
			case "settle": // it took less: the rest is for others
				if len(holds) > 0 {
					k := rapid.IntRange(0, len(holds)-1).Draw(t, "which")
					used := rapid.Int64Range(0, holds[k].Tokens).Draw(t, "used")
					s.settle(clock(), quotaSettle{holds[k], used})
					calls[k].tokens, holds[k].Tokens = used, used
				}
			case "push":
				d := time.Duration(rapid.Int64Range(1, int64(2*time.Minute)).Draw(t, "quiet"))
				s.pushBack(clock(), d)
				if real.Add(d).After(quiet) {
					quiet = real.Add(d)
				}
				for i := range queue { // whoever is due meanwhile is told so when it asks
					queue[i].grant = reserve(quotaAsk{queue[i].estimate, &queue[i].grant.quotaHold})
				}
			}
		}
		if err := fits(q, calls); err != nil {
			t.Fatal(err)
		}
	})
}

// TestQuotaUsesLimits shows that nobody waits for longer than it must.
func TestQuotaUsesLimits(t *testing.T) {
	q := Quota{Requests: 60, Per: time.Minute}
	var s quotaState
	now := time.Date(2030, 1, 1, 0, 0, 1, 7, time.UTC)
	for i := range 600 {
		g := s.reserve(now, q, quotaAsk{})
		if most := time.Duration(i/60) * 64 * time.Second; g.At.Sub(now) > most {
			t.Fatalf("call %d waits for %s, more than %s", i, g.At.Sub(now), most)
		}
	}
	tokens := Quota{Tokens: 100, Per: time.Minute}
	s = quotaState{}
	all := s.reserve(now, tokens, quotaAsk{Tokens: 1e15}) // more than there ever are
	if all.At != now || all.Tokens != 100 {
		t.Errorf("the first call: %+v", all)
	}
	next := s.reserve(now, tokens, quotaAsk{Tokens: 60})
	if d := next.At.Sub(now); d < time.Minute || d > 64*time.Second {
		t.Errorf("the second call waits for %s", d)
	}
	s.settle(now, quotaSettle{next.quotaHold, 500}) // it took far more
	third := s.reserve(now, tokens, quotaAsk{Tokens: 1})
	if d := third.At.Sub(next.At); d < time.Minute {
		t.Errorf("after a call that took too much the next one comes %s later", d)
	}
	s = quotaState{}
	first := s.reserve(now, tokens, quotaAsk{Tokens: 90})
	s.settle(now, quotaSettle{first.quotaHold, 10})
	if g := s.reserve(now, tokens, quotaAsk{Tokens: 90}); g.At != now {
		t.Errorf("what was given back is not used: %s", g.At.Sub(now))
	}
}

// at is a time of a test.
func at(d time.Duration) time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(d) }

// TestQuotaPromises shows what becomes of promises that are not kept to, on either side.
func TestQuotaPromises(t *testing.T) {
	one := Quota{Requests: 1, Per: time.Minute}
	t.Run("held up", func(t *testing.T) {
		var s quotaState
		var all []quotaGrant
		for range 5 {
			all = append(all, s.reserve(at(0), one, quotaAsk{}))
		}
		s.pushBack(at(time.Second), 24*time.Hour) // but for an hour only
		s.pushBack(at(2*time.Second), time.Second)
		for i, g := range all[1:] {
			if got := s.reserve(at(time.Minute), one, quotaAsk{Held: &g.quotaHold}); !got.At.Equal(g.At.Add(time.Hour)) {
				t.Errorf("call %d, promised %s, is held up until %s", i+1, g.At, got.At)
			}
		}
	})
	t.Run("the clock is set back", func(t *testing.T) {
		var s quotaState
		s.reserve(at(0), one, quotaAsk{})
		second := s.reserve(at(30*time.Second), one, quotaAsk{})
		back := s.reserve(at(30*time.Second-48*time.Hour), one, quotaAsk{Held: &second.quotaHold})
		if !back.At.Equal(second.At.Add(-48 * time.Hour)) {
			t.Errorf("promised %s, then %s", second.At, back.At)
		}
		s.pushBack(at(-48*time.Hour), time.Minute)
		held := s.reserve(at(-96*time.Hour), one, quotaAsk{Held: &second.quotaHold})
		if want := second.At.Add(time.Minute - 30*time.Second - 96*time.Hour); !held.At.Equal(want) {
			t.Errorf("promised %s, then %s; want %s", second.At, held.At, want)
		}
	})
	t.Run("late", func(t *testing.T) {
		var s quotaState
		first := s.reserve(at(0), one, quotaAsk{})
		in := s.reserve(at(3*time.Second), one, quotaAsk{Held: &first.quotaHold})
		if in.quotaHold != first.quotaHold || in.At != at(3*time.Second) || in.Until != at(4*time.Second) {
			t.Errorf("in time: %+v", in)
		}
		again := s.reserve(at(30*time.Second), one, quotaAsk{Held: &first.quotaHold})
		if again.At != at(30*time.Second) || again.quotaHold == first.quotaHold {
			t.Errorf("late, and nobody else is there: %+v", again)
		}
	})
	t.Run("a minute from where it began, not from its leave", func(t *testing.T) {
		var s quotaState
		first := s.reserve(at(time.Second), one, quotaAsk{})
		latest := first.Until.Add(-1)
		if g := s.reserve(latest.Add(time.Minute-time.Second), one, quotaAsk{}); g.At.Sub(latest) < time.Minute {
			t.Errorf("a call that began at %s, and one %s later", latest, g.At.Sub(latest))
		}
	})
	t.Run("took more, long ago", func(t *testing.T) {
		q := Quota{Tokens: 100, Per: time.Minute}
		var s quotaState
		first := s.reserve(at(0), q, quotaAsk{})
		if first.Tokens != 1 {
			t.Errorf("a call counts for %d tokens", first.Tokens)
		}
		s.reserve(at(time.Hour), q, quotaAsk{})
		s.settle(at(time.Hour), quotaSettle{first.quotaHold, 1e18})
		if g := s.reserve(at(time.Hour), q, quotaAsk{}); g.At.Before(at(61*time.Minute)) || g.At.After(at(62*time.Minute)) {
			t.Errorf("the next call waits until %s", g.At)
		}
	})
}

func TestQuotaReset(t *testing.T) {
	q := Quota{Requests: 1, Per: time.Minute}
	var s quotaState
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var last quotaGrant
	for range 100 {
		last = s.reserve(now, q, quotaAsk{})
	}
	s.pushBack(now, time.Hour)
	s.reset(now)
	if g := s.reserve(now, q, quotaAsk{}); g.At.Sub(now) < time.Minute || g.At.Sub(now) > 64*time.Second {
		t.Errorf("after a reset a call waits for %s", g.At.Sub(now))
	}
	if g := s.reserve(now, q, quotaAsk{Held: &last.quotaHold}); g.At.Sub(now) > 3*time.Minute || g.Era != 1 {
		t.Errorf("an old promise still stands: %s", g.At.Sub(now))
	}
}

// TestQuotaChanges lets the limits change while calls wait.
func TestQuotaChanges(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var s quotaState
	for range 10 {
		s.reserve(now, Quota{Requests: 10, Per: time.Minute}, quotaAsk{})
	}
	var s2 quotaState // from long slots to short ones
	for range 10 {
		s2.reserve(now.Add(119*time.Second), Quota{Requests: 10, Per: time.Hour}, quotaAsk{})
	}
	if g := s2.reserve(now.Add(119*time.Second), Quota{Requests: 10, Per: time.Minute}, quotaAsk{}); g.At.Before(now.Add(300 * time.Second)) {
		t.Errorf("a call may begin at %s, and those before at %s", g.At, now.Add(240*time.Second))
	}
	hour := Quota{Requests: 10, Per: time.Hour}
	if d := s.reserve(now, hour, quotaAsk{}).At.Sub(now); d < time.Hour || d > time.Hour+6*time.Minute {
		t.Errorf("a call waits for %s after what was let through before", d)
	}
	if d := s.reserve(now, Quota{Requests: 100, Per: time.Hour}, quotaAsk{}).At.Sub(now); d > time.Hour+6*time.Minute {
		t.Errorf("a call waits for %s", d)
	}
}

func TestEstimateTurn(t *testing.T) {
	for _, tt := range []struct {
		last models.Usage
		most int
		want int64
	}{
		{models.Usage{}, 0, 1000},
		{models.Usage{}, 100, 600},
		{models.Usage{InputTokens: 8000, OutputTokens: 1000}, 0, 10000},
		{models.Usage{InputTokens: 8000, OutputTokens: 1000}, 2000, 10000},
	} {
		if got := estimateTurn(tt.last, models.Params{MaxTokens: tt.most}); got != tt.want {
			t.Errorf("after %+v, with at most %d: %d, not %d", tt.last, tt.most, got, tt.want)
		}
	}
}

func TestQuotaKey(t *testing.T) {
	long := strings.Repeat("x", 64)
	if quotaKey("openai:m") != "openai:m" || quotaKey(long) != long || quotaKey(long+"a") == quotaKey(long+"b") || len(quotaID(long+"a")) > 100 {
		t.Errorf("keys %q, %q, %q", quotaKey("openai:m"), quotaKey(long+"a"), quotaKey(long+"b"))
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), `"m" is negative`) {
			t.Errorf("a negative quota: %v", r)
		}
	}()
	quotaDefinition(map[string]Quota{"m": {Requests: -1}})
}
