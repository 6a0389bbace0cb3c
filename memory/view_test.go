package memory_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// shelf holds payloads, for tests that need a conversation but no hub.
type shelf map[history.Hash][]byte

func (s shelf) put(v any) durable.Ref {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	r := durable.Ref{Hash: history.HashOf(b), Size: len(b)}
	s[r.Hash] = b
	return r
}

func (s shelf) load(r durable.Ref) ([]byte, error) {
	b, ok := s[r.Hash]
	if !ok {
		return nil, fmt.Errorf("payload %s: %w", r.Hash, durable.ErrNotFound)
	}
	return b, nil
}

// append adds a chunk.
func (s shelf) append(h memory.Head, agent string, messages ...models.Message) memory.Head {
	c := memory.Chunk{Before: h.Chunk, Start: h.Length}
	for _, m := range messages {
		c.Messages = append(c.Messages, s.put(m))
		c.Agents = append(c.Agents, agent)
	}
	if h.Length == 0 {
		h.First = c.Messages[0]
	}
	h.Chunk, h.Length = s.put(c), h.Length+len(messages)
	return h
}

// mark puts marks over a conversation.
func (s shelf) mark(h memory.Head, add ...memory.Mark) memory.Head {
	old, err := memory.Marks(s.load, h)
	if err != nil {
		panic(err)
	}
	all := append(old, add...)
	h.Marks = s.put(map[string]any{"count": len(all), "marks": all})
	return h
}

// pin is PinMessages.
func (s shelf) pin(h memory.Head, at ...int) memory.Head {
	for it, err := range memory.Items(s.load, h, 0) {
		if err != nil {
			panic(err)
		}
		if slices.Contains(at, it.At) {
			h = s.mark(h, memory.Mark{At: it.At, Kind: memory.Pinned, Message: it.Ref, Agent: it.Agent})
		}
	}
	return h
}

// valid says what a model's API would refuse.
func valid(list []models.Message) string {
	var open []models.ToolCall
	for i, m := range list {
		switch {
		case m.Role == models.RoleTool:
			n := slices.IndexFunc(open, func(c models.ToolCall) bool { return c.ID == m.ToolCallID })
			if n < 0 {
				return fmt.Sprintf("message %d is the result of no call", i)
			}
			open = slices.Delete(open, n, n+1)
			continue
		case len(open) > 0:
			return fmt.Sprintf("message %d comes before the result of %s", i, open[0].ID)
		case m.Role == models.RoleAssistant && m.Content == "" && len(m.ToolCalls) == 0:
			return fmt.Sprintf("message %d is empty", i)
		}
		open = slices.Clone(m.ToolCalls)
	}
	if len(open) > 0 {
		return "a call at the end has no result"
	}
	return ""
}

func read(t testing.TB, s shelf, v memory.View, h memory.Head) []models.Message {
	t.Helper()
	list, err := v.Read(s.load, h)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func contents(list []models.Message) string {
	var out []string
	for _, m := range list {
		text := m.Content
		if len(m.ToolCalls) > 0 {
			text += fmt.Sprint("→", len(m.ToolCalls))
		}
		out = append(out, string(m.Role[:1])+":"+text)
	}
	return strings.Join(out, " | ")
}

func calls(n int) []models.ToolCall {
	var out []models.ToolCall
	for i := range n {
		out = append(out, models.ToolCall{ID: fmt.Sprint("c", i), Name: "look", Arguments: "{}"})
	}
	return out
}

func TestView(t *testing.T) {
	s, cs := shelf{}, calls(2)
	h := s.append(memory.Head{}, "", models.UserMessage("task"))                                                                 // 0
	h = s.append(h, "ann", models.AssistantMessage("", cs...), models.ToolMessage(cs[1], "r1"), models.ToolMessage(cs[0], "r0")) // 1-3
	h = s.append(h, "ann", models.AssistantMessage("ann speaks"))                                                                // 4
	h = s.append(h, "bob", models.AssistantMessage("bob looks", cs[0]), models.ToolMessage(cs[0], strings.Repeat("long ", 50)))  // 5-6
	h = s.append(h, "bob", models.AssistantMessage("bob speaks"))                                                                // 7
	h = s.append(h, "", models.UserMessage("go on"))                                                                             // 8
	long, note := strings.Repeat("long ", 50), "[result left out, 250 bytes: call look again, for less of it, if you need it]"
	summary := s.put(models.UserMessage("sum"))
	all := "u:task | a:→2 | t:r1 | t:r0 | a:ann speaks | a:bob looks→1 | t:" + long + " | a:bob speaks | u:go on"
	pinned := s.pin(h, 1, 2, 3)
	edited := s.mark(h, memory.Mark{At: 4, Kind: memory.Edited, Message: s.put(models.AssistantMessage("other")), Agent: "ann"})
	old := h
	old.First = durable.Ref{} // of a version that did not note it
	for _, c := range []struct {
		name string
		head memory.Head
		view memory.View
		want string
	}{
		{"zero", h, memory.View{}, all},
		{"empty", memory.Head{}, memory.View{Window: 3, Agent: "x"}, ""},
		{"window", h, memory.View{Window: 2}, "u:task | a:bob speaks | u:go on"},
		{"window within a call", h, memory.View{Window: 3}, "u:task | a:bob speaks | u:go on"},
		{"window of a head without first", old, memory.View{Window: 1}, "u:task | u:go on"},
		{"window that cuts what is pinned", pinned, memory.View{Window: 6}, "u:task | a:→2 | t:r1 | t:r0 | a:ann speaks | a:bob looks→1 | t:" + long + " | a:bob speaks | u:go on"},
		{"wide window", h, memory.View{Window: 99}, all},
		{"cleared", h, memory.View{Cleared: 7}, "u:task | a:→2 | t:r1 | t:r0 | a:ann speaks | a:bob looks→1 | t:" + note + " | a:bob speaks | u:go on"},
		{"cleared before", h, memory.View{Cleared: 6}, all},
		{"summary", h, memory.View{Before: 7, Summary: summary}, "u:task | u:sum | a:bob speaks | u:go on"},
		{"summary and pins", pinned, memory.View{Before: 7, Summary: summary}, "u:task | u:sum | a:→2 | t:r1 | t:r0 | a:bob speaks | u:go on"},
		{"summary and window", h, memory.View{Before: 5, Summary: summary, Window: 1}, "u:task | u:sum | u:go on"},
		{"summary of what was edited since", edited, memory.View{Before: 7, Summary: summary, Window: 2}, "u:task | a:bob speaks | u:go on"},
		{"summary of what was edited before", edited, memory.View{Before: 7, Summary: summary, Marks: 1}, "u:task | u:sum | a:bob speaks | u:go on"},
		{"ann", h, memory.View{Agent: "ann"}, "u:task | a:→2 | t:r1 | t:r0 | a:ann speaks | u:[bob]: bob looks | u:[bob]: bob speaks | u:go on"},
		{"ann with calls", h, memory.View{Agent: "ann", Others: memory.OthersCalls, Window: 4},
			"u:task | u:[bob]: bob looks\n[bob] called look: {}\n[bob] was told by look: " + long + " | u:[bob]: bob speaks | u:go on"},
		{"bob", h, memory.View{Agent: "bob", Others: memory.OthersHidden}, "u:task | a:bob looks→1 | t:" + long + " | a:bob speaks | u:go on"},
		{"cat as both", h, memory.View{Agent: "cat", Others: memory.OthersOwn}, all},
		{"cat hears bob", h, memory.View{Agent: "cat", Agents: []string{"bob"}}, "u:task | u:[bob]: bob looks | u:[bob]: bob speaks | u:go on"},
		{"texts only", h, memory.View{Roles: []models.Role{models.RoleUser, models.RoleAssistant}}, "u:task | a:ann speaks | a:bob looks | a:bob speaks | u:go on"},
		{"no answers", h, memory.View{Roles: []models.Role{models.RoleUser, models.RoleTool}}, "u:task | u:go on"},
	} {
		if got := contents(read(t, s, c.view, c.head)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	for _, v := range []memory.View{{Before: -1}, {Before: 99}, {Before: 2, Summary: durable.Ref{Size: 1, Hash: history.HashOf(nil)}}} {
		if list, err := v.Read(s.load, h); err == nil {
			t.Errorf("%+v gives %v", v, list)
		}
	}
}

// Whatever lies in a list, what is told of it is something that a model accepts.
func TestViewPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, h := shelf{}, memory.Head{}
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			c := calls(3)[rapid.IntRange(0, 2).Draw(t, "id")]
			m := rapid.SampledFrom([]models.Message{
				models.UserMessage("u"), models.AssistantMessage("a"), models.ToolMessage(c, strings.Repeat("r", 200)),
				models.AssistantMessage("", c), models.AssistantMessage("b", c, calls(3)[0]), models.AssistantMessage("", c, c),
			}).Draw(t, "message")
			h = s.append(h, rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "agent"), m)
		}
		at := rapid.SliceOfN(rapid.IntRange(0, h.Length-1), 0, 3).Draw(t, "pinned")
		h = s.pin(h, at...) // not by units, as the operation does
		v := memory.View{
			Agent:   rapid.SampledFrom([]string{"", "ann"}).Draw(t, "as"),
			Others:  rapid.SampledFrom([]memory.Others{memory.OthersText, memory.OthersCalls, memory.OthersOwn, memory.OthersHidden}).Draw(t, "others"),
			Window:  rapid.IntRange(0, 22).Draw(t, "window"),
			Before:  rapid.IntRange(0, h.Length).Draw(t, "before"),
			Cleared: rapid.IntRange(0, h.Length).Draw(t, "cleared"),
		}
		if rapid.Bool().Draw(t, "roles") {
			v.Roles = rapid.SliceOf(rapid.SampledFrom([]models.Role{models.RoleUser, models.RoleAssistant, models.RoleTool})).Draw(t, "told")
		}
		list, err := v.Read(s.load, h)
		if err != nil {
			t.Fatal(err)
		}
		if bad := valid(list); bad != "" {
			t.Fatalf("%s: %s", bad, contents(list))
		}
		if again, err := v.Read(s.load, h); err != nil || !cmp.Equal(list, again) {
			t.Fatalf("another time it is told otherwise: %v", err)
		}
	})
}

// A view reads what it tells, however long the conversation is.
func TestViewReadsLittle(t *testing.T) {
	s, h := shelf{}, memory.Head{}
	for i := range 10_000 {
		h = s.append(h, "", models.UserMessage(fmt.Sprint("message ", i)))
	}
	reads := 0
	load := func(r durable.Ref) ([]byte, error) { reads++; return s.load(r) }
	for _, v := range []memory.View{{Window: 20}, {Before: h.Length - 20, Summary: s.put(models.UserMessage("sum"))}} {
		reads = 0
		if list, err := v.Read(load, h); err != nil || len(list) < 21 || list[0].Content != "message 0" {
			t.Errorf("%d messages told, %v", len(list), err)
		}
		if reads > 20+20+2 {
			t.Errorf("%+v took %d reads", v, reads)
		}
	}
}
