package agents_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// thousand runs as many agents at once on one SQLite file: three turns each, with a call
// of a tool in the first two. It gives the bytes that the process had in use when all of
// them stood in the middle of their second call.
func thousand(t testing.TB, n int) (heap uint64) {
	ctx := t.Context()
	var mu sync.Mutex
	keys := map[string]string{} // who has noted what, by the key of the call
	var midway sync.WaitGroup
	midway.Add(n)
	goOn := make(chan struct{})
	note := tools.New("note", "", func(ctx context.Context, in city) (string, error) {
		mu.Lock()
		if was, ok := keys[tools.Key(ctx)]; ok {
			t.Errorf("%s has the key of %s", in.Name, was)
		}
		keys[tools.Key(ctx)] = in.Name
		mu.Unlock()
		if strings.HasPrefix(in.Name, "second") {
			midway.Done()
			<-goOn
		}
		return "noted " + in.Name, nil
	}, tools.Idempotent())
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		who := req.Messages[0].Content
		turn := models.AssistantTurns(req.Messages)
		if turn == 2 {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done by " + who)}, nil
		}
		return calls("note", []string{"first", "second"}[turn]+" of "+who)()
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{note}})
	s, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "thousand.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rt, err := durable.OpenStore(ctx, s, durable.Options{Activities: 2 * n}, agents.Define(agents.Options{Models: only(m)}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			who := fmt.Sprint("agent ", i)
			id, err := a.Schedule(ctx, rt.Client(), who)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := a.Wait(ctx, rt.Client(), id)
			if err != nil || got.Text != "done by "+who || got.Turns != 3 || got.ToolCalls != 2 {
				t.Errorf("%s: %+v, %v", who, got, err)
			}
		})
	}
	met, ended := make(chan struct{}), make(chan struct{})
	go func() { midway.Wait(); close(met) }()
	go func() { all.Wait(); close(ended) }()
	select {
	case <-met:
	case <-ended:
		t.Fatal("the runs ended before they met")
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	close(goOn)
	<-ended
	if len(keys) != 2*n {
		t.Errorf("%d calls were made, not %d", len(keys), 2*n)
	}
	return mem.HeapInuse
}

// TestThousandAgents: a thousand runs at once, all of them in the middle of a call at one
// moment, come to their own results.
func TestThousandAgents(t *testing.T) {
	heap := thousand(t, 1000)
	t.Logf("%d KiB of heap for each run", heap/1000/1024)
}

// BenchmarkThousandAgents reports what a thousand runs of three turns take, and the heap
// when all of them are in the middle of a call.
func BenchmarkThousandAgents(b *testing.B) {
	var heap uint64
	for b.Loop() {
		heap = thousand(b, 1000)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "us/run")
	b.ReportMetric(float64(heap)/1000, "heap-B/run")
}
