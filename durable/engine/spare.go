package engine

import "sync"

// spareBuffers are buffers of committed events, for turns to come: those of most
// turns, and large ones for pieces of turns that are written ahead.
type spareBuffers struct {
	mu    sync.Mutex
	free  [][]byte
	large [][]byte // of maxRow bytes at least
}

// Bounds of what is kept, and the size from which on events go to a large buffer.
const (
	maxSpares = 256
	maxSpare  = 16 << 10
	maxLarge  = 8
	largeFrom = 32 << 10
)

// get gives an empty buffer.
func (s *spareBuffers) get() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return popBuffer(&s.free)
}

// enlarge gives a large buffer with what is in b, which goes back.
func (s *spareBuffers) enlarge(b []byte) []byte {
	s.mu.Lock()
	large := popBuffer(&s.large)
	s.mu.Unlock()
	if large == nil {
		large = make([]byte, 0, maxRow)
	}
	large = append(large, b...)
	s.put(b)
	return large
}

func popBuffer(from *[][]byte) []byte {
	n := len(*from)
	if n == 0 {
		return nil
	}
	b := (*from)[n-1]
	*from = (*from)[:n-1]
	return b
}

// put takes a buffer that nobody reads any more.
func (s *spareBuffers) put(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch size := cap(b); {
	case size > 0 && size <= maxSpare && len(s.free) < maxSpares:
		s.free = append(s.free, b[:0])
	case size >= maxRow && size < 2*maxRow && len(s.large) < maxLarge:
		s.large = append(s.large, b[:0])
	}
}
