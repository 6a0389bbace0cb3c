package memory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// write appends n messages of two kinds, one append each, and gives the head
// after each of them.
var write = durable.NewOrchestration("write", func(ctx *durable.Context, in struct {
	Key  string
	From int
	N    int
}) ([]memory.Head, error) {
	var heads []memory.Head
	for i := in.From; i < in.From+in.N; i++ {
		b, err := memory.Encode(models.UserMessage(fmt.Sprint("message ", i)))
		if err != nil {
			return nil, err
		}
		h, err := memory.Append.Call(ctx, in.Key, memory.Entry{Messages: []durable.Ref{ctx.Store(b)}})
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return heads, nil
})

var fork = durable.NewOrchestration("fork", func(ctx *durable.Context, in struct {
	Key  string
	Head memory.Head
}) (memory.Head, error) {
	return memory.Fork.Call(ctx, in.Key, in.Head)
})

func texts(t *testing.T, load memory.Loader, h memory.Head, from int) []string {
	t.Helper()
	var out []string
	for m, err := range memory.Read(load, h, from) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Content)
	}
	return out
}

func wanted(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint("message ", i))
	}
	return out
}

func TestReadEveryPosition(t *testing.T) {
	ctx := t.Context()
	rt, err := durable.Open(ctx, "memory:", write, fork, memory.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	const n = 100 // more than three joins
	in := struct {
		Key  string
		From int
		N    int
	}{"a", 0, n}
	heads, err := write.Run(ctx, rt.Client(), in)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	load := func(r durable.Ref) ([]byte, error) { reads++; return rt.Client().Load(ctx, r) }
	for i, h := range heads { // every head stays readable, from every position
		if h.Length != i+1 {
			t.Fatalf("head %d has length %d", i, h.Length)
		}
		for _, from := range []int{0, i / 2, i, i + 1, i + 2} {
			want := wanted(from, i+1)
			if got := texts(t, load, h, from); !slices.Equal(got, want) {
				t.Fatalf("head %d from %d: got %v, want %v", i, from, got, want)
			}
		}
	}
	reads = 0
	texts(t, load, heads[n-1], n-20)
	if reads > 20+33 {
		t.Errorf("reading the last 20 messages took %d reads", reads)
	}
	state, ok, err := memory.Conversation.Get(ctx, rt.Client(), "a")
	if err != nil || !ok || state.Version != n || state.Head != heads[n-1] {
		t.Errorf("state %+v, %v, %v", state, ok, err)
	}

	// A fork goes its own way, and shares what was before.
	if _, err := fork.Run(ctx, rt.Client(), struct {
		Key  string
		Head memory.Head
	}{"b", heads[40]}); err != nil {
		t.Fatal(err)
	}
	in.Key, in.From, in.N = "b", 41, 50
	forked, err := write.Run(ctx, rt.Client(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(t, load, forked[49], 0); !slices.Equal(got, wanted(0, 91)) {
		t.Errorf("fork: got %v", got)
	}
	_, err = fork.Run(ctx, rt.Client(), struct {
		Key  string
		Head memory.Head
	}{"b", heads[3]})
	if err == nil || !strings.Contains(err.Error(), "messages already") {
		t.Errorf("a fork into a conversation with messages: %v", err)
	}
}

func TestVersion(t *testing.T) {
	ctx := t.Context()
	stale := durable.NewOrchestration("stale", func(ctx *durable.Context, _ string) (string, error) {
		b, err := memory.Encode(models.UserMessage("x"))
		if err != nil {
			return "", err
		}
		e := memory.Entry{Messages: []durable.Ref{ctx.Store(b)}}
		if _, err := memory.Append.Call(ctx, "c", e); err != nil {
			return "", err
		}
		e.Version = 1
		if _, err := memory.Append.Call(ctx, "c", e); err != nil {
			return "", err
		}
		_, err = memory.Append.Call(ctx, "c", e) // still says 1
		return fmt.Sprint(err), nil
	})
	rt, err := durable.Open(ctx, "memory:", stale, memory.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	got, err := stale.Run(ctx, rt.Client(), "")
	if err != nil || !strings.Contains(got, "at version 2, not 1") {
		t.Errorf("got %q, %v", got, err)
	}
}

// A damaged list is an error, not a shorter conversation.
func TestDamagedList(t *testing.T) {
	chunks := map[string]string{
		"gap":  `{"start":3,"messages":[{"hash":"` + strings.Repeat("1", 64) + `","size":1}]}`,
		"junk": `no JSON`,
		"none": `{"start":4,"messages":[]}`,
	}
	for name, chunk := range chunks {
		load := func(durable.Ref) ([]byte, error) { return []byte(chunk), nil }
		head := memory.Head{Length: 4}
		head.Chunk.Hash[0] = 1
		for _, err := range memory.Read(load, head, 0) {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}

func Example() {
	ctx := context.Background()
	talk := durable.NewOrchestration("talk", func(ctx *durable.Context, lines []string) (memory.Head, error) {
		var head memory.Head
		for _, line := range lines {
			b, err := memory.Encode(models.UserMessage(line))
			if err != nil {
				return head, err
			}
			if head, err = memory.Append.Call(ctx, "greetings", memory.Entry{Messages: []durable.Ref{ctx.Store(b)}}); err != nil {
				return head, err
			}
		}
		return head, nil
	})
	rt, err := durable.Open(ctx, "memory:", talk, memory.Conversation)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	head, err := talk.Run(ctx, rt.Client(), []string{"Hello.", "How are you?", "Good-bye."})
	if err != nil {
		fmt.Println(err)
		return
	}
	load := func(r durable.Ref) ([]byte, error) { return rt.Client().Load(ctx, r) }
	for m, err := range memory.Read(load, head, 1) {
		fmt.Println(m.Role, m.Content, err)
	}
	// Output:
	// user How are you? <nil>
	// user Good-bye. <nil>
}
