package agents_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
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
// us/turn is from the wish to begin to the result; p50-us/turn is the median from one model
// call to the next, which a machine that is busy now and then blurs less. A run of warmTurns before has grown the
// store's log and run all code once. disk-B/turn is what the database has in use then, after
// a checkpoint (all pages but free ones), beyond that of a store with such a run alone.
// heap-MiB is the most that objects took on the heap meanwhile, garbage included; among
// them are the messages used last, in the engine's cache of 32 MiB.
func BenchmarkTurns(b *testing.B) {
	for _, turns := range []int{10, 100, 1_000, 10_000} {
		b.Run(strconv.Itoa(turns), func(b *testing.B) {
			var sum measured
			warm := warmUsed(b)
			for b.Loop() {
				s := newSpeakers(b)
				s.warm(b)
				sum.add(s.talk(b, turns))
				s.close(b)
			}
			n := float64(b.N * turns)
			b.ReportMetric(float64(sum.took.Nanoseconds())/1e3/n, "us/turn")
			slices.Sort(sum.turns)
			b.ReportMetric(float64(sum.turns[len(sum.turns)/2].Nanoseconds())/1e3, "p50-us/turn")
			b.ReportMetric(float64(sum.used-int64(b.N)*warm)/n, "disk-B/turn")
			b.ReportMetric(float64(sum.allocs)/n, "allocs/turn")
			b.ReportMetric(float64(sum.heap)/(1<<20), "heap-MiB")
			b.ReportMetric(0, "ns/op") // it would be the warm-up's too
		})
	}
}

// BenchmarkAgents measures a thousand agents at once in one process and one database file,
// each with a conversation of its own and three turns as in [BenchmarkTurns]:
//
//	go test ./agents -run '^$' -bench BenchmarkAgents -benchtime 1x
//
// No model answers before all thousand were asked. waiting-KiB/agent is what the process then
// has more of live objects and stacks than before; peak-KiB/agent the most of objects,
// garbage included. runs/s is from the first wish to begin to the last result.
func BenchmarkAgents(b *testing.B) {
	const agents, turns = 1000, 3
	var sum measured
	var waiting uint64
	warm := warmUsed(b)
	for b.Loop() {
		s := newSpeakers(b)
		s.warm(b)
		before := live()
		sum.add(s.measure(b, func() error {
			s.hold(agents)
			ids, errs := make([]string, agents), make([]error, agents)
			var starts sync.WaitGroup
			for i := range ids {
				starts.Go(func() { ids[i], errs[i] = s.begin(turns) })
			}
			starts.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			s.held.Wait()
			waiting = max(waiting, live()-before)
			close(s.gate)
			for _, id := range ids {
				if err := s.end(id, turns); err != nil {
					return err
				}
			}
			return nil
		}))
		s.close(b)
	}
	b.ReportMetric(float64(b.N*agents)/sum.took.Seconds(), "runs/s")
	b.ReportMetric(float64(sum.used-int64(b.N)*warm)/float64(b.N*agents), "disk-B/run")
	b.ReportMetric(float64(waiting)/1024/agents, "waiting-KiB/agent")
	b.ReportMetric(float64(sum.heap-sum.before)/1024/agents, "peak-KiB/agent")
	b.ReportMetric(0, "ns/op")
}

// A run of many turns takes as much of the disk for each as one of a few: no more than a
// tenth over.
func TestTurnsTakeTheSameOnDisk(t *testing.T) {
	const few, many = 100, 500
	s := newSpeakers(t)
	defer s.close(t)
	before, short, long := s.talk(t, warmTurns), s.talk(t, few), s.talk(t, many)
	a, b := float64(short.used-before.used)/few, float64(long.used-short.used)/many
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
	turns        []time.Duration // from one model call to the next
	used         int64           // bytes of the database in the end
	allocs       uint64          // on the heap
	before, heap uint64          // bytes of objects on the heap, and the most of them
}

func (m *measured) add(o measured) {
	m.took, m.used, m.allocs = m.took+o.took, m.used+o.used, m.allocs+o.allocs
	m.before, m.heap = o.before, max(m.heap, o.heap)
	m.turns = append(m.turns, o.turns...)
}

// speakers is an agent whose model answers at once, in a hub on a file.
type speakers struct {
	agent *agents.Agent
	rt    *durable.Runtime
	store *sqlite.Store
	runs  atomic.Int64
	heap  atomic.Uint64 // the most bytes of objects that look found

	mu    sync.Mutex
	asked []time.Time // when the model was

	// With a gate, the first answer of each run waits until it is opened. held is counted
	// down by those that wait.
	gate chan struct{}
	held sync.WaitGroup
}

// hold makes a gate for so many runs.
func (s *speakers) hold(runs int) {
	s.gate = make(chan struct{})
	s.held.Add(runs)
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
	s.rt, err = durable.OpenStore(ctx, s.store, durable.Options{Activities: 1000}, agents.Define(agents.Options{Models: only(instant(s.answer))}, s.agent))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *speakers) close(t testing.TB) {
	t.Helper()
	if err := s.rt.Close(); err != nil {
		t.Error(err)
	}
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
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	n := len(s.asked)
	s.mu.Unlock()
	if n%64 == 1 {
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
	if at.N == 1 && s.gate != nil {
		s.held.Done()
		<-s.gate
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

// live gives the bytes of live objects, and of stacks.
func live() uint64 {
	runtime.GC()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() + samples[1].Value.Uint64()
}

// warm runs the agent for warmTurns. What the store has in use is not asked for, as that
// would take the log away that the run has made grow.
func (s *speakers) warm(t testing.TB) {
	t.Helper()
	id, err := s.begin(warmTurns)
	if err == nil {
		err = s.end(id, warmTurns)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// warmUsed gives the bytes in use of a store that was warmed up.
func warmUsed(t testing.TB) int64 {
	t.Helper()
	s := newSpeakers(t)
	defer s.close(t)
	return s.talk(t, warmTurns).used
}

// talk runs the agent for so many turns.
func (s *speakers) talk(t testing.TB, turns int) measured {
	t.Helper()
	return s.measure(t, func() error {
		id, err := s.begin(turns)
		if err != nil {
			return err
		}
		return s.end(id, turns)
	})
}

// begin starts a run of so many turns, and end waits for it.
func (s *speakers) begin(turns int) (id string, err error) {
	n := s.runs.Add(1)
	return s.agent.Schedule(context.Background(), s.rt.Client(), line{n, turns}.text(), agents.With(durable.WithInstanceID(strconv.FormatInt(n, 10))))
}

func (s *speakers) end(id string, turns int) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return err
	}
	r, err := s.agent.Wait(context.Background(), s.rt.Client(), id)
	if err == nil && (r.Turns != turns || r.ToolCalls != turns-1 || r.Text != line{n, turns}.text()) {
		err = fmt.Errorf("run %s ends after %d turns and %d calls with %.10q", id, r.Turns, r.ToolCalls, r.Text)
	}
	return err
}

// measure says what a piece of work takes.
func (s *speakers) measure(t testing.TB, work func() error) (m measured) {
	t.Helper()
	runtime.GC()
	s.heap.Store(0)
	s.asked = nil
	m.before = s.look()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	err := work()
	if err != nil {
		t.Fatal(err)
	}
	m.took = time.Since(began)
	for i := 1; i < len(s.asked); i++ {
		m.turns = append(m.turns, s.asked[i].Sub(s.asked[i-1]))
	}
	runtime.ReadMemStats(&after)
	m.allocs = after.Mallocs - before.Mallocs
	s.look()
	m.heap = s.heap.Load()
	if m.used, err = s.store.BytesInUse(context.Background()); err != nil {
		t.Fatal(err)
	}
	return m
}
