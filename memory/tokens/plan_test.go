package tokens_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/memory/tokens"
	"github.com/agentrun-dev/agentrun/models"
)

// recordings gives the messages of real runs; false if they are not there.
func recordings(t *testing.T) (runs [][]models.Message, ok bool) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "tau-bench-airline", "trajectories.json.gz"))
	if os.IsNotExist(err) {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Traj json.RawMessage }
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		messages, err := memory.DecodeOpenAI(r.Traj)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, messages)
	}
	return runs, true
}

// Some recorded runs as one conversation, longer than its limit: counted by the
// real tokenizer it fits after some summaries, and never without its last exchange.
func TestPlanRecordings(t *testing.T) {
	runs, ok := recordings(t)
	if !ok {
		t.Skip("the recordings in ../shared/data are not there")
	}
	var all []models.Message
	for _, r := range runs[:25] {
		all = append(all, r...)
	}
	ctx := t.Context()
	rt, err := durable.Open(ctx, "memory:", memory.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if err := memory.Import.Send(ctx, rt.Client(), "a", all); err != nil {
		t.Fatal(err)
	}
	var head memory.Head
	for head.Length == 0 {
		s, _, err := memory.Conversation.Get(ctx, rt.Client(), "a")
		if err != nil {
			t.Fatal(err)
		}
		head = s.Head
	}
	summaries := map[durable.Ref][]byte{}
	load := func(r durable.Ref) ([]byte, error) {
		if b, ok := summaries[r]; ok {
			return b, nil
		}
		return rt.Client().Load(ctx, r)
	}
	c := counter(t, tokens.O200K)
	view, limits, asked := memory.View{}, memory.Limits{Tokens: 20_000, Counter: c}, 0
	for {
		p, err := view.Plan(load, head, limits)
		if err != nil {
			t.Fatal(err)
		}
		if p.Prompt == nil {
			if view = p.View; !p.Fits {
				t.Fatalf("%d tokens do not fit", p.Tokens)
			}
			break
		}
		if n := memory.Tokens(c, p.Prompt...); n > limits.Tokens {
			t.Errorf("a prompt of %d tokens", n)
		}
		b, err := memory.Encode(p.Summary("What was said, in short."))
		if err != nil {
			t.Fatal(err)
		}
		asked++
		ref := durable.Ref{Size: len(b)}
		ref.Hash[0] = byte(asked)
		summaries[ref] = b
		view = p.With(ref)
	}
	list, err := view.Read(load, head)
	if err != nil {
		t.Fatal(err)
	}
	n := memory.Tokens(c, list...)
	t.Logf("%d messages of %d tokens, after %d summaries %d of %d tokens", len(all), memory.Tokens(c, all...), asked, len(list), n)
	if n > limits.Tokens || asked == 0 || list[len(list)-1].Content != all[len(all)-1].Content || list[0].Content != all[0].Content {
		t.Errorf("%d tokens told, from %.40q to %.40q", n, list[0].Content, list[len(list)-1].Content)
	}
}
