package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// progressEvery is how often a call's progress is written at most.
const progressEvery = time.Second

// progressTable is what calls have told of their progress and have not been
// over since. It is all in memory, for there is little of it, so that the store
// is read once, and told only of what it holds.
//
// A record is written by change sets of its own. It is forgotten by the turn that
// learns that the call is over, and no write may come after that in the log:
// both hold progress.mu, the writer until its change set has its place.
type progressTable struct {
	e     *Engine
	count atomic.Int64 // records; while it is 0, turns pay nothing

	mu      sync.Mutex
	records map[int64]map[progressKey]*progress // by instance
	wg      sync.WaitGroup                      // writes under way
	stopped bool
}

// progressKey is a store.ProgressKey within its instance.
type progressKey struct {
	execution string
	call      int32
}

type progress struct {
	key   store.ProgressKey
	flush expiry

	mu      sync.Mutex
	data    history.Payload
	at      time.Time
	written time.Time // monotonic
	dirty   bool      // there is something that was not written
	gone    bool
}

// load reads what the store has.
func (p *progressTable) load(ctx context.Context) error {
	for r, err := range p.e.store.Progress(ctx) {
		if err != nil {
			return err
		}
		x := p.record(r.ProgressKey)
		x.data, x.at = r.Data, r.At
	}
	return nil
}

// record gives the record of a call, made where there is none. p.mu is held, or
// nobody else is there yet.
func (p *progressTable) record(k store.ProgressKey) *progress {
	of := p.records[k.Num]
	if of == nil {
		of = map[progressKey]*progress{}
		if p.records == nil {
			p.records = map[int64]map[progressKey]*progress{}
		}
		p.records[k.Num] = of
	}
	x := of[progressKey{k.Execution, k.Call}]
	if x == nil {
		x = &progress{key: k}
		x.flush.fire = func() { p.write(x) }
		of[progressKey{k.Execution, k.Call}] = x
		p.count.Add(1)
	}
	return x
}

// progressKey names the logical call.
func (c *call) progressKey() store.ProgressKey {
	k := store.ProgressKey{Num: c.num, Execution: c.exec, Call: c.ev.Call}
	if k.Call == 0 {
		k.Call = c.ev.ID
	}
	return k
}

// keep takes note of what a call tells.
func (p *progressTable) keep(c *call, data history.Payload, at time.Time) error {
	p.mu.Lock()
	c.mu.Lock()
	over := c.cancel == nil || c.answered || c.muted
	c.mu.Unlock()
	if over || p.stopped {
		p.mu.Unlock()
		return errNotRunning
	}
	x := p.record(c.progressKey())
	p.mu.Unlock()

	x.mu.Lock()
	first := !x.dirty // otherwise it is on its way, or waits for its time
	x.data, x.at, x.dirty = data, at, true
	next := x.written.Add(progressEvery)
	x.mu.Unlock()
	switch {
	case first && next.After(time.Now()):
		p.e.cuts.set(&x.flush, next)
	case first:
		p.write(x)
	}
	return nil
}

// write makes what was told last durable, by a change set of its own that goes
// with the next commit.
func (p *progressTable) write(x *progress) {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return
	}
	p.wg.Add(1)
	p.mu.Unlock()
	go func() { // the log may be full, and nobody is to wait for that
		defer p.wg.Done()
		x.mu.Lock()
		var cs *changeSet
		if w, ok := x.take(); ok {
			cs = &changeSet{progress: []store.ProgressWrite{w}}
			p.e.commits.submit(cs)
		}
		x.mu.Unlock()
		if cs != nil {
			p.e.commits.drive(false)
		}
	}()
}

// take gives what is to be written. x.mu is held.
func (x *progress) take() (store.ProgressWrite, bool) {
	if x.gone || !x.dirty {
		return store.ProgressWrite{}, false
	}
	x.dirty, x.written = false, time.Now()
	return store.ProgressWrite{Progress: store.Progress{ProgressKey: x.key, Data: x.data, At: x.at}}, true
}

// get gives a call's progress.
func (p *progressTable) get(k store.ProgressKey) (data history.Payload, at time.Time, ok bool) {
	if p.count.Load() == 0 {
		return nil, time.Time{}, false
	}
	p.mu.Lock()
	x := p.records[k.Num][progressKey{k.Execution, k.Call}]
	p.mu.Unlock()
	if x == nil {
		return nil, time.Time{}, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.data, x.at, true
}

// answered adds to out what an answer does to the call's progress: a result ends
// it, and a failure is perhaps tried again from there.
func (p *progressTable) answered(out []store.ProgressWrite, c *call, ev *history.Event) []store.ProgressWrite {
	switch {
	case p.count.Load() == 0:
		return out
	case ev.Kind == history.TaskCompleted:
		return p.forget(out, c.progressKey())
	}
	p.mu.Lock()
	k := c.progressKey()
	x := p.records[k.Num][progressKey{k.Execution, k.Call}]
	p.mu.Unlock()
	if x != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		if w, ok := x.take(); ok {
			p.e.cuts.clear(&x.flush)
			return append(out, w)
		}
	}
	return out
}

// forget drops the record of a call that is over, and adds the write of that.
func (p *progressTable) forget(out []store.ProgressWrite, k store.ProgressKey) []store.ProgressWrite {
	if p.count.Load() == 0 {
		return out
	}
	p.mu.Lock()
	of := p.records[k.Num]
	x := of[progressKey{k.Execution, k.Call}]
	if x != nil {
		p.drop(of, x)
	}
	p.mu.Unlock()
	if x == nil {
		return out
	}
	return append(out, x.bury(p.e))
}

// forgetAll does so for an execution that ends, and for what its calls that run on
// would still tell.
func (p *progressTable) forgetAll(out []store.ProgressWrite, num int64, execution string, calls map[int32]*call) []store.ProgressWrite {
	for _, c := range calls {
		c.mute()
	}
	if p.count.Load() == 0 && len(calls) == 0 {
		return out
	}
	var gone []*progress
	p.mu.Lock()
	of := p.records[num]
	for k, x := range of {
		if k.execution == execution {
			p.drop(of, x)
			gone = append(gone, x)
		}
	}
	p.mu.Unlock()
	for _, x := range gone {
		out = append(out, x.bury(p.e))
	}
	return out
}

// drop takes a record out of the table. p.mu is held.
func (p *progressTable) drop(of map[progressKey]*progress, x *progress) {
	delete(of, progressKey{x.key.Execution, x.key.Call})
	if len(of) == 0 {
		delete(p.records, x.key.Num)
	}
	p.count.Add(-1)
}

// bury waits for a write that has no place in the log yet and lets none follow.
func (x *progress) bury(e *Engine) store.ProgressWrite {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = true
	e.cuts.clear(&x.flush)
	return store.ProgressWrite{Progress: store.Progress{ProgressKey: x.key}, Gone: true}
}

// stop hands what was told and not written to the log, and takes nothing more.
func (p *progressTable) stop() {
	p.mu.Lock() // to the end: no turn is to forget a record between its being taken and submitted
	defer p.mu.Unlock()
	p.stopped = true
	cs := &changeSet{}
	for _, of := range p.records {
		for _, x := range of {
			x.mu.Lock()
			if w, ok := x.take(); ok {
				cs.progress = append(cs.progress, w)
			}
			x.mu.Unlock()
		}
	}
	p.wg.Wait()
	if len(cs.progress) > 0 {
		p.e.commits.submit(cs)
	}
}

// errNotRunning: a function has ended, or its time was over, and something that it
// left behind goes on.
var errNotRunning = errors.New("the call of the activity is over")

// Heartbeat tells that the function is alive and, unless data is nil, how far it
// is. What it tells is there for the next attempt, also in another process; it is
// written at most once a second, and together with the failure of an attempt. It
// never waits for that. The error tells why the function should end.
func (c *Call) Heartbeat(data history.Payload) error {
	k := c.call
	if k == nil {
		return errNotRunning // nobody's call: a test has made it
	}
	k.mu.Lock()
	var err error
	switch {
	case k.cancel == nil || k.answered:
		err = errNotRunning
	case k.cancelled:
		err = ErrCanceled
	case k.terms != nil && k.terms.expired != "":
		err = k.timeout(k.terms.expired)
	case k.terms != nil:
		k.terms.beat = time.Now()
	}
	k.mu.Unlock()
	if err != nil || data == nil {
		return err
	}
	return c.engine.progress.keep(k, data, c.engine.now())
}

// Progress gives what the call has told last, in this attempt or an earlier one.
func (c *Call) Progress() (data history.Payload, ok bool) {
	if c.call == nil {
		return nil, false
	}
	data, _, ok = c.engine.progress.get(c.call.progressKey())
	return data, ok
}
