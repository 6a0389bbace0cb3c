package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// compacted plans until there is nothing more to summarise. summarise plays the model.
func compacted(s shelf, v memory.View, h memory.Head, l memory.Limits, summarise func(memory.Plan) string) (memory.Plan, error) {
	for {
		p, err := v.Plan(s.load, h, l)
		if err != nil || p.Prompt == nil {
			return p, err
		}
		if p.From != max(v.Before, p.From) || p.To <= p.From || p.To >= h.Length {
			return p, fmt.Errorf("messages %d to %d of %d are to be summarised after %d", p.From, p.To, h.Length, v.Before)
		}
		next := p.With(s.put(p.Summary(summarise(p))))
		if next.Before <= v.Before {
			return p, errors.New("it does not go on")
		}
		if size, err := next.Tokens(s.load, h, nil); err != nil || size > p.Tokens {
			return p, fmt.Errorf("with the summary there are %d tokens, planned at most %d: %v", size, p.Tokens, err)
		}
		v = next
	}
}

// A view always fits, or says that it cannot; what is told is valid; what is pinned is
// there; planning again changes nothing; the conversation stays as it is.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, h, v := shelf{}, memory.Head{}, memory.View{}
		l := memory.Limits{
			Tokens: rapid.IntRange(100, 1500).Draw(t, "limit"), Target: rapid.SampledFrom([]int{0, 90, 1400}).Draw(t, "target"),
			Summary: rapid.SampledFrom([]int{0, 70}).Draw(t, "summary"), Recent: rapid.SampledFrom([]int{0, 1, 20}).Draw(t, "recent"),
		}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			more := conversation(t, rapid.IntRange(1, 30).Draw(t, "n"))
			for part := range slices.Chunk(more, 7) {
				h = s.append(h, "", part...)
			}
			h = pinUnit(t, s, h)
			p, err := compacted(s, v, h, l, func(p memory.Plan) string {
				if size := memory.Tokens(nil, p.Prompt...); l.Tokens >= 600 && size > l.Tokens {
					t.Fatalf("a prompt of %d tokens", size)
				}
				return strings.Repeat("facts of the past. ", rapid.IntRange(0, 200).Draw(t, "summary"))
			})
			if err != nil {
				t.Fatal(err)
			}
			checkPlan(t, s, h, p, l)
			if v = p.View; !p.Fits {
				return
			}
		}
	})
}

// pinUnit pins some message with what belongs to it.
func pinUnit(t *rapid.T, s shelf, h memory.Head) memory.Head {
	if !rapid.Bool().Draw(t, "pin") {
		return h
	}
	list := all(t, s, h)
	from := rapid.IntRange(0, h.Length-1).Draw(t, "pinned")
	for from > 0 && list[from].Role == models.RoleTool {
		from--
	}
	at := []int{from}
	for to := from + 1; to < len(list) && list[to].Role == models.RoleTool; to++ {
		at = append(at, to)
	}
	return s.pin(h, at...)
}

func all(t *rapid.T, s shelf, h memory.Head) (out []models.Message) {
	for m, err := range memory.Read(s.load, h, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func checkPlan(t *rapid.T, s shelf, h memory.Head, p memory.Plan, l memory.Limits) {
	list, err := p.View.Read(s.load, h)
	if err != nil {
		t.Fatal(err)
	}
	size := memory.Tokens(nil, list...)
	if size != p.Tokens || p.Fits != (size <= l.Tokens) {
		t.Fatalf("%d tokens, planned %d of %d, fits: %v", size, p.Tokens, l.Tokens, p.Fits)
	}
	if bad := valid(list); bad != "" {
		t.Fatalf("%s: %s", bad, contents(list))
	}
	again, err := p.View.Plan(s.load, h, l)
	if err != nil || again.Prompt != nil || !cmp.Equal(again.View, p.View) || again.Tokens != p.Tokens {
		t.Fatalf("planned again: %+v, %v", again, err)
	}
	whole := all(t, s, h)
	least := memory.Tokens(nil, whole[0]) // what no plan can do without
	told := func(m models.Message) bool {
		return slices.ContainsFunc(list, func(x models.Message) bool { return cmp.Equal(x, m) })
	}
	for it, err := range memory.Items(s.load, h, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if (it.At == 0 || it.Pinned) && !told(it.Message) {
			t.Fatalf("message %d, pinned, is not told: %s", it.At, contents(list))
		}
		if it.Pinned && it.At > 0 {
			least += memory.Tokens(nil, it.Message)
		}
	}
	last := len(whole) - 1
	for last > 0 && whole[last].Role == models.RoleTool {
		last--
	}
	if !told(whole[last]) {
		t.Fatalf("the last message is not told: %s", contents(list))
	}
	if !p.Fits && last > 0 && len(whole[last].ToolCalls) == 0 {
		if least += memory.Tokens(nil, whole[last]); least+max(l.Tokens/8, l.Summary, 64) <= l.Tokens {
			t.Fatalf("what must be told has %d tokens of %d, and yet it does not fit", least, l.Tokens)
		}
	}
}

// Clearing comes before a summary, a summary takes no more than it must, and a redaction
// makes the summary void.
func TestPlanSteps(t *testing.T) {
	s, h := shelf{}, memory.Head{}
	say := func(n int) {
		for i := range n {
			c := models.ToolCall{ID: "c", Name: "look", Arguments: fmt.Sprint(`{"n":`, i, `}`)}
			h = s.append(h, "", models.UserMessage("question"), models.AssistantMessage("", c), models.ToolMessage(c, strings.Repeat("a long result ", 40)), models.AssistantMessage("answer"))
		}
	}
	say(10)
	size, err := memory.View{}.Tokens(s.load, h, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(v memory.View, tokens int) memory.Plan {
		t.Helper()
		p, err := v.Plan(s.load, h, memory.Limits{Tokens: tokens})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan(memory.View{}, size); p.View.Cleared != 0 || p.Prompt != nil || !p.Fits || p.Tokens != size {
		t.Errorf("a conversation that fits: %+v", p)
	}
	p := plan(memory.View{}, size-1)
	if p.View.Cleared == 0 || p.View.Cleared >= h.Length-6 || p.Prompt != nil || !p.Fits || p.Tokens > size*3/4 {
		t.Errorf("a little too long: cleared %d of %d, %d tokens of %d, prompt %v", p.View.Cleared, h.Length, p.Tokens, size, p.Prompt != nil)
	}
	v := p.View
	p = plan(v, size/3)
	if p.Prompt == nil || p.From != 0 || p.View.Cleared < v.Cleared || !strings.Contains(p.Prompt[1].Content, `(calls look {"n":0})`) {
		t.Errorf("much too long: %+v", p)
	}
	p, err = compacted(s, v, h, memory.Limits{Tokens: size / 3}, func(memory.Plan) string { return "they asked ten questions" })
	if err != nil || !p.Fits || p.View.Before > h.Length-6 || p.Tokens < size/12 {
		t.Errorf("with the summary: %+v, %v", p, err)
	}
	v = p.View
	// The next summary is of the earlier one and what came since.
	say(10)
	next := plan(v, size/3)
	if next.From != v.Before || !strings.Contains(next.Prompt[1].Content, "[earlier]") || !strings.Contains(next.Prompt[1].Content, "they asked ten questions") {
		t.Errorf("the second summary is from %d, not %d: %s", next.From, v.Before, next.Prompt)
	}
	h = s.mark(h, memory.Mark{At: 1, Kind: memory.Redacted, Message: s.put(models.AssistantMessage("[redacted]", models.ToolCall{ID: "c", Name: "look", Arguments: "{}"}))})
	if p := plan(v, size/3); p.From != 0 || strings.Contains(p.Prompt[1].Content, "they asked") || !strings.Contains(p.Prompt[1].Content, "[redacted]") {
		t.Errorf("after a redaction: from %d: %s", p.From, p.Prompt)
	}
	if _, err := (memory.View{}).Plan(s.load, h, memory.Limits{}); err == nil {
		t.Error("a plan without a limit")
	}
}

// An agent compacts in an activity of its own. With a crash at each point it comes to the
// same view, and asks for no summary that it has.
func TestCompactionSurvives(t *testing.T) {
	var asked atomic.Int32 // also by a life that was killed, which may still run
	l := memory.Limits{Tokens: 400}
	type in struct {
		View memory.View
		Head memory.Head
	}
	compact := durable.NewActivity("compact", func(ctx context.Context, in in) (memory.View, error) {
		load := func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }
		p, err := in.View.Plan(load, in.Head, l)
		if err != nil || p.Prompt == nil {
			return p.View, err
		}
		asked.Add(1)
		b, err := memory.Encode(p.Summary("what was said"))
		if err != nil {
			return p.View, err
		}
		ref, err := durable.Store(ctx, b)
		return p.With(ref), err
	}, durable.Costly())
	talk := durable.NewOrchestration("talk", func(ctx *durable.Context, key string) (string, error) {
		h, err := memory.Append.Call(ctx, key, memory.Entry{})
		if err != nil {
			return "", err
		}
		var v memory.View
		for {
			next, err := compact.Call(ctx, in{v, h})
			if err != nil {
				return "", err
			}
			if next.Before == v.Before {
				break
			}
			v = next
		}
		list, err := v.Read(ctx.Load, h)
		return contents(list), err
	})
	var messages []models.Message
	for i := range 30 {
		messages = append(messages, models.UserMessage(fmt.Sprint(strings.Repeat("words ", 20), i)))
	}
	durabletest.CrashEverywhere(t, []durable.Definition{memory.Conversation, compact, talk}, func(ctx context.Context, env *durabletest.Env) (string, error) {
		if err := memory.Import.Send(ctx, env.Client(), "a", messages); err != nil {
			return "", err
		}
		return talk.Run(ctx, env.Client(), "a")
	})
	if asked.Load() == 0 {
		t.Error("nothing was summarised")
	}
}
