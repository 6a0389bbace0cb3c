package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"unicode/utf8"
)

// MaxState is how large a run's state may be, keys and values together in bytes of JSON, 64 KiB. State is for what
// tools tell each other, not for documents.
const MaxState = 64 << 10

// maxStateKey is how long a key may be.
const maxStateKey = 256

type stateKey struct{}

// WithState returns a context for [Tool.Call] in which the tool sees the state of a run. The calls of one context see
// the same state, and not each other's changes: those are in [Result.Changes], for the runner to merge.
// state is not to be changed any more.
func WithState(ctx context.Context, state map[string]json.RawMessage) context.Context {
	return context.WithValue(ctx, stateKey{}, state)
}

// State returns what the run's state, with the changes of this call, has under key, and whether it has anything. The
// error says that the value does not decode into a T. ctx is the one that the tool's function was called with; in
// others there is no state.
func State[T any](ctx context.Context, key string) (value T, ok bool, err error) {
	s := scopeOf(ctx)
	if s == nil {
		return value, false, nil
	}
	raw, ok := s.state.get(key)
	if !ok {
		return value, false, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		var zero T
		return zero, true, fmt.Errorf("run state %q is no %T: %w", key, zero, err)
	}
	return value, true, nil
}

// SetState changes the run's state: value, as JSON, is under key from now on. nil, or what is null in JSON, removes
// the key. The change is made when the call succeeds; a call that fails, or whose result is an error, changes nothing.
//
// The error says that ctx is not that of a call under way, that value has no JSON form, or that the state would be
// larger than [MaxState].
func SetState(ctx context.Context, key string, value any) error {
	s := scopeOf(ctx)
	if s == nil {
		return fmt.Errorf("set run state %q: this is not the context of a tool call", key)
	}
	if key == "" || len(key) > maxStateKey || !utf8.ValidString(key) {
		return fmt.Errorf("set run state: a key has 1 to %d bytes of UTF-8, not %q", maxStateKey, clip(key))
	}
	raw, err := json.Marshal(value)
	if err == nil {
		err = s.state.set(key, raw)
	}
	if err != nil {
		return fmt.Errorf("set run state %q: %w", key, err)
	}
	return nil
}

// MergeState returns a run's state after the changes of a call, see [Result.Changes]. Neither map is changed. The
// error says that the state would be larger than [MaxState], which happens where calls that did not see each other's
// changes have each made it larger.
func MergeState(state, changes map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	merged := make(map[string]json.RawMessage, len(state)+len(changes))
	maps.Copy(merged, state)
	maps.Copy(merged, changes)
	maps.DeleteFunc(merged, func(_ string, raw json.RawMessage) bool { return string(raw) == "null" })
	if size := stateSize(merged); size > MaxState {
		return nil, fmt.Errorf("the run's state would have %d bytes, the limit is %d: keep large values elsewhere and their names here", size, MaxState)
	}
	return merged, nil
}

// stateChanges are what a call has changed so far.
type stateChanges struct {
	mu      sync.Mutex
	base    map[string]json.RawMessage
	changes map[string]json.RawMessage
	over    bool
}

func (s *stateChanges) get(key string) (json.RawMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, ok := s.changes[key]
	if !ok {
		raw, ok = s.base[key]
	}
	return raw, ok && string(raw) != "null"
}

func (s *stateChanges) set(key string, raw json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errors.New("the call is over")
	}
	changes := maps.Clone(s.changes)
	if changes == nil {
		changes = map[string]json.RawMessage{}
	}
	changes[key] = raw
	if size := stateSize(changes); size > MaxState { // removals count too: they are stored with the call
		return fmt.Errorf("the changes of one call would have %d bytes, the limit is %d", size, MaxState)
	}
	if _, err := MergeState(s.base, changes); err != nil {
		return err
	}
	s.changes = changes
	return nil
}

func stateSize(state map[string]json.RawMessage) int {
	size := 0
	for key, raw := range state {
		size += len(key) + len(raw)
	}
	return size
}

// take returns the changes, nil if there are none, and lets no more be made.
func (s *stateChanges) take() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := s.changes
	s.changes, s.over = nil, true
	return changes
}
