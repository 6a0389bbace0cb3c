package sqlite

import (
	"context"
	"fmt"
)

// unlimited is the highest number of pages that SQLite knows.
const unlimited = 0xfffffffe

// LimitSize bounds the database file to the given number of bytes, from the next
// commit on and until the store is closed; 0 or less takes the bound away. A
// commit that would need more fails whole, as on a full disk, and succeeds when
// it is tried again with a higher bound. What the file already has is never
// taken back, and the write-ahead log is not counted.
//
// It may be called at any time, by any goroutine.
func (s *Store) LimitSize(ctx context.Context, bytes int64) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	pages := int64(unlimited)
	if bytes > 0 {
		pages = min(max(bytes/pageSize, 1), unlimited)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := run(s.w.conn, fmt.Sprintf("pragma max_page_count = %d", pages)); err != nil {
		return fmt.Errorf("store %s: limit its size: %w", s.name, err)
	}
	return nil
}
