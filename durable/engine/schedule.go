package engine

import (
	"context"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// An instance that starts later is a row with the time in Due. The message that
// starts it and all that come meanwhile are held: they lie in the inbox, marked,
// and go with the instance from memory when that is needed. When it is due its
// owner takes them in their order.

// waits reports whether the instance starts later.
func (in *instance) waits() bool { return !in.startAt.IsZero() }

// wait holds a message until the instance starts.
func (t *turn) wait(m *message) {
	in := t.in
	if m.held { // read from the inbox again, and put into used by receive, as the last one
		t.cs.used = t.cs.used[:len(t.cs.used)-1]
		in.early = append(in.early, m)
		return
	}
	h := &message{key: t.e.key.Add(1), to: in.id, exec: in.row.Execution, ev: m.ev, held: true}
	t.cs.hold = append(t.cs.hold, h)
	in.early = append(in.early, h)
}

// release takes what was held: the instance starts, or is terminated before.
func (t *turn) release() {
	held := t.in.early
	t.in.early, t.in.startAt = nil, time.Time{}
	for _, m := range held {
		t.receive(m)
	}
}

// errReuse has the words that the protocol's clients compare.
var errReuse error = &argumentError{"Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"}

// argumentError is an ErrInvalid whose text is whole without it.
type argumentError struct{ text string }

func (e *argumentError) Error() string { return e.text }
func (e *argumentError) Unwrap() error { return ErrInvalid }

// checkReuse refuses to replace live instances, which are terminated first, for
// those who do not replace terminated ones.
func checkReuse(statuses []history.Status) error {
	live := func(s history.Status) bool {
		return s == history.Running || s == history.Pending || s == history.Suspended
	}
	if slices.ContainsFunc(statuses, live) && !slices.Contains(statuses, history.Terminated) {
		return errReuse
	}
	return nil
}

// giveWay makes room for another instance of the same id, in the same turn: a
// live one is terminated, and everything of the old one goes.
func (t *turn) giveWay() {
	in := t.in
	if !in.row.Status.Ended() {
		t.letGo()
		if in.parent != nil {
			t.reply(answer(in.parent, t.e.key.Add(1), t.now, history.Terminated, nil, nil))
		}
	}
	t.forget()
}

// heldInput gives the input of an instance that has not started.
func (e *Engine) heldInput(ctx context.Context, r *store.Instance) (history.Payload, error) {
	list, err := e.store.Inbox(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		m, err := decodeMessage(s)
		if err != nil {
			return nil, err
		}
		if m.ev.Kind == history.ExecutionStarted && m.ev.Instance.Execution == r.Execution {
			return m.ev.Data, nil
		}
	}
	return nil, nil // it has started since the row was read
}
