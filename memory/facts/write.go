package facts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// NewFact is what [Memory.Remember] takes.
type NewFact struct {
	// Key makes the fact one: remembering it again by the same key changes nothing, also
	// when it was forgotten since. A tool takes its call's.
	Key        string
	Text       string
	Tags       []string
	Run, Agent string // where it comes from
}

// FactID is the id that a fact gets from its scope and key.
func FactID(s Scope, key string) string {
	sum := sha256.Sum256([]byte(string(s) + "\x00" + key))
	return hex.EncodeToString(sum[:8])
}

// ErrPending is the error of a write that is on disk but has not taken effect for some
// seconds: the entity is locked, or has much to do. It will.
var ErrPending = errors.New("it is noted, and takes effect later")

// Remember keeps a fact and gives its id, or that of one that says the same. A scope that is
// full keeps what it has: that is an error.
func (m *Memory) Remember(ctx context.Context, s Scope, f NewFact) (id string, err error) {
	if f.Key == "" {
		return "", errors.New("facts: a fact needs a key, by which a second attempt to remember it is known")
	}
	if err := check(f.Text, f.Tags); err != nil {
		return "", fmt.Errorf("facts: %w", err)
	}
	id = FactID(s, f.Key)
	var done Settled
	settled := func(st *State) (ok bool) { done, ok = st.outcome(id); return ok }
	st, c, err := m.state(ctx, s)
	if err != nil {
		return "", err
	}
	if !settled(&st) {
		if err := AddFact.Send(ctx, c, string(s), Fact{ID: id, Text: f.Text, Tags: f.Tags, Run: f.Run, Agent: f.Agent}); err != nil {
			return "", fmt.Errorf("facts of %s: %w", s, err)
		}
		switch ok, err := m.await(ctx, s, settled); {
		case err != nil:
			return "", fmt.Errorf("facts of %s: %w", s, err)
		case !ok:
			return id, fmt.Errorf("facts of %s: %w", s, ErrPending)
		}
	}
	switch {
	case done.Why != "":
		return "", fmt.Errorf("facts: %s", done.Why)
	case done.Has != "":
		return done.Has, nil
	}
	return id, nil // it was forgotten since
}

// Forget drops facts by their ids and gives how many of them were there.
func (m *Memory) Forget(ctx context.Context, s Scope, ids ...string) (int, error) {
	st, c, err := m.state(ctx, s)
	if err != nil {
		return 0, err
	}
	var there []string
	for _, f := range st.Facts {
		if slices.Contains(ids, f.ID) {
			there = append(there, f.ID)
		}
	}
	if len(there) == 0 {
		return 0, nil
	}
	if err := DropFacts.Send(ctx, c, string(s), there); err != nil {
		return 0, fmt.Errorf("facts of %s: %w", s, err)
	}
	ok, err := m.await(ctx, s, func(st *State) bool {
		return !slices.ContainsFunc(st.Facts, func(f Fact) bool { return slices.Contains(there, f.ID) })
	})
	switch {
	case err == nil && !ok:
		err = ErrPending
	case err == nil: // what is forgotten is not to stay in the index until somebody searches
		_, err = m.sync(ctx, s)
	}
	if err != nil {
		return len(there), fmt.Errorf("facts of %s: %w", s, err)
	}
	return len(there), nil
}

// patience bounds how long a writer waits to see what came of it.
const patience = 5 * time.Second

// await reads a scope until something is so in its state; false if that takes too long.
func (m *Memory) await(ctx context.Context, s Scope, so func(*State) bool) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		st, _, err := m.state(ctx, s)
		if err == nil && so(&st) {
			return true, nil
		}
		if err != nil && ctx.Err() == nil {
			return false, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			if context.Cause(ctx) == errPatience {
				return false, nil
			}
			return false, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

var errPatience = errors.New("it takes long")
