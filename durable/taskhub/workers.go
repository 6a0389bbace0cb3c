package taskhub

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// WorkersOptions are limits of [Workers]. A zero field has the default that is named at it.
type WorkersOptions struct {
	// InFlight is how many items of each kind (orchestrations, activities, entities) a worker has
	// at once that does not say how many it wants: 100. MaxInFlight bounds those that do: 10,000.
	InFlight, MaxInFlight int
	// Ping is after how long a silence a worker gets a sign of life: 30 s. Some SDKs give a
	// connection up after 120 s without any message.
	Ping time.Duration
	// Pasts bounds the memory for histories that are kept for the next turn, in bytes: 64 MiB.
	Pasts int
	// MaxResponse bounds the answer to one turn that comes in several messages, in bytes: 64 MiB.
	// All those that are incomplete have four times as much together.
	MaxResponse int
	// Logger gets warnings: of work that could not be given out. nil: slog.Default().
	Logger *slog.Logger
}

func (o WorkersOptions) withDefaults() WorkersOptions {
	o.InFlight = cmp.Or(max(o.InFlight, 0), 100)
	o.MaxInFlight = cmp.Or(max(o.MaxInFlight, 0), 10_000)
	o.Ping = cmp.Or(max(o.Ping, 0), 30*time.Second)
	o.Pasts = cmp.Or(max(o.Pasts, 0), 64<<20)
	o.MaxResponse = cmp.Or(max(o.MaxResponse, 0), 64<<20)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

// What Workers remembers beyond the work itself.
const (
	maxOrphans = 10_000 // items whose worker has gone, and whose answer is still taken
	maxNotes   = 10_000 // instances whose work came back without an answer
	maxTraces  = 50_000 // executions that have a trace context
)

// Workers gives the work of one hub to the programs that are connected to its server, and takes
// what they make of it. The engine of the hub gets it as its [engine.Workers], and the server by its
// [Service]. All methods may be called from any goroutine.
//
// An item goes to a worker that is ready for one, has room for it and wants it by its filters; of
// several to the one that has the fewest under way. What no worker wants waits, for ever if need
// be. An item is given to one worker at a time, with a token of its own that only this worker
// learns; when its connection ends, the item is offered to the others at once, but the answer is
// still taken if it comes before another has begun. One that is given back comes to a worker
// again, at once the first time and then after a delay that doubles up to 30 seconds.
type Workers struct {
	opts WorkersOptions
	list *worklist.List[engine.Work]

	ctx   context.Context // of what workers answer, until Close
	close context.CancelFunc
	drain context.CancelFunc // begins draining
	open  context.Context    // until Drain

	mu      sync.Mutex
	streams map[*workStream]struct{}
	tokens  map[string]*flight
	byID    map[flightID]*flight   // the last one of each
	orphans *lru[subject, *flight] // whose connection has ended
	notes   *lru[subject, note]    // of what came back
	pasts   *lru[history.Instance, past]
	traces  *lru[history.Instance, *protocol.OrchestrationTraceContext]

	submitted map[string]*engine.Turn // by instance: those that the engine takes at the moment
	partial   int                     // bytes of answers that are incomplete

	awaited  map[*flight]struct{} // what workers had when draining began; nil before
	answered chan struct{}        // closed when it is empty
}

// NewWorkers makes Workers, which no worker is connected to.
func NewWorkers(o WorkersOptions) *Workers {
	o = o.withDefaults()
	w := &Workers{
		opts:    o,
		list:    worklist.New[engine.Work](),
		streams: map[*workStream]struct{}{},
		tokens:  map[string]*flight{},
		byID:    map[flightID]*flight{},
		orphans: newLRU[subject, *flight](maxOrphans),
		notes:   newLRU[subject, note](maxNotes),
		pasts:   newLRU[history.Instance, past](o.Pasts),
		traces:  newLRU[history.Instance, *protocol.OrchestrationTraceContext](maxTraces),

		submitted: map[string]*engine.Turn{},
	}
	w.orphans.gone = w.forget
	w.ctx, w.close = context.WithCancel(context.Background())
	w.open, w.drain = context.WithCancel(w.ctx)
	return w
}

var _ engine.Workers = (*Workers)(nil)

// The parts of engine.Work that matter here.
type (
	turnWork interface {
		engine.Work
		Begin() (*engine.Turn, error)
		Complete(context.Context, *engine.Turn) error
		Release(*engine.Turn) bool
	}
	callWork interface {
		engine.Work
		Begin() (*engine.Call, error)
		Complete(context.Context, *engine.Call, engine.Outcome) error
		Release(*engine.Call) bool
	}
	batchWork interface {
		engine.Work
		Begin() (*engine.EntityBatch, error)
		Complete(context.Context, *engine.EntityBatch) error
		Release(*engine.EntityBatch) bool
	}
)

var (
	_ turnWork  = (*engine.TurnWork)(nil)
	_ callWork  = (*engine.CallWork)(nil)
	_ batchWork = (*engine.BatchWork)(nil)
)

// Offer is the engine's, see [engine.Workers].
func (w *Workers) Offer(work engine.Work) {
	a := aboutOf(work)
	w.list.Offer(work, a, w.delay(subjectOf(work, a)))
}

// Withdraw is the engine's, see [engine.Workers].
func (w *Workers) Withdraw(work engine.Work) {
	w.list.Withdraw(work)
	w.begun(subjectOf(work, aboutOf(work)))
}

func aboutOf(work engine.Work) worklist.About {
	i := work.About()
	a := worklist.About{Name: i.Name, Version: i.Version, Instance: i.Instance, Priority: i.Priority}
	switch work.(type) {
	case callWork:
		a.Kind = worklist.Activity
	case batchWork:
		a.Kind = worklist.Entity
	}
	return a
}

// subject is what only one worker at a time has: the turn of an instance, the batch of an entity,
// or a call.
type subject struct {
	kind     worklist.Kind
	instance string
	call     engine.Work // of a call
}

func subjectOf(work engine.Work, a worklist.About) subject {
	s := subject{kind: a.Kind, instance: a.Instance}
	if a.Kind == worklist.Activity {
		s.call = work
	}
	return s
}

// note is what is remembered of a subject whose work came back without an answer.
type note struct {
	returned int       // how often, since the last answer
	failed   int       // how often of these an entity's batch failed as a whole
	invalid  int       // how often of these the answer to a turn was invalid
	until    time.Time // it is given to nobody before
	inline   bool      // a worker wants the whole history in the message
}

// The delay after the second time that work comes back, and the longest.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 30 * time.Second
)

// returned notes that work came back; w.mu is held.
func (w *Workers) returned(s subject) {
	n, _ := w.notes.get(s)
	var delay time.Duration
	if n.returned > 0 {
		delay = min(firstDelay<<min(n.returned-1, 16), maxDelay)
	}
	n.returned++
	n.until = time.Now().Add(delay)
	w.notes.put(s, n, 1)
}

// delay is how long work that came back is given to nobody yet.
func (w *Workers) delay(s subject) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, ok := w.notes.get(s)
	if !ok {
		return 0
	}
	return time.Until(n.until)
}

// Drain gives out no more work, ends the workers' connections, which they take for the end of the
// server and nothing wrong, and waits until they have answered what they had, or ctx ends. Answers
// are taken until Close.
func (w *Workers) Drain(ctx context.Context) {
	select {
	case <-w.BeginDrain():
	case <-ctx.Done():
	}
}

// BeginDrain is Drain that does not wait: what it gives is closed when all is answered. Call it
// before anything else that ends the workers' connections, else what they have is taken for lost,
// and no answer to it is waited for. It is safe to call more than once.
func (w *Workers) BeginDrain() (answered <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered == nil { // the first time
		w.answered = make(chan struct{})
		w.awaited = map[*flight]struct{}{}
		for _, f := range w.tokens {
			if f.state != lost {
				w.awaited[f] = struct{}{}
			}
		}
		if len(w.awaited) == 0 {
			close(w.answered)
		}
		w.drain()
	}
	return w.answered
}

// errDraining tells workers to look for another server.
var errDraining = errors.New("the server is ending: it gives out no more work")

// Close drains, gives back to the engine what no worker has answered and takes no more answers.
// Close it before the engine. It is safe to call more than once.
func (w *Workers) Close() {
	w.close()
	w.list.Close()
	w.mu.Lock()
	var held []*flight
	for _, f := range w.tokens {
		if f.state == inHand {
			w.end(f)
			held = append(held, f)
		}
	}
	w.mu.Unlock()
	for _, f := range held {
		f.release()
	}
}
