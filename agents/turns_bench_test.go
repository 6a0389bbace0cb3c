package agents_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// BenchmarkTurns measures one run of so many turns, in a database file of its own that is
// synced at each commit:
//
//	go test ./agents -run '^$' -bench BenchmarkTurns -benchtime 1x
//
// A turn is what an agent does most of the time. Its model is sent the last 20 messages
// and the first one, and answers at once with 1 KiB of text and a call of a tool; the
// tool, which is Pure, answers at once with another 1 KiB; both messages are in the
// conversation. The last turn of a run is an answer without a call.
//
// us/turn is from the wish to begin to the result. disk-B/turn is what the database has
// more in use than before, after a checkpoint: all pages but free ones. A run of
// warmTurns before has grown the store's log and run all code once, and is in neither.
// heap-MiB is the most that objects took on the heap meanwhile, garbage included.
func BenchmarkTurns(b *testing.B) {
	for _, turns := range []int{10, 100, 1_000, 10_000} {
		b.Run(strconv.Itoa(turns), func(b *testing.B) {
			var sum measured
			for b.Loop() {
				s := newSpeakers(b)
				s.talk(b, 1, warmTurns)
				sum.add(s.talk(b, 1, turns))
			}
			n := float64(b.N * turns)
			b.ReportMetric(float64(sum.took.Nanoseconds())/1e3/n, "us/turn")
			b.ReportMetric(float64(sum.bytes)/n, "disk-B/turn")
			b.ReportMetric(float64(sum.allocs)/n, "allocs/turn")
			b.ReportMetric(float64(sum.heap)/(1<<20), "heap-MiB")
			b.ReportMetric(0, "ns/op") // it would be the warm-up's too
		})
	}
}

// BenchmarkAgents measures a thousand agents at once, each with a conversation of its own
// and three turns as in [BenchmarkTurns], in one process and one database file:
//
//	go test ./agents -run '^$' -bench BenchmarkAgents -benchtime 1x
//
// heap-KiB/agent is what the heap had more at its highest than before, garbage included,
// by agent.
func BenchmarkAgents(b *testing.B) {
	const agents, turns = 1000, 3
	var sum measured
	for b.Loop() {
		s := newSpeakers(b)
		s.talk(b, 1, warmTurns)
		sum.add(s.talk(b, agents, turns))
	}
	b.ReportMetric(float64(b.N*agents)/sum.took.Seconds(), "runs/s")
	b.ReportMetric(float64(sum.took.Nanoseconds())/1e3/float64(b.N*agents*turns), "us/turn")
	b.ReportMetric(float64(sum.bytes)/float64(b.N*agents), "disk-B/run")
	b.ReportMetric(float64(sum.heap-sum.before)/1024/agents, "heap-KiB/agent")
	b.ReportMetric(0, "ns/op")
}

// A run of many turns takes as much of the disk for each as one of a few: no more than a
// tenth over.
func TestTurnsTakeTheSameOnDisk(t *testing.T) {
	few, many := 100, 1000
	if testing.Short() {
		many = 300
	}
	s := newSpeakers(t)
	s.talk(t, 1, warmTurns)
	short, long := s.talk(t, 1, few), s.talk(t, 1, many)
	a, b := float64(short.bytes)/float64(few), float64(long.bytes)/float64(many)
	t.Logf("a turn of %d takes %.0f bytes, of %d %.0f", few, a, many, b)
	if b > 1.1*a {
		t.Errorf("a turn of %d takes %.2f times what one of %d does", many, b/a, few)
	}
}

const (
	// warmTurns are more commits than the store waits for before it grows its log.
	warmTurns = 100
	// sentMessages is the window of the agents that are measured.
	sentMessages = 20
)

// measured is what runs took.
type measured struct {
	took         time.Duration
	bytes        int64  // on disk
	allocs       uint64 // on the heap
	before, heap uint64 // bytes of objects on the heap, and the most of them
}

func (m *measured) add(o measured) {
	m.took, m.bytes, m.allocs = m.took+o.took, m.bytes+o.bytes, m.allocs+o.allocs
	m.before, m.heap = o.before, max(m.heap, o.heap)
}

// speakers is an agent whose model answers at once, in a hub on a file.
type speakers struct {
	agent *agents.Agent
	rt    *durable.Runtime
	store *sqlite.Store
	runs  int64
	asked atomic.Uint64 // how often the model was
	heap  atomic.Uint64
}

// line is one of a run's texts. No two are the same, as the store would have them once.
type line struct {
	Run int64 `json:"run"`
	N   int   `json:"n"` // the turn, or how many there are to be
}

// text is 1 KiB that says which line it is.
func (l line) text() string {
	s := fmt.Sprint(l.Run, " ", l.N, " ")
	return s + filler[:1024-len(s)]
}

func parseLine(text string) (l line, err error) {
	_, err = fmt.Sscan(text, &l.Run, &l.N)
	return l, err
}

var filler = func() string {
	b, seed := make([]byte, 1024), uint32(12345)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyz      "[seed>>24&31]
	}
	return string(b)
}()

func newSpeakers(t testing.TB) *speakers {
	t.Helper()
	ctx := context.Background()
	s := &speakers{}
	speak := tools.New("speak", "Says a line.", func(_ context.Context, in line) (string, error) { return in.text(), nil }, tools.Pure())
	s.agent = agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 1 << 20, Window: sentMessages, Tools: []tools.Tool{speak}})
	var err error
	if s.store, err = sqlite.Open(ctx, filepath.Join(t.TempDir(), "turns.db"), sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	s.rt, err = durable.OpenStore(ctx, s.store, durable.Options{}, agents.Define(agents.Options{Models: only(instant(s.answer))}, s.agent))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// instant is a model that answers at once, and in one piece.
type instant func(*models.Request) (*models.Response, error)

func (m instant) Generate(_ context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		resp, err := m(req)
		yield(models.Event{Response: resp}, err)
	}
}

// answer is the model: the first message says how many turns there are to be, and the
// last one which was the last.
func (s *speakers) answer(req *models.Request) (*models.Response, error) {
	if s.asked.Add(1)%64 == 1 {
		s.look()
	}
	of, err := parseLine(req.Messages[0].Content)
	if err != nil {
		return nil, err
	}
	at := line{of.Run, 1}
	if last := req.Messages[len(req.Messages)-1]; last.Role == models.RoleTool {
		if at, err = parseLine(last.Content); err != nil {
			return nil, err
		}
		at.N++
	}
	// A window that would begin with a result begins with the next message.
	if want := min(2*at.N-1, sentMessages); len(req.Messages) < want || len(req.Messages) > want+1 {
		return nil, fmt.Errorf("turn %d is sent %d messages", at.N, len(req.Messages))
	}
	resp := &models.Response{
		Model: req.Model, Finish: models.FinishStop, Message: models.AssistantMessage(at.text()),
		Usage: models.Usage{InputTokens: 256 * int64(len(req.Messages)), OutputTokens: 256},
	}
	if at.N < of.N {
		resp.Finish = models.FinishToolCalls
		resp.Message.ToolCalls = []models.ToolCall{{ID: "call", Name: "speak", Arguments: fmt.Sprintf(`{"run":%d,"n":%d}`, at.Run, at.N)}}
	}
	return resp, nil
}

// look keeps the most that objects take on the heap.
func (s *speakers) look() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	n := sample[0].Value.Uint64()
	for {
		was := s.heap.Load()
		if n <= was || s.heap.CompareAndSwap(was, n) {
			return n
		}
	}
}

// talk runs agents at once, each for so many turns, and says what they took.
func (s *speakers) talk(t testing.TB, agents, turns int) (m measured) {
	t.Helper()
	ctx := context.Background()
	used := func() int64 {
		n, err := s.store.BytesInUse(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	m.bytes = -used()
	runtime.GC()
	s.heap.Store(0)
	m.before = s.look()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	ids := make([]string, agents)
	for i := range ids {
		s.runs++
		var err error
		if ids[i], err = s.agent.Schedule(ctx, s.rt.Client(), line{s.runs, turns}.text()); err != nil {
			t.Fatal(err)
		}
	}
	first := s.runs - int64(agents) + 1
	for i, id := range ids {
		r, err := s.agent.Wait(ctx, s.rt.Client(), id)
		if err != nil || r.Turns != turns || r.ToolCalls != turns-1 || r.Text != (line{first + int64(i), turns}).text() {
			t.Fatalf("%d turns, %d calls, %.10q, %v", r.Turns, r.ToolCalls, r.Text, err)
		}
	}
	m.took = time.Since(began)
	runtime.ReadMemStats(&after)
	m.allocs = after.Mallocs - before.Mallocs
	s.look()
	m.heap = s.heap.Load()
	m.bytes += used()
	return m
}
