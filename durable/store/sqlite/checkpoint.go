package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"zombiezen.com/go/sqlite"
)

// Sizes of the log, in pages.
const (
	softLimit = 16 << 20 / pageSize // not yet copied: time to copy it
	hardLimit = 64 << 20 / pageSize // commits wait for the copying
	// hardStep is how much the log grows above hardLimit before a commit waits
	// again, for one that a reader keeps from starting anew.
	hardStep = 4 << 20 / pageSize

	// preallocation is how far the log is grown ahead of its use, once this many
	// commits say that there will be more: a program that makes a few and ends
	// should not write 16 MiB for them.
	preallocation  = 16 << 20
	preallocateAt  = 32
	passesInFlight = 6 // times that the bulk is copied before commits are held off
)

// checkpointer copies the log into the database. It owns one goroutine, which
// works when a commit kicks it, and a connection.
//
// Who needs both locks takes Store.mu first.
type checkpointer struct {
	s    *Store
	kick chan struct{} // of capacity 1
	quit chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex // held while conn is used
	conn *sqlite.Conn

	// Guarded by Store.mu.
	commits  int
	grow     bool // the log is still to be preallocated
	frames   int  // in the log
	holdAt   int  // frames from which a commit waits
	stopping bool
}

func newCheckpointer(s *Store, grow bool) *checkpointer {
	k := &checkpointer{s: s, kick: make(chan struct{}, 1), quit: make(chan struct{}), grow: grow, holdAt: hardLimit}
	k.done.Go(k.serve)
	return k
}

func (k *checkpointer) serve() {
	for {
		select {
		case <-k.quit:
			return
		case <-k.kick:
		}
		k.preallocate()
		if err := k.round(); err != nil {
			k.s.log.Warn("checkpoint failed; it is tried again after the next commits", "error", err)
		}
	}
}

// committed is told of each commit, with Store.mu held. It looks at the size of
// the log, which costs about a microsecond, and has it copied when it is due.
func (k *checkpointer) committed(w *writer) {
	k.commits++
	frames, copied, err := logSize(w.log)
	if err != nil {
		k.s.log.Warn("size of the log not known", "error", err)
		return
	}
	k.frames = frames
	if frames < hardLimit {
		k.holdAt = hardLimit
	}
	if frames-copied >= softLimit || k.grow && k.commits == preallocateAt {
		select {
		case k.kick <- struct{}{}:
		default: // it is at work, or about to be
		}
	}
}

// holdBack makes a commit wait while the log is too large, by copying it here
// and now. Store.mu is held.
func (k *checkpointer) holdBack() {
	if k.frames < k.holdAt {
		return
	}
	if err := k.pass(); err != nil {
		k.s.log.Warn("checkpoint failed; the log grows on", "error", err)
	}
	k.holdAt = k.frames + hardStep
}

// round copies the log while commits go on, until little is left, and the rest
// between two commits: only then can the next commit start the log anew.
func (k *checkpointer) round() error {
	for range passesInFlight {
		if err := k.pass(); err != nil {
			return err
		}
		if left, err := k.left(); err != nil || left < softLimit/16 {
			break
		}
	}
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if k.stopping {
		return nil // Close makes the last one
	}
	return k.pass()
}

// left is how many frames are not copied yet.
func (k *checkpointer) left() (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, err := k.prepare(`pragma wal_checkpoint(noop)`)
	if err != nil {
		return 0, err
	}
	frames, copied, err := logSize(st)
	return frames - copied, err
}

// pass copies what can be copied without waiting for anybody.
func (k *checkpointer) pass() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, err := k.prepare(`pragma wal_checkpoint(passive)`)
	if err != nil {
		return err
	}
	return execute(st)
}

// prepare gives a statement of the checkpointer's connection, which is opened by
// the first. mu is held.
func (k *checkpointer) prepare(query string) (*sqlite.Stmt, error) {
	if k.conn == nil {
		c, err := sqlite.OpenConn(k.s.path, sqlite.OpenReadWrite)
		if err != nil {
			return nil, err
		}
		c.SetBusyTimeout(busyTimeout)
		for _, p := range append(durability(), "pragma wal_autocheckpoint = 0", "pragma cache_size = 16", "pragma cache_spill = 16") {
			if err := run(c, p); err != nil {
				return nil, errors.Join(err, c.Close())
			}
		}
		k.conn = c
	}
	return k.conn.Prepare(query)
}

// preallocate grows the log's file by a transaction that is too large for its
// connection's cache, so that its pages spill into the log, and is rolled back.
// What it leaves behind the last commit is written over by later ones.
func (k *checkpointer) preallocate() {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if !k.grow || k.stopping {
		return
	}
	k.grow = false
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.spill(); err != nil {
		k.s.log.Warn("log not preallocated; it grows as it is used", "error", err)
	}
}

func (k *checkpointer) spill() (err error) {
	st, err := k.prepare(`begin immediate`)
	if err != nil {
		return err
	}
	if err := execute(st); err != nil {
		return err
	}
	defer func() {
		if !k.conn.AutocommitEnabled() {
			err = errors.Join(err, run(k.conn, `rollback`))
		}
	}()
	if err := run(k.conn, `create table spill(b blob)`); err != nil {
		return err
	}
	const piece = 1 << 20
	for range preallocation / piece {
		if err := run(k.conn, fmt.Sprintf(`insert into spill values(zeroblob(%d))`, piece)); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the goroutine. Store.mu is free.
func (k *checkpointer) stop() {
	k.s.mu.Lock()
	k.stopping = true
	k.s.mu.Unlock()
	close(k.quit)
	k.done.Wait()
}

// close closes the connection, after stop.
func (k *checkpointer) close() error {
	if k.conn == nil {
		return nil
	}
	return k.conn.Close()
}

// logSize runs a statement that tells the size of the log: frames in it, and how
// many of them are copied.
func logSize(st *sqlite.Stmt) (frames, copied int, err error) {
	if _, err := st.Step(); err != nil {
		return 0, 0, err
	}
	frames, copied = st.ColumnInt(1), st.ColumnInt(2)
	return frames, copied, st.Reset()
}

// BytesInUse copies the log into the database and gives the bytes of all pages
// that hold something: what the data costs on disk, without free space.
func (s *Store) BytesInUse(ctx context.Context) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check.mu.Lock()
	defer s.check.mu.Unlock()
	pages, err := s.check.pages()
	if err != nil {
		return 0, fmt.Errorf("store %s: size: %w", s.name, err)
	}
	return pages * pageSize, nil
}

// pages counts the pages in use after copying the log. mu is held.
func (k *checkpointer) pages() (int64, error) {
	st, err := k.prepare(`pragma wal_checkpoint(truncate)`)
	if err != nil {
		return 0, err
	}
	if err := execute(st); err != nil {
		return 0, err
	}
	all, err := number(k.conn, `pragma page_count`)
	if err != nil {
		return 0, err
	}
	free, err := number(k.conn, `pragma freelist_count`)
	return all - free, err
}
