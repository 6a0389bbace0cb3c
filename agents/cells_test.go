package agents_test

import (
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// after is what a cell comes to: what was done in all lives of its process together.
type after struct {
	starts    int  // how often the function ran
	questions int  // how often Reconcile was asked
	request   bool // a person is asked what became of the call
	told      string
}

// effectTable is what becomes of a call whose process is killed, by what its tool
// declares: a call that may be repeated (Pure, Idempotent), one that may not
// (Compensable, Unsafe), and the latter with a Reconcile. Nil: there is no such point.
var effectTable = []struct {
	point                  crashPoint
	repeatable, once, both *after
}{
	{beforeIntent, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}},
	{afterIntent, nil, &after{0, 0, true, "did not take effect"}, &after{1, 1, false, "paid now"}},
	{beforeEffect, &after{2, 0, false, "paid now"}, &after{1, 0, true, "did not take effect"}, &after{2, 1, false, "paid now"}},
	{afterEffect, &after{2, 0, false, "paid now"}, &after{1, 0, true, "confirmed that it took effect"}, &after{1, 1, false, "paid before"}},
	{afterReceipt, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}},
	{whileWaiting, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}},
	{afterDecision, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}},
	{afterApproval, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}, &after{1, 0, false, "paid now"}},
}

// TestEffectCells kills a process with SIGKILL at each point of a call of each class of
// tools, and looks at the world, at the conversation and at the inbox after another
// process has gone on.
func TestEffectCells(t *testing.T) {
	for _, row := range effectTable {
		t.Run(string(row.point), func(t *testing.T) {
			t.Parallel()
			asks := row.point == whileWaiting || row.point == afterDecision || row.point == afterApproval
			want := map[string]*after{}
			p := cellsPlan{Dir: t.TempDir(), Point: row.point}
			add := func(class string, settles bool, a *after) {
				for _, set := range []bool{false, true} {
					if c := (cell{class, settles, set, asks}); a != nil {
						want[c.String()] = a
						p.Cells = append(p.Cells, c)
					}
				}
			}
			add("pure", false, row.repeatable)
			add("idempotent", false, row.repeatable)
			for _, class := range []string{"compensable", "unsafe"} {
				add(class, false, row.once)
				add(class, true, row.both)
			}
			if asks && p.Point != whileWaiting { // people decide in a second life
				before := p
				before.Point = whileWaiting
				before.killed(t)
			}
			p.killed(t)
			for _, c := range p.Cells {
				t.Run(c.String(), func(t *testing.T) {
					checkCell(t, cellLife{cell: c, dir: p.Dir}, row.point, *want[c.String()])
				})
			}
		})
	}
}

// checkCell goes on with the run of a cell whose process was killed.
func checkCell(t *testing.T, l cellLife, point crashPoint, want after) {
	ctx := t.Context()
	rt, err := l.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	c := rt.Client()
	if point == whileWaiting {
		r := requestOrEnd(t, c)
		if r.Kind != agents.KindTool || r.Tool != "pay" || r.Arguments != `{"number":7}` {
			t.Errorf("people are asked %+v", r)
		}
		if _, err := agents.Decide(ctx, c, r.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	if want.request {
		r := requestOrEnd(t, c)
		asked++
		if r.Kind != agents.KindOutcome || r.Run != "run" || r.Tool != "pay" || r.Arguments != `{"number":7}` {
			t.Errorf("people are asked %+v", r)
		}
		happened, err := l.seen("effect")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := agents.Decide(ctx, c, r.ID, agents.Decision{Approve: len(happened) > 0, By: "eva"}); err != nil {
			t.Fatal(err) // also if it was not asked
		}
	}
	if l.Asks {
		asked++
	}
	if r := requestOrEnd(t, c); r.ID != "" {
		t.Fatalf("people are asked %+v", r)
	}
	got, err := l.agent().Wait(ctx, c, "run")
	if err != nil || got.Text != "fine" || got.ToolCalls != 1 {
		t.Errorf("the run ended with %+v, %v", got, err)
	}
	list := messages(t, c, "run")
	valid(t, list)
	if len(list) != 4 || !strings.Contains(list[2].Content, want.told) {
		t.Errorf("the model was told %q, not %q", conversation(t, c, "run"), want.told)
	}
	if all, err := agents.Inbox(ctx, c, "", false); err != nil || len(all) != asked {
		t.Errorf("the inbox has %+v, %v", all, err)
	}
	l.checkWorld(t, point, want)
}

// requestOrEnd waits until the run asks people something, or has ended.
func requestOrEnd(t *testing.T, c *durable.Client) agents.Approval {
	t.Helper()
	for {
		s, err := c.Get(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		list, err := agents.Inbox(t.Context(), c, "run", true)
		switch {
		case err != nil:
			t.Fatal(err)
		case len(list) > 0:
			return list[0]
		case s.Status.Ended():
			return agents.Approval{}
		}
	}
}

// checkWorld looks at what was really done.
func (l cellLife) checkWorld(t *testing.T, point crashPoint, want after) {
	t.Helper()
	seen := map[string][]string{}
	key := ""
	for _, what := range []string{"start", "effect", "question"} {
		keys, err := l.seen(what)
		if err != nil {
			t.Fatal(err)
		}
		seen[what] = keys
		for _, k := range keys {
			if key == "" {
				key = k
			}
			if k != key || len(k) != 32 {
				t.Errorf("the call had key %s, and then %s", key, k)
			}
		}
	}
	starts, effects := len(seen["start"]), len(seen["effect"])
	// What is pure need not wait until its call is on disk.
	scheduled := point == beforeIntent || point == afterDecision || point == afterApproval
	early := l.Class == "pure" && scheduled && starts == want.starts+1
	if starts != want.starts && !early {
		t.Errorf("the function ran %d times, not %d", starts, want.starts)
	}
	if l.Class != "pure" && l.Class != "idempotent" && effects > 1 || effects == 0 && want.told != "did not take effect" {
		t.Errorf("it took effect %d times", effects)
	}
	if n := len(seen["question"]); n != want.questions {
		t.Errorf("Reconcile was asked %d times, not %d", n, want.questions)
	}
}
