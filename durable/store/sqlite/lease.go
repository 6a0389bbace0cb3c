package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// lease is the right to write: an operating-system lock on a file of its own. It
// goes with the process, however that ends, so that nothing has to be cleaned up
// after a crash.
type lease struct {
	lock   *flock.Flock
	holder string // file that says who holds it, for others to show
}

// holder is what the holder file says.
type holder struct {
	PID     int       `json:"pid"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// Pauses between looks at a lock that somebody else holds: the system has no way
// to wait for one that can be cancelled.
const (
	firstLook = 5 * time.Millisecond
	everyLook = 200 * time.Millisecond
)

func takeLease(ctx context.Context, name, path string, o *Options) (*lease, error) {
	l := &lease{
		lock:   flock.New(path+lockSuffix, flock.SetPermissions(0o600)),
		holder: path + holderSuffix,
	}
	for pause := firstLook; ; pause = min(2*pause, everyLook) {
		got, err := l.lock.TryLock()
		if err != nil {
			return nil, &store.OpenError{Store: name, Problem: "cannot be locked", Err: err,
				Advice: "make its directory writable or choose another --store"}
		}
		if got {
			break
		}
		if !o.Wait {
			return nil, l.held(name)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), l.held(name))
		case <-time.After(pause):
		}
	}
	if err := l.announce(holder{PID: os.Getpid(), Program: o.Program, Since: time.Now().UTC().Truncate(time.Second)}); err != nil {
		return nil, errors.Join(&store.OpenError{Store: name, Problem: "cannot be written beside", Err: err,
			Advice: "make its directory writable or choose another --store"}, l.lock.Close())
	}
	return l, nil
}

// announce writes the holder file so that a reader sees all of it or the former
// one.
func (l *lease) announce(h holder) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	temp := fmt.Sprintf("%s.%d", l.holder, h.PID)
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temp, l.holder); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return nil
}

// held describes who has the lock. The file may be missing or, for an instant
// after a take-over, name the one before: it is for people to read, the lock
// alone decides.
func (l *lease) held(name string) error {
	e := &store.HeldError{Store: name}
	var h holder
	if b, err := os.ReadFile(l.holder); err == nil && json.Unmarshal(b, &h) == nil {
		e.PID, e.Program, e.Since = h.PID, h.Program, h.Since
	}
	return e
}

// release gives the lease back. The lock file stays: removing it would let two
// processes lock two files of one name.
func (l *lease) release() error {
	_ = os.Remove(l.holder)
	return l.lock.Close()
}
