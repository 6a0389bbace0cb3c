package durable

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Lock waits until the orchestration has all of these entities, given by their
// ids, for itself. Until it calls unlock, or ends in any way, only its own calls
// run on them; everything else that is sent to them waits, in order.
//
//	unlock, err := durable.Lock(ctx, account.ID(from), account.ID(to))
//	defer unlock()
//	if err != nil {
//		return err
//	}
//
// Orchestrations that lock several entities cannot wait for each other in a
// circle: each locks in the order of the ids, whatever the order given. A lock
// undoes nothing: what was done to the entities stays when the orchestration
// fails.
//
// Until unlock is called there is no second Lock, no call to an entity outside
// the set, no call to one of the set while another call to it is under way, and
// no signal to one of the set (it would wait for this very lock): each of them is
// an error. The lock is the orchestration's: this goes for all its coroutines. unlock
// is never nil, and calling it again does nothing. When the Context's scope is
// cancelled while Lock waits, the request is taken back.
func Lock(ctx *Context, ids ...string) (unlock func(), err error) {
	x := ctx.x
	set, err := lockSet(ids)
	if err == nil && x.section != nil {
		err = NonRetriable(errors.New("the orchestration has or waits for another lock; name all entities in one Lock, or unlock first"))
	}
	if err != nil {
		return func() {}, fmt.Errorf("lock: %w", err)
	}
	c := ctx.newCompletion(label{kind: "lock"})
	if c.done {
		return func() {}, fmt.Errorf("lock: %w", c.err)
	}
	s := x.requestLock(c, set)
	if err = c.await(); err == nil {
		err = c.err
	}
	if err != nil { // the scope was cancelled, which took the request back
		return func() {}, fmt.Errorf("lock: %w", err)
	}
	return func() { x.releaseLock(s) }, nil
}

// lockSet gives the ids in the order in which entities are locked, each once.
func lockSet(ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, NonRetriable(fmt.Errorf("%w: no entity to lock", ErrInvalid))
	}
	set := make([]string, len(ids))
	for i, id := range ids {
		var err error
		if set[i], err = engine.EntityID(id); err != nil {
			return nil, NonRetriable(err)
		}
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

// criticalSection is the lock that an orchestration has or waits for.
type criticalSection struct {
	id      string
	set     []string
	c       *completion // of the request
	granted bool
	left    bool
	busy    map[string]string // entities of the set with a call under way, by its request
}

// requestLock asks for the entities and does not wait: c completes when the
// orchestration has them. Whoever no longer wants them calls releaseLock.
func (x *executor) requestLock(c *completion, set []string) *criticalSection {
	s := &criticalSection{set: set, c: c, busy: map[string]string{}}
	c.source = fromLock
	ev := x.emit(&history.Event{Kind: history.EntityLockRequested, Request: x.guid(), LockSet: set, Sender: history.Instance{ID: x.instance.ID}})
	s.id = ev.Request
	x.section = s
	return s
}

// releaseLock gives the entities back, or takes the request back if they were not
// granted: a grant that comes later is nobody's. Again it does nothing.
func (x *executor) releaseLock(s *criticalSection) {
	if s.left {
		return
	}
	s.left = true
	if x.section == s {
		x.section = nil
	}
	for _, id := range s.set {
		x.emit(&history.Event{Kind: history.EntityUnlockSent, Request: s.id, Sender: history.Instance{ID: x.instance.ID}, Target: id})
	}
}

// locked takes note of a lock that was granted.
func (x *executor) locked(ev *history.Event) {
	if s := x.section; s != nil && s.id == ev.Request {
		s.granted = true
		s.c.complete(nil, nil)
	}
}

// mayCall says why an entity must not be called now.
func (s *criticalSection) mayCall(id string) error {
	switch {
	case s == nil:
		return nil
	case !s.granted:
		return NonRetriable(errors.New("no entity can be called while the orchestration waits for a lock"))
	case !slices.Contains(s.set, id):
		return NonRetriable(fmt.Errorf("%s is not among the entities that the orchestration has locked; name it in Lock too, or unlock first", id))
	case slices.Contains(slices.Collect(maps.Values(s.busy)), id):
		return NonRetriable(fmt.Errorf("another call to %s, which is locked, is under way; wait for its result first", id))
	}
	return nil
}

// called notes a call under way.
func (s *criticalSection) called(id, request string) {
	if s != nil {
		s.busy[request] = id
	}
}

// answered notes the end of a call.
func (s *criticalSection) answered(request string) {
	if s != nil {
		delete(s.busy, request)
	}
}

// maySignal says why an entity must not be signalled now.
func (s *criticalSection) maySignal(id string) error {
	if s != nil && slices.Contains(s.set, id) {
		return NonRetriable(fmt.Errorf("a signal to %s would wait until the orchestration unlocks it; call it instead, or unlock first", id))
	}
	return nil
}
