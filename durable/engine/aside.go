package engine

import (
	"errors"
	"fmt"
)

// ErrSetAside: what the store has of the instance cannot be read.
var ErrSetAside = errors.New("the instance is set aside until its data is repaired and the program started again")

// setAside leaves an instance that cannot be read alone, for as long as this
// engine runs: whoever asks for it hears why, everything else goes on. What was
// sent to it stays in the inbox, since it consumes nothing, and the next engine
// tries again. The caller owns the instance.
func (e *Engine) setAside(in *instance, err error) {
	e.log.Error("an instance cannot be read and is set aside; repair its data and start the program again", "instance", in.id, "err", err)
	in.mu.Lock()
	in.aside = fmt.Errorf("%s: %w: %w", in.id, ErrSetAside, err)
	in.mu.Unlock()
	if in.exec != nil {
		in.exec.Close()
		in.exec = nil
	}
	e.waiters.wake(in.id)
}

// refuse answers whoever asks something of an instance that is set aside.
func (e *Engine) refuse(in *instance, msgs []*message) {
	for _, m := range msgs {
		e.payloads.unpin(m.pieces)
	}
	failMessages(msgs, in.aside)
}

// isAside tells why the instance is set aside; nil if it is not.
func (in *instance) isAside() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.aside
}

// aside tells the same of the instance with this id.
func (t *table) aside(id string) error {
	t.mu.Lock()
	in := t.m[id]
	t.mu.Unlock()
	if in == nil {
		return nil
	}
	return in.isAside()
}
