package memory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// step is a call of an operation, as an orchestration's input has it.
type step struct {
	Key string
	Op  string
	In  any
}

type outcome struct {
	Head memory.Head
	Also []int
	Err  string
}

// steps makes calls one after the other.
var steps = durable.NewOrchestration("steps", func(ctx *durable.Context, list []step) ([]outcome, error) {
	var out []outcome
	for _, s := range list {
		raw, err := durable.CallEntity[json.RawMessage](ctx, memory.Conversation.ID(s.Key), s.Op, s.In)
		var o outcome
		if err != nil {
			o.Err = err.Error()
		} else if s.Op == "redact" {
			var r memory.RedactionResult
			err = json.Unmarshal(raw, &r)
			o.Head, o.Also = r.Head, r.Also
		} else {
			err = json.Unmarshal(raw, &o.Head)
		}
		if err != nil && o.Err == "" {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
})

func do(t *testing.T, c *durable.Client, list ...step) []outcome {
	t.Helper()
	out, err := steps.Run(t.Context(), c, list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// must is do for calls that succeed; it gives the last head.
func must(t *testing.T, c *durable.Client, list ...step) memory.Head {
	t.Helper()
	var h memory.Head
	for i, o := range do(t, c, list...) {
		if o.Err != "" {
			t.Fatalf("%s: %s", list[i].Op, o.Err)
		}
		h = o.Head
	}
	return h
}

var lookup = models.ToolCall{ID: "c1", Name: "lookup", Arguments: `{"iban":"DE02 1203"}`}

// bank is a conversation with everything that a redaction has to leave in shape.
var bank = []models.Message{
	models.UserMessage("my IBAN is DE02 1203"), // 0
	models.AssistantMessage("", lookup),        // 1
	models.ToolMessage(lookup, "account of A"), // 2
	models.AssistantMessage("You are A."),      // 3
	models.UserMessage("yes"),                  // 4
	models.AssistantMessage("Good."),           // 5
	models.UserMessage("yes"),                  // 6
}

func open(t *testing.T, url string) (*durable.Runtime, memory.Loader) {
	t.Helper()
	rt, err := durable.Open(t.Context(), url, steps, write, fork, memory.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	return rt, func(r durable.Ref) ([]byte, error) { return rt.Client().Load(t.Context(), r) }
}

func urls(t *testing.T) []string {
	return []string{"memory:", "sqlite:" + filepath.Join(t.TempDir(), "m.db")}
}

// imported makes a conversation from a client, so that no run keeps its messages.
func imported(t *testing.T, c *durable.Client, key string, messages []models.Message) memory.Head {
	t.Helper()
	if err := memory.Import.Send(t.Context(), c, key, messages); err != nil {
		t.Fatal(err)
	}
	return head(t, c, key)
}

// head is the conversation's once all that was sent before has taken effect.
func head(t *testing.T, c *durable.Client, key string) memory.Head {
	t.Helper()
	return must(t, c, step{key, "append", memory.Entry{}})
}

func items(t *testing.T, load memory.Loader, h memory.Head) []memory.Item {
	t.Helper()
	var out []memory.Item
	for it, err := range memory.Items(load, h, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, it)
	}
	return out
}

func TestRedact(t *testing.T) {
	for _, url := range urls(t) {
		rt, load := open(t, url)
		defer rt.Close()
		c := rt.Client()
		before := imported(t, c, "a", bank)
		forked := must(t, c, step{"b", "fork", before})
		out := do(t, c,
			step{"a", "edit", memory.Edit{At: 0, Message: models.UserMessage("my IBAN is DE02 1204")}},
			step{"a", "redact", memory.Redaction{At: []int{0, 1, 2, 0}, By: "ann", Reason: "asked to"}},
			step{"a", "redact", memory.Redaction{At: []int{4, 1}}},
			step{"a", "edit", memory.Edit{At: 0, Message: models.UserMessage("again")}},
			step{"a", "redact", memory.Redaction{At: []int{7}}},
		)
		if out[3].Err == "" || out[4].Err == "" {
			t.Errorf("%s: an edit of what was redacted, and a redaction of what is not there: %q, %q", url, out[3].Err, out[4].Err)
		}
		if h := out[2]; h.Err != "" || !slices.Equal(h.Also, []int{6}) {
			t.Errorf("%s: redacting one of two equal messages: %+v", url, h)
		}
		h := out[2].Head
		if h.Chunk != before.Chunk || h.Length != before.Length {
			t.Errorf("%s: the list has changed", url)
		}
		list := items(t, load, h)
		for i, it := range list {
			gone := slices.Contains([]int{0, 1, 2, 4}, i)
			if it.Redacted != gone || gone != strings.Contains(it.Message.Content, "[redacted]") || it.Message.Role != bank[i].Role {
				t.Errorf("%s: message %d is %+v", url, i, it)
			}
		}
		if call := list[1].Message.ToolCalls; len(call) != 1 || call[0].ID != "c1" || call[0].Arguments != "{}" || list[2].Message.ToolCallID != "c1" {
			t.Errorf("%s: the redacted call is %+v, its result %+v", url, call, list[2].Message)
		}
		// The fork keeps what it forked; nothing else does.
		if got := items(t, load, forked); got[0].Message.Content != bank[0].Content {
			t.Errorf("%s: the fork has %q", url, got[0].Message.Content)
		}
		if v, err := memory.Verify(load, h); err != nil || len(v.Redacted) != 4 || len(v.Gone) != 0 {
			t.Errorf("%s: with a fork: %+v, %v", url, v, err)
		}
		must(t, c, step{"b", "redact", memory.Redaction{At: []int{0, 1, 2, 4, 6}}})
		v, err := memory.Verify(load, h)
		if err != nil || v.Messages != 7 || !slices.Equal(v.Redacted, []int{0, 1, 2, 4}) || !slices.Equal(v.Gone, []int{0, 1, 2}) {
			t.Errorf("%s: %+v, %v", url, v, err) // 4 is there as 6
		}
		// An edit that was redacted is gone too, though the list never had it.
		b, err := memory.Encode(models.UserMessage("my IBAN is DE02 1204"))
		if err != nil {
			t.Fatal(err)
		}
		marks, err := memory.Marks(load, h)
		if err != nil || len(marks) != 5 || marks[0].Kind != memory.Edited || marks[0].Message.Size != len(b) || marks[1].By != "ann" {
			t.Fatalf("%s: marks %+v, %v", url, marks, err)
		}
		if _, err := load(marks[0].Message); !durable.IsNotFound(err) {
			t.Errorf("%s: the edit: %v", url, err)
		}
		// What was redacted may be said again.
		if o := do(t, c, step{"a", "import", bank}); o[0].Err == "" {
			t.Errorf("%s: an import into a conversation with messages passed", url)
		}
		if got := items(t, load, imported(t, c, "c", bank)); len(got) != 7 || got[0].Message.Content != bank[0].Content {
			t.Errorf("%s: a new conversation: %+v", url, got)
		}
	}
}

// Verify finds what was changed, and what is missing without a redaction.
func TestVerifyFindsDamage(t *testing.T) {
	rt, load := open(t, "memory:")
	defer rt.Close()
	h := imported(t, rt.Client(), "a", bank)
	if v, err := memory.Verify(load, h); err != nil || v.Messages != len(bank) || v.Redacted != nil {
		t.Errorf("%+v, %v", v, err)
	}
	for i, it := range items(t, load, h) {
		for what, bad := range map[string]func(b []byte) ([]byte, error){
			"changed": func(b []byte) ([]byte, error) { return append(slices.Clone(b), ' '), nil },
			"missing": func([]byte) ([]byte, error) { return nil, durable.ErrNotFound },
		} {
			_, err := memory.Verify(func(r durable.Ref) ([]byte, error) {
				b, err := load(r)
				if err == nil && r == it.Ref {
					return bad(b)
				}
				return b, err
			}, h)
			if err == nil {
				t.Errorf("message %d %s: nothing was found", i, what)
			}
		}
	}
}

func TestEditAndPin(t *testing.T) {
	rt, load := open(t, "memory:")
	defer rt.Close()
	c := rt.Client()
	old := imported(t, c, "a", bank)
	version := func() int64 {
		s, _, err := memory.Conversation.Get(t.Context(), c, "a")
		if err != nil {
			t.Fatal(err)
		}
		return s.Version
	}
	at := version()
	changed := lookup
	changed.Arguments = `{"iban":"?"}`
	h := must(t, c,
		step{"a", "edit", memory.Edit{At: 3, Message: models.AssistantMessage("You are B."), By: "ann", Version: at}},
		step{"a", "edit", memory.Edit{At: 1, Message: models.AssistantMessage("", changed)}},
		step{"a", "pin", memory.Pin{At: []int{2, 4}}})
	for i, in := range []memory.Edit{
		{At: 4, Message: models.UserMessage("no"), Version: at},
		{At: 4, Message: models.AssistantMessage("no")},
		{At: 1, Message: models.AssistantMessage("no call")},
		{At: 2, Message: models.ToolMessage(models.ToolCall{ID: "c2", Name: "lookup"}, "x")},
		{At: -1, Message: models.UserMessage("no")},
		{At: 4, Message: models.UserMessage("no"), Reason: strings.Repeat("x", 2000)},
	} {
		if o := do(t, c, step{"a", "edit", in}); o[0].Err == "" {
			t.Errorf("edit %d passed", i)
		}
	}
	got := items(t, load, h)
	if got[3].Message.Content != "You are B." || got[1].Message.ToolCalls[0].Arguments != changed.Arguments {
		t.Errorf("after the edits: %+v", got)
	}
	if m, err := memory.Message(load, got[3].Listed); err != nil || m.Content != "You are A." {
		t.Errorf("what was there: %+v, %v", m, err)
	}
	var pinned []int
	for _, it := range got {
		if it.Pinned {
			pinned = append(pinned, it.At)
		}
	}
	if !slices.Equal(pinned, []int{1, 2, 4}) {
		t.Errorf("pinned are %v: a result without its call", pinned)
	}
	if got := items(t, load, old); got[3].Message.Content != "You are A." || got[2].Pinned {
		t.Error("an old head names what was")
	}
	h = must(t, c, step{"a", "pin", memory.Pin{At: []int{1}, Off: true}}, step{"a", "append", memory.Entry{}})
	if got := items(t, load, h); got[1].Pinned || got[2].Pinned || !got[4].Pinned || got[3].Message.Content != "You are B." {
		t.Errorf("after one was unpinned: %+v", got)
	}
	// More marks than one node holds, and a fork that has them.
	var many []step
	for i := range 150 {
		many = append(many, step{"a", "edit", memory.Edit{At: 4, Message: models.UserMessage(fmt.Sprint("edit ", i))}})
	}
	h = must(t, c, append(many, step{"b", "fork", must(t, c, many...)})...)
	if err := memory.Delete.Send(t.Context(), c, "a", memory.Deletion{}); err != nil {
		t.Fatal(err)
	}
	if got := items(t, load, head(t, c, "b")); got[4].Message.Content != "edit 149" || got[3].Message.Content != "You are B." || h.Length != 7 {
		t.Errorf("the fork after its origin is gone: %+v", got)
	}
}

// Edits and redactions under a crash at each point come to the same conversation.
func TestMarksSurvive(t *testing.T) {
	defs := []durable.Definition{memory.Conversation, steps}
	durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) ([]string, error) {
		c := env.Client()
		if err := memory.Import.Send(ctx, c, "a", bank); err != nil {
			return nil, err
		}
		if _, err := steps.Run(ctx, c, []step{
			{"a", "edit", memory.Edit{At: 3, Message: models.AssistantMessage("You are B.")}},
			{"a", "redact", memory.Redaction{At: []int{0}}},
			{"b", "fork", memory.Head{}},
		}); err != nil {
			return nil, err
		}
		s, _, err := memory.Conversation.Get(ctx, c, "a")
		if err != nil {
			return nil, err
		}
		load := func(r durable.Ref) ([]byte, error) { return c.Load(ctx, r) }
		out := []string{fmt.Sprint(s.Version)}
		for m, err := range memory.Read(load, s.Head, 0) {
			if err != nil {
				return nil, err
			}
			out = append(out, m.Content)
		}
		v, err := memory.Verify(load, s.Head)
		return append(out, fmt.Sprint(v)), err
	})
}

// A conversation with a time to live goes when nobody has changed it for so long, with
// its payloads, and one of the same id that came later does not go with it.
func TestTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, load := open(t, "memory:")
		defer rt.Close()
		c := rt.Client()
		there := func(key string) bool {
			synctest.Wait()
			_, ok, err := memory.Conversation.Get(t.Context(), c, key)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		day := 24 * time.Hour
		h := imported(t, c, "a", bank)
		imported(t, c, "b", bank[:2])
		must(t, c, step{"a", "ttl", memory.Lifetime{TTL: day}})
		must(t, c, step{"b", "ttl", memory.Lifetime{TTL: 30 * day}}, step{"b", "ttl", memory.Lifetime{TTL: 10 * day}})
		time.Sleep(day - time.Hour)
		must(t, c, step{"a", "edit", memory.Edit{At: 3, Message: models.AssistantMessage("You are B.")}})
		time.Sleep(day - time.Hour)
		if !there("a") {
			t.Fatal("it went though it was changed an hour ago less than a day")
		}
		time.Sleep(time.Hour + time.Second)
		if there("a") {
			t.Fatal("it is still there")
		}
		if _, err := load(h.First); err != nil {
			t.Errorf("the first message, which b has too: %v", err)
		}
		if _, err := load(h.Chunk); !durable.IsNotFound(err) {
			t.Errorf("its chunk: %v", err)
		}
		// b is deleted long before its signals are due: its payloads go at once.
		if err := memory.Delete.Send(t.Context(), c, "b", memory.Deletion{}); err != nil {
			t.Fatal(err)
		}
		if there("b") {
			t.Fatal("it was deleted")
		}
		if _, err := load(h.First); !durable.IsNotFound(err) {
			t.Errorf("the first message after both went: %v", err)
		}
		imported(t, c, "b", bank)
		must(t, c, step{"b", "ttl", memory.Lifetime{TTL: 20 * day}})
		time.Sleep(15 * day)
		if !there("b") {
			t.Error("the new conversation went with the signal of the old one")
		}
		must(t, c, step{"b", "ttl", memory.Lifetime{}})
		time.Sleep(60 * day)
		if !there("b") || there("a") {
			t.Errorf("after its time to live was taken back b is there: %v; a: %v", there("b"), there("a"))
		}
	})
}

// Runs keep what they wrote: a redaction leaves it in their histories, and it is gone when
// they are purged.
func TestRedactionAndRuns(t *testing.T) {
	for _, url := range urls(t) {
		rt, load := open(t, url)
		defer rt.Close()
		c := rt.Client()
		in := struct {
			Key  string
			From int
			N    int
		}{"a", 0, 2}
		run, err := write.Schedule(t.Context(), c, in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := write.Wait(t.Context(), c, run); err != nil {
			t.Fatal(err)
		}
		out := do(t, c, step{"a", "redact", memory.Redaction{At: []int{1}}})
		for _, gone := range [][]int{nil, {1}} {
			v, err := memory.Verify(load, out[0].Head)
			if err != nil || !slices.Equal(v.Redacted, []int{1}) || !slices.Equal(v.Gone, gone) {
				t.Errorf("%s: %+v, %v; gone should be %v", url, v, err, gone)
			}
			if gone != nil {
				break
			}
			if _, err := c.Purge(t.Context(), run, false); err != nil {
				t.Fatal(err)
			}
			// The disk is freed piece by piece: by the time that a few more things are committed.
			for range 5 {
				head(t, c, "b")
			}
		}
	}
}

// The time to live runs out once, whenever the process ends.
func TestTimeToLiveSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defs := []durable.Definition{memory.Conversation, steps}
		durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) ([]bool, error) {
			c := env.Client()
			var there []bool
			for range 2 { // the second time with the id of one that is gone
				if err := memory.Import.Send(ctx, c, "a", bank); err != nil {
					return nil, err
				}
				if _, err := steps.Run(ctx, c, []step{{"a", "ttl", memory.Lifetime{TTL: time.Hour}}, {"a", "pin", memory.Pin{At: []int{0}}}}); err != nil {
					return nil, err
				}
				for _, wait := range []time.Duration{time.Minute, 2 * time.Hour} {
					time.Sleep(wait)
					_, ok, err := memory.Conversation.Get(ctx, c, "a")
					if err != nil {
						return nil, err
					}
					there = append(there, ok)
				}
			}
			return there, nil
		})
	})
}

// Who said what stays known, also when chunks are joined, and in forks.
func TestAgents(t *testing.T) {
	rt, load := open(t, "memory:")
	defer rt.Close()
	c := rt.Client()
	imported(t, c, "a", bank)
	var first memory.Item
	for it, err := range memory.Items(load, head(t, c, "a"), 5) {
		if err != nil {
			t.Fatal(err)
		}
		first = it
		break
	}
	var list []step
	for i := range 100 {
		list = append(list, step{"a", "append", memory.Entry{Messages: []durable.Ref{first.Ref}, Agent: []string{"ann", "", "bob"}[i%3]}})
	}
	h := must(t, c, append(list, step{"b", "fork", must(t, c, list...)})...)
	for i, it := range items(t, load, h) {
		want := ""
		if i >= len(bank) {
			want = []string{"ann", "", "bob"}[(i-len(bank))%100%3]
		}
		if it.Agent != want {
			t.Errorf("message %d is from %q, not %q", i, it.Agent, want)
		}
	}
	if h.Length != len(bank)+100 {
		t.Errorf("the fork has %d messages", h.Length)
	}
}

// A head of a version that did not note the first message goes on, and has it then.
func TestHeadWithoutFirst(t *testing.T) {
	rt, load := open(t, "memory:")
	defer rt.Close()
	c := rt.Client()
	h := imported(t, c, "a", bank)
	first := h.First
	h.First = durable.Ref{}
	if got := must(t, c, step{"b", "fork", h}); !got.First.IsZero() {
		t.Errorf("the fork has %+v", got)
	}
	if got := must(t, c, step{"b", "append", memory.Entry{Messages: []durable.Ref{first}}}); got.First != first || got.Length != len(bank)+1 {
		t.Errorf("after an append: %+v", got)
	}
	if got := items(t, load, head(t, c, "b")); got[len(bank)].Message.Content != bank[0].Content {
		t.Errorf("%+v", got)
	}
	if o := do(t, c, step{"b", "append", memory.Entry{Messages: []durable.Ref{first}, Agent: strings.Repeat("x", 1000)}}); o[0].Err == "" {
		t.Error("an agent of a thousand letters")
	}
}

// Edits and pins leave room for redactions.
func TestMarksAreBounded(t *testing.T) {
	rt, load := open(t, "memory:")
	defer rt.Close()
	c := rt.Client()
	var long []models.Message
	var at []int
	for i := range 3000 {
		long, at = append(long, models.UserMessage(fmt.Sprint("message ", i))), append(at, i)
	}
	imported(t, c, "a", long)
	out := do(t, c,
		step{"a", "pin", memory.Pin{At: at}}, step{"a", "pin", memory.Pin{At: at[:2048]}},
		step{"a", "pin", memory.Pin{At: at[2048:2049]}}, step{"a", "edit", memory.Edit{At: 4, Message: models.UserMessage("x")}},
		step{"a", "redact", memory.Redaction{At: at[:2048]}}, step{"a", "redact", memory.Redaction{At: at[2048:2049]}})
	for i, passes := range []bool{false, true, false, false, true, false} {
		if (out[i].Err == "") != passes {
			t.Errorf("step %d: %q", i, out[i].Err)
		}
	}
	if v, err := memory.Verify(load, head(t, c, "a")); err != nil || len(v.Redacted) != 2048 || len(v.Gone) != 2048 {
		t.Errorf("%d redacted, %d gone, %v", len(v.Redacted), len(v.Gone), err)
	}
}
