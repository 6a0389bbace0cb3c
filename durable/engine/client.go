package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// maxID bounds an instance id, in characters (a rule of the protocol).
const maxID = 100

// ErrInvalid is wrapped by the errors of calls whose arguments cannot be right.
var ErrInvalid = errors.New("invalid argument")

// Start is a request for a new instance.
type Start struct {
	ID      string // "": one is made
	Name    string
	Version string
	Input   history.Payload
	Tags    map[string]string
	Trace   history.TraceContext
	// At is when it starts; until then it is Pending. One that is past: now.
	At time.Time
	// Reuse are the statuses of an instance that this one may replace: everything
	// of the other goes, and a live one is terminated first, in the same commit.
	// Whoever replaces live ones has to replace terminated ones too.
	Reuse []history.Status
}

// State is what a client sees of an instance.
type State struct {
	ID, Name, Version string
	Execution         string
	Parent            string
	Status            history.Status
	Created, Updated  time.Time
	Completed         time.Time
	Tags              map[string]string
	CustomStatus      history.Payload
	StartAt           time.Time // of one that is Pending until then

	// These need reads of their own; nil where they were not asked for.
	Input, Output history.Payload
	Failure       *history.Failure
}

// Every method below that changes something returns when the change is on disk.

// Start schedules a new instance and gives its id.
func (e *Engine) Start(ctx context.Context, s Start) (string, error) {
	if s.Name == "" {
		return "", fmt.Errorf("%w: an orchestration has a name", ErrInvalid)
	}
	fresh := s.ID == ""
	if fresh {
		s.ID = newExecution()
	}
	if err := CheckInstanceID(s.ID); err != nil {
		return "", err
	}
	if err := checkReuse(s.Reuse); err != nil {
		return "", err
	}
	ev := &history.Event{Kind: history.ExecutionStarted, ID: history.FromOutside, Time: e.now(), Name: s.Name, Version: s.Version, Data: s.Input, Tags: s.Tags, Trace: s.Trace}
	if at := s.At.UTC().Round(0); at.After(ev.Time) {
		ev.FireAt = at
	}
	return s.ID, e.send(ctx, &message{to: s.ID, ev: ev, fresh: fresh, reuse: s.Reuse})
}

// CheckInstanceID says what is wrong with the id of an orchestration's instance
// (ErrInvalid); nil if nothing is.
func CheckInstanceID(id string) error {
	if isEntity(id) {
		return fmt.Errorf("%w: the id %.20q begins with @, which is for entities", ErrInvalid, id)
	}
	return checkID(id)
}

func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: an instance has an id", ErrInvalid)
	case utf8.RuneCountInString(id) > maxID:
		return fmt.Errorf("%w: the id %.20q… has a length of more than %d characters", ErrInvalid, id, maxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: the id %q is not valid UTF-8", ErrInvalid, id)
	}
	return nil
}

// Raise sends an external event. An instance that has ended takes it and drops it.
func (e *Engine) Raise(ctx context.Context, id, name string, data history.Payload) error {
	return e.control(ctx, id, &history.Event{Kind: history.EventRaised, Name: name, Data: data})
}

// Terminate ends an instance, and with recurse its children, without running
// more of its code; output becomes its output.
func (e *Engine) Terminate(ctx context.Context, id string, output history.Payload, recurse bool) error {
	return e.control(ctx, id, &history.Event{Kind: history.ExecutionTerminated, Data: output, Recurse: recurse})
}

// Suspend keeps an instance from running until Resume.
func (e *Engine) Suspend(ctx context.Context, id string, reason history.Payload) error {
	return e.control(ctx, id, &history.Event{Kind: history.ExecutionSuspended, Data: reason})
}

// Resume ends a suspension.
func (e *Engine) Resume(ctx context.Context, id string, reason history.Payload) error {
	return e.control(ctx, id, &history.Event{Kind: history.ExecutionResumed, Data: reason})
}

func (e *Engine) control(ctx context.Context, id string, ev *history.Event) error {
	if err := checkID(id); err != nil {
		return err
	}
	if isEntity(id) {
		return fmt.Errorf("%w: %s is an entity", ErrInvalid, id)
	}
	ev.ID, ev.Time = history.FromOutside, e.now()
	return e.send(ctx, &message{to: id, ev: ev})
}

// Signal sends an operation to an entity; it runs after the call has returned,
// and not before the time at, if that is set.
func (e *Engine) Signal(ctx context.Context, id, op string, input history.Payload, at time.Time) error {
	id, err := EntityID(id)
	if err != nil {
		return err
	}
	return e.send(ctx, &message{to: id, ev: &history.Event{
		Kind: history.EntityOperationSignaled, ID: history.FromOutside, Time: e.now(), Name: op, Data: input, FireAt: at, Target: id, Request: NewRequest(),
	}})
}

// send delivers a client's message and waits for the commit of what became of
// it. When ctx ends first, the message may still take effect.
func (e *Engine) send(ctx context.Context, m *message) error {
	return e.answered(ctx, e.request(m))
}

// request delivers a client's message; the channel gives the answer, once.
func (e *Engine) request(m *message) <-chan error {
	done := make(chan error, 1)
	if e.closing.Load() {
		done <- e.stopError()
		return done
	}
	m.ack = func(err error) {
		if errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotEnded) || errors.Is(err, ErrCannotRewind) {
			err = fmt.Errorf("%s: %w", m.to, err)
		}
		done <- err
	}
	e.deliver(m.to, m)
	return done
}

// answered waits for the answer to a request.
func (e *Engine) answered(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.halted:
		select {
		case err := <-done:
			return err
		default:
			return e.stopError()
		}
	}
}

// Get gives the committed state of an instance, with data also its input,
// output and failure; ErrNotFound if there is none.
func (e *Engine) Get(ctx context.Context, id string, data bool) (*State, error) {
	r, err := e.row(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.state(ctx, r, data)
}

// row gives the committed row of an orchestration's instance.
func (e *Engine) row(ctx context.Context, id string) (*store.Instance, error) {
	r, err := e.store.Instance(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && isEntity(id) {
		err = fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return r, err
}

func (e *Engine) state(ctx context.Context, r *store.Instance, data bool) (*State, error) {
	s := &State{
		ID: r.ID, Name: r.Name, Version: r.Version, Execution: r.Execution, Parent: r.Parent, Status: r.Status,
		Created: r.Created, Updated: r.Updated, Completed: r.Completed, Tags: r.Tags, CustomStatus: r.CustomStatus,
	}
	if r.Status == history.Pending {
		s.StartAt = r.Due
	}
	var err error
	if data && r.First == 0 && !r.Status.Ended() {
		s.Input, err = e.heldInput(ctx, r)
	}
	if !data || r.First == 0 {
		return s, err
	}
	err = e.scan(ctx, r.First, func(ev *history.Event) {
		if ev.Kind == history.ExecutionStarted {
			s.Input = ev.Data
		}
	})
	if err == nil && r.Status.Ended() {
		err = e.scan(ctx, r.Last, func(ev *history.Event) {
			if ev.Kind == history.ExecutionCompleted {
				s.Output, s.Failure = ev.Data, ev.Failure
			}
		})
	}
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", r.ID, err)
	}
	return s, nil
}

// scan gives the events of one row that carry an execution's input or end.
func (e *Engine) scan(ctx context.Context, key int64, f func(*history.Event)) error {
	row, err := e.store.Row(ctx, key)
	if err != nil {
		return err
	}
	for ev, err := range history.DecodeRows(row) {
		if err != nil {
			return err
		}
		if ev.Kind != history.ExecutionStarted && ev.Kind != history.ExecutionCompleted {
			continue
		}
		if err := e.payloads.resolve(ctx, ev); err != nil {
			return err
		}
		f(ev)
	}
	return nil
}

// Wait waits until an instance has ended and gives its state. An id that is
// unknown is waited for, as the protocol has it.
func (e *Engine) Wait(ctx context.Context, id string) (*State, error) {
	return e.waitFor(ctx, id, history.Status.Ended)
}

// WaitStart waits until an instance has begun, or has ended before that, and gives its
// state. An id that is unknown is waited for.
func (e *Engine) WaitStart(ctx context.Context, id string) (*State, error) {
	return e.waitFor(ctx, id, func(s history.Status) bool { return s != history.Pending })
}

func (e *Engine) waitFor(ctx context.Context, id string, enough func(history.Status) bool) (*State, error) {
	woken := e.waiters.add(id)
	defer e.waiters.remove(id, woken)
	for {
		r, err := e.row(ctx, id)
		if err == nil && enough(r.Status) {
			return e.state(ctx, r, true)
		}
		if err == nil || errors.Is(err, ErrNotFound) {
			if aside := e.instances.aside(id); aside != nil {
				err = aside
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.halted:
			return nil, e.stopError()
		}
	}
}

// Query lists instances.
func (e *Engine) Query(ctx context.Context, q store.Query, data bool) (states []*State, token string, err error) {
	q.Entities = false
	page, err := e.store.Query(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, r := range page.Instances {
		s, err := e.state(ctx, r, data)
		if err != nil {
			return nil, "", err
		}
		states = append(states, s)
	}
	return states, page.Token, nil
}

// Executions lists the executions of an instance, oldest first, the current one
// last.
func (e *Engine) Executions(ctx context.Context, id string) ([]string, error) {
	r, old, err := e.executions(ctx, id)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, x := range old {
		ids = append(ids, x.ID)
	}
	return append(ids, r.Execution), nil
}

func (e *Engine) executions(ctx context.Context, id string) (*store.Instance, []store.Execution, error) {
	r, err := e.row(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	old, err := e.store.Executions(ctx, r.Num)
	return r, old, err
}

// History streams the committed history of one execution; "" is the current one.
func (e *Engine) History(ctx context.Context, id, execution string) iter.Seq2[*history.Event, error] {
	return e.HistoryFrom(ctx, id, execution, 0)
}

// HistoryFrom is History from the event with a number on, counted from 0.
func (e *Engine) HistoryFrom(ctx context.Context, id, execution string, number int) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		r, old, err := e.executions(ctx, id)
		if err != nil {
			yield(nil, err)
			return
		}
		last, found := r.Last, execution == "" || execution == r.Execution
		for _, x := range old {
			if x.ID == execution {
				last, found = x.Last, true
			}
		}
		if !found {
			yield(nil, fmt.Errorf("%s has no execution %s: %w", id, execution, ErrNotFound))
			return
		}
		e.eventsFrom(ctx, id, last, number)(yield)
	}
}

// Effects lists the records of an instance's at-most-once activities.
func (e *Engine) Effects(ctx context.Context, id string) ([]store.Effect, error) {
	r, err := e.store.Instance(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return e.store.Effects(ctx, r.Num)
}

// Payload gives a payload by its hash; the caller must not change it.
func (e *Engine) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	return e.payloads.Payload(ctx, h)
}

// NewRequest makes a request id: a random UUID, which is what every SDK of the
// protocol can read.
func NewRequest() string {
	var b [16]byte
	rand.Read(b[:])
	return FormatUUID(b)
}

// FormatUUID writes 16 bytes as a UUID of version 4.
func FormatUUID(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := make([]byte, 36)
	hex.Encode(s, b[:4])
	hex.Encode(s[9:], b[4:6])
	hex.Encode(s[14:], b[6:8])
	hex.Encode(s[19:], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s)
}

// waiters are woken when an instance has begun or ended, on disk.
type waiters struct {
	mu sync.Mutex
	m  map[string][]chan struct{}
}

func (w *waiters) add(id string) chan struct{} {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.m[id] = append(w.m[id], c)
	w.mu.Unlock()
	return c
}

func (w *waiters) remove(id string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.m[id][:0]
	for _, x := range w.m[id] {
		if x != c {
			rest = append(rest, x)
		}
	}
	if len(rest) == 0 {
		delete(w.m, id)
	} else {
		w.m[id] = rest
	}
}

func (w *waiters) wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.m[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
