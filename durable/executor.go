package durable

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// executor runs the body of one execution as a coroutine, with those that it starts
// beside itself. Between turns they stay parked in the middle of an Await; the next event costs one switch. When
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
	begun    *beginning      // nil before
	input    history.Payload // until the body takes it

	// The code.
	routines  []*routine // the body and what it gave to Go, oldest first
	current   *routine   // the one that runs right now; nil while an event is applied
	finished  bool
	output    history.Payload
	err       error
	unwinding bool

	// What it may see.
	now         time.Time
	replaying   bool
	completions int64
	guids       uint64
	rand        *rand.Rand // see Context.Rand
	custom      history.Payload
	tasks       map[int32]func(*history.Event) // who takes the answer to an action; nil before the first
	requests    map[string]*completion         // entity calls; likewise
	section     *criticalSection               // the lock that it has or waits for
	events      map[string]*eventQueue         // likewise
	arrivals    []*queued                      // external events that nobody took, oldest first
	taken       int                            // how many of these were taken since
	suspended   bool
	held        []*history.Event
	cancelEvent *history.Event // the one that cancelled the orchestration

	// What it does.
	nextID  int32
	calls   int32
	actions []*history.Event
	pieces  []engine.Piece // stored in this turn
	over    []int32        // calls that failed in this turn for good, or were given up between two attempts

	replay replayState
	fault  *history.Failure // it diverged from its history: nothing more is run
	span   orchestrationSpan
}

// beginning is what stays known of the ExecutionStarted: not the input, which may
// be large and which only the function needs.
type beginning struct {
	at               time.Time
	version, lineage string
	parent           *history.Parent
	tags             map[string]string
	trace            history.TraceContext
}

func newExecutor(rt *registry, def *orchestration) *executor {
	x := &executor{rt: rt, def: def}
	x.ctx = &Context{x, &scope{x: x}}
	return x
}

// Turn implements engine.Executor.
func (x *executor) Turn(t *engine.Turn) {
	x.turn, x.instance.ID = t, t.Instance.ID
	if x.begun == nil || x.begun.lineage == "" {
		x.instance = t.Instance
	}
	x.actions, x.custom, x.pieces, x.over = nil, nil, nil, nil
	if t.Past != nil {
		if t.Err = x.replayPast(t.Past); t.Err != nil {
			return
		}
		x.doAgain()
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
	t.Diverged = x.fault != nil
	if t.Diverged { // what the diverging code wanted is not done
		t.Actions = []*history.Event{{
			Kind: history.ExecutionCompleted, ID: max(x.nextID, x.replay.lastID+1), Status: history.Failed, Failure: x.fault,
		}}
		return
	}
	t.CustomStatus, t.Actions, t.Over = x.custom, x.actions, x.over
	if !x.finished {
		return
	}
	done := x.ending()
	t.Actions = append(t.Actions, done)
	var again *continueAsNew
	if !errors.As(x.err, &again) {
		return
	}
	t.NewVersion = again.version
	if x.cancelEvent != nil { // whoever was asked to cancel stays so
		t.Carryover = append(t.Carryover, x.cancelEvent)
	}
	for _, q := range x.arrivals {
		if !q.taken && !again.dropEvents {
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
		done.Status, done.Data, done.Failure = history.Failed, nil, x.rt.errors.failure(x.err)
		if x.cancelEvent != nil && errors.Is(x.err, context.Canceled) {
			done.Status = history.Canceled
		}
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
		x.begun = &beginning{at: ev.Time, version: ev.Version, lineage: ev.Lineage, parent: ev.Parent, tags: ev.Tags, trace: ev.Trace}
		if ev.Lineage != "" {
			x.instance.Execution = ev.Lineage // the ids that the code makes stay the same
		}
		x.input = ev.Data
		x.begin()
	case history.TaskCompleted, history.TaskFailed, history.TimerFired, history.ChildCompleted, history.ChildFailed:
		if take := x.tasks[ev.Answers]; take != nil {
			delete(x.tasks, ev.Answers)
			take(ev)
		}
	case history.EntityOperationCompleted, history.EntityOperationFailed:
		x.section.answered(ev.Request)
		if c := x.requests[ev.Request]; c != nil {
			delete(x.requests, ev.Request)
			c.complete(ev.Data, x.rt.errors.taskError(c.label, ev))
		}
	case history.EntityLockGranted:
		x.locked(ev)
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
	if !x.matches(ev) && x.current != nil {
		x.stall()
	}
	return ev
}

// startTimer makes a timer be what the task waits for, and says what happens when
// it fires.
func (c *completion) startTimer(at time.Time, fired func()) {
	ev := c.x.emit(&history.Event{Kind: history.TimerCreated, FireAt: at})
	c.source, c.action = fromTimer, ev.ID
	c.x.expect(ev.ID, func(*history.Event) { fired() })
}

// expect says who takes the answer to an action.
func (x *executor) expect(action int32, take func(*history.Event)) {
	if x.tasks == nil {
		x.tasks = map[int32]func(*history.Event){}
	}
	x.tasks[action] = take
}
