// Package memory is a store without a disk: for tests, for trying things out,
// and as the reference for what the other stores must do. It keeps everything
// until the process ends.
//
//	s := memory.New()
//	defer s.Close()
//
// A test that wants to see what survives an end uses the data again:
//
//	next := s.Reopen() // the same data; s can no longer write
//	image := s.Clone() // a copy as of now: what a process finds that starts after a crash
package memory

import (
	"fmt"
	"maps"
	"sync"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Store is a store.Store in memory. All its methods may be called at any time
// by any goroutine.
type Store struct {
	epoch uint64
	data  *data

	mu     sync.RWMutex
	closed bool
}

var _ store.Store = (*Store)(nil)

// New gives an empty store, opened.
func New() *Store { return &Store{epoch: 1, data: newData()} }

// Reopen opens the data again, as another process would that takes over the
// lease: what s commits from now on is refused with store.ErrFenced. s need not
// be closed.
func (s *Store) Reopen() *Store {
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	s.data.epoch++
	return &Store{epoch: s.data.epoch, data: s.data}
}

// Clone opens a copy of the data as committed now: what a process would find if
// this one had died. The two share nothing.
func (s *Store) Clone() *Store {
	s.data.mu.RLock()
	defer s.data.mu.RUnlock()
	d := s.data.clone()
	d.epoch++
	return &Store{epoch: d.epoch, data: d}
}

// Close makes the handle useless. It does not fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// data is what "is on disk". Nothing that it points to is ever changed in place,
// so that a clone needs to copy no more than the maps.
type data struct {
	mu    sync.RWMutex
	epoch uint64

	instances map[int64]*store.Instance
	nums      map[string]int64 // by id
	lastNum   int64
	history   map[int64]store.HistoryRow
	lastRow   int64
	ended     map[endedKey]store.Execution
	inbox     map[int64]store.Message
	payloads  map[history.Hash][]byte
	refs      map[store.PayloadRef]struct{}
	effects   map[store.EffectKey]store.Effect
	progress  map[store.ProgressKey]store.Progress
}

type endedKey struct {
	num        int64
	generation int32
}

func newData() *data {
	return &data{
		epoch:     1,
		instances: map[int64]*store.Instance{},
		nums:      map[string]int64{},
		history:   map[int64]store.HistoryRow{},
		ended:     map[endedKey]store.Execution{},
		inbox:     map[int64]store.Message{},
		payloads:  map[history.Hash][]byte{},
		refs:      map[store.PayloadRef]struct{}{},
		effects:   map[store.EffectKey]store.Effect{},
		progress:  map[store.ProgressKey]store.Progress{},
	}
}

func (d *data) clone() *data {
	return &data{
		epoch:     d.epoch,
		instances: maps.Clone(d.instances),
		nums:      maps.Clone(d.nums),
		lastNum:   d.lastNum,
		history:   maps.Clone(d.history),
		lastRow:   d.lastRow,
		ended:     maps.Clone(d.ended),
		inbox:     maps.Clone(d.inbox),
		payloads:  maps.Clone(d.payloads),
		refs:      maps.Clone(d.refs),
		effects:   maps.Clone(d.effects),
		progress:  maps.Clone(d.progress),
	}
}

// enter is called by every method: it holds off Close until leave and says
// whether the call may go on.
func (s *Store) enter(ctxErr error) error {
	s.mu.RLock()
	err := ctxErr
	if s.closed {
		err = store.ErrClosed
	}
	if err != nil {
		s.mu.RUnlock()
		return fmt.Errorf("memory store: %w", err)
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }
