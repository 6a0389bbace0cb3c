package durable

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// executor runs the body of one execution as a coroutine. Between turns the body
// stays parked in the middle of an Await; the next event costs one switch. When
// the executor is gone, a new one is given the past and replays it: the body runs
// from its start, and each action that it takes must be the one that the history
// has at that place.
//
// It is an engine.Executor: the engine sees to it that one goroutine at a time
// calls it.
type executor struct {
	rt       *registry
	def      *orchestration
	ctx      *Context
	instance history.Instance
	turn     *engine.Turn
	begun    *history.Event // its ExecutionStarted

	// The body.
	next      func() (struct{}, bool)
	stop      func()
	yield     func(struct{}) bool
	ready     func() bool // what a parked body waits for
	running   bool        // right now, rather than an event being applied between its turns
	finished  bool
	output    history.Payload
	err       error
	unwinding bool

	// What it may see.
	now         time.Time
	replaying   bool
	completions int64
	guids       uint64
	custom      history.Payload
	tasks       map[int32]func(*history.Event) // who takes the answer to an action
	requests    map[string]*completion         // entity calls
	events      map[string]*eventQueue
	arrivals    []*queued // external events that nobody took, oldest first
	suspended   bool
	held        []*history.Event

	// What it does.
	nextID  int32
	calls   int32
	actions []*history.Event
	pieces  []engine.Piece // stored in this turn

	replay replayState
	fault  *history.Failure // it diverged from its history: nothing more is run
	span   orchestrationSpan
}

func newExecutor(rt *registry, def *orchestration) *executor {
	x := &executor{rt: rt, def: def, tasks: map[int32]func(*history.Event){}, requests: map[string]*completion{}, events: map[string]*eventQueue{}}
	x.ctx = &Context{x}
	return x
}

// Turn implements engine.Executor.
func (x *executor) Turn(t *engine.Turn) {
	x.turn, x.instance = t, t.Instance
	x.actions, x.custom, x.pieces = nil, nil, nil
	if t.Past != nil {
		if t.Err = x.replayPast(t.Past); t.Err != nil {
			return
		}
	}
	if x.fault == nil {
		x.step(t.New)
	}
	x.report(t)
	x.span.turn(x, t)
	x.turn = nil
}

// step applies the events of one turn and lets the body go on.
func (x *executor) step(evs []*history.Event) {
	for _, ev := range evs {
		x.apply(ev)
	}
	x.resume()
}

// report fills in what the turn came to.
func (x *executor) report(t *engine.Turn) {
	if x.fault != nil { // what the diverging code wanted is not done
		t.Actions = []*history.Event{{
			Kind: history.ExecutionCompleted, ID: max(x.nextID, x.replay.lastID+1), Status: history.Failed, Failure: x.fault,
		}}
		return
	}
	t.CustomStatus, t.Actions = x.custom, x.actions
	if !x.finished {
		return
	}
	done := x.ending()
	t.Actions = append(t.Actions, done)
	if done.Status != history.ContinuedAsNew {
		return
	}
	for _, q := range x.arrivals {
		if !q.taken {
			t.Carryover = append(t.Carryover, q.ev)
		}
	}
}

// ending is the last action of a body that has ended.
func (x *executor) ending() *history.Event {
	done := &history.Event{Kind: history.ExecutionCompleted, ID: x.nextID, Status: history.Completed, Data: x.output}
	var again *continueAsNew
	switch {
	case errors.As(x.err, &again):
		done.Status, done.Data = history.ContinuedAsNew, again.input
	case x.err != nil:
		done.Status, done.Data, done.Failure = history.Failed, nil, failureOf(x.err)
	}
	return done
}

// apply takes note of one event from outside.
func (x *executor) apply(ev *history.Event) {
	if x.suspended && ev.Kind != history.ExecutionResumed && ev.Kind != history.OrchestratorStarted {
		x.held = append(x.held, ev)
		return
	}
	switch ev.Kind {
	case history.OrchestratorStarted:
		x.now = ev.Time
	case history.ExecutionStarted:
		x.begun = ev
		x.begin(ev.Data)
	case history.TaskCompleted, history.TaskFailed, history.TimerFired, history.ChildCompleted, history.ChildFailed:
		if take := x.tasks[ev.Answers]; take != nil {
			delete(x.tasks, ev.Answers)
			take(ev)
		}
	case history.EntityOperationCompleted, history.EntityOperationFailed:
		if c := x.requests[ev.Request]; c != nil {
			delete(x.requests, ev.Request)
			c.complete(ev.Data, taskError(c.label, ev))
		}
	case history.EventRaised:
		x.raise(ev)
	case history.ExecutionSuspended:
		x.suspended = true
	case history.ExecutionResumed:
		x.suspended = false
		held := x.held
		x.held = nil
		for _, h := range held {
			x.apply(h)
		}
	}
}

// errUnwinding is what waits give while deferred functions run because the body
// is being given up; nobody sees what they make of it.
var errUnwinding = errors.New("the orchestration is being put away")

// begin makes the coroutine. It does not run until the first resume.
func (x *executor) begin(input history.Payload) {
	x.next, x.stop = iter.Pull(func(yield func(struct{}) bool) {
		x.yield = yield
		returned := false
		defer func() {
			r := recover()
			if x.unwinding {
				return // whatever its deferred functions made of it
			}
			if r != nil {
				x.err = panicError(r)
			} else if !returned {
				// The body called runtime.Goexit (as t.FailNow does). It would take
				// the goroutine of whoever resumed it with it, so it is parked here,
				// on its way out, until it is unwound.
				x.err = errors.New("the orchestration ended its goroutine (runtime.Goexit)")
				x.finished = true
				yield(struct{}{})
				return
			}
			x.finished = true
		}()
		x.output, x.err = x.def.body(x.ctx, input)
		returned = true
	})
}

func panicError(r any) error {
	err, ok := r.(error)
	if !ok {
		err = fmt.Errorf("%v", r)
	}
	return &panicked{err, string(debug.Stack())}
}

// panicked is the error of a body or function that panicked.
type panicked struct {
	err   error
	stack string
}

func (p *panicked) Error() string { return "panic: " + p.err.Error() }
func (p *panicked) Unwrap() error { return p.err }

// resume switches to the body, unless what it waits for has not come.
func (x *executor) resume() {
	if x.finished || x.fault != nil || x.next == nil || x.suspended || x.ready != nil && !x.ready() {
		return
	}
	x.running = true
	x.next()
	x.running = false
}

// park is called by the body: it waits until ready.
func (x *executor) park(ready func() bool) error {
	if x.unwinding {
		return errUnwinding
	}
	for !ready() {
		x.ready = ready
		x.leave()
	}
	x.ready = nil
	return nil
}

// leave switches back to whoever resumed the body. When the executor is closed
// meanwhile it does not come back: the body's goroutine ends, which no recover
// in the user's code can stop, and its deferred functions run.
func (x *executor) leave() {
	if !x.yield(struct{}{}) {
		runtime.Goexit()
	}
}

// stall ends the body's turn for good: it diverged.
func (x *executor) stall() {
	x.ready = func() bool { return false }
	x.leave()
}

// fail fails the orchestration from within the body's code.
func (x *executor) fail(err error) {
	if x.unwinding || x.finished {
		return
	}
	x.err, x.finished = err, true
	x.leave()
}

// Close implements engine.Executor.
func (x *executor) Close() {
	if x.next == nil {
		return
	}
	x.unwinding = true
	done := make(chan struct{})
	go func() { // Goexit in the body passes through stop
		defer close(done)
		x.stop()
	}()
	<-done
	x.span.drop()
}

// newCompletion makes a task that is not complete.
func (x *executor) newCompletion(label string) *completion { return &completion{x: x, label: label} }

// emit is the one way in which an orchestration acts: the action gets the next
// number, and is new, or the one that the history has at this place.
func (x *executor) emit(ev *history.Event) *history.Event {
	if x.unwinding || x.fault != nil || x.finished {
		return ev
	}
	ev.ID = x.nextID
	x.nextID++
	if !x.replaying {
		ev.Trace = x.span.context(x)
		x.actions = append(x.actions, ev)
		return ev
	}
	if !x.matches(ev) && x.running {
		x.stall()
	}
	return ev
}

// startTimer emits a timer and says what happens when it fires.
func (x *executor) startTimer(at time.Time, fired func()) {
	ev := x.emit(&history.Event{Kind: history.TimerCreated, FireAt: at})
	x.tasks[ev.ID] = func(*history.Event) { fired() }
}

// eventQueue is the external events of one name, and who waits for them.
type eventQueue struct {
	events  []*queued
	waiting []*completion
}

type queued struct {
	ev    *history.Event
	taken bool
}

func (x *executor) queue(name string) *eventQueue {
	name = strings.ToLower(name)
	q := x.events[name]
	if q == nil {
		q = &eventQueue{}
		x.events[name] = q
	}
	return q
}

func (x *executor) raise(ev *history.Event) {
	q := x.queue(ev.Name)
	if len(q.waiting) > 0 {
		c := q.waiting[0]
		q.waiting = q.waiting[1:]
		c.complete(ev.Data, nil)
		return
	}
	item := &queued{ev: ev}
	q.events = append(q.events, item)
	x.arrivals = append(x.arrivals, item)
}

func (x *executor) waitEvent(name string) *completion {
	c, q := x.newCompletion("event "+name), x.queue(name)
	if len(q.events) == 0 {
		q.waiting = append(q.waiting, c)
		return c
	}
	item := q.events[0]
	q.events = q.events[1:]
	item.taken = true
	c.complete(item.ev.Data, nil)
	x.forget()
	return c
}

// forget drops the taken events at the front of the arrivals, so that they do
// not grow with what is done.
func (x *executor) forget() {
	n := 0
	for n < len(x.arrivals) && x.arrivals[n].taken {
		n++
	}
	x.arrivals = x.arrivals[n:]
}
