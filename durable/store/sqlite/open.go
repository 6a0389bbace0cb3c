package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Options tune a store. The zero value is what programs want.
type Options struct {
	// Wait makes Open wait, until its context is done, for a lease that another
	// process holds, instead of failing with a *store.HeldError.
	Wait bool
	// Program names this program to others that find the store held; "" is the
	// name of the executable.
	Program string
	// NoPreallocation keeps the write-ahead log from being grown ahead of its
	// use. Tests that open many stores save 16 MiB of writing each.
	NoPreallocation bool
	// Logger is told when housekeeping fails (a checkpoint, for instance), which
	// never fails a commit. nil is silent.
	Logger *slog.Logger
}

// Store is an open database. It implements store.Store.
type Store struct {
	name  string // as the user wrote it
	path  string // absolute
	epoch uint64
	log   *slog.Logger
	lease *lease

	life   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool

	// mu is held by Commit, and by the last step of a checkpoint, which must lie
	// between two commits.
	mu     sync.Mutex
	w      *writer
	broken error // set once a commit's outcome is unknown

	readers *pool
	check   *checkpointer
}

var _ store.Store = (*Store)(nil)

// busyTimeout bounds the wait for a lock that a foreign program (the sqlite3
// shell, a backup) holds on the database.
const busyTimeout = 5 * time.Second

// Open opens the database at path, which it creates where there is none, with
// its directory, and takes the lease. The errors that a user can do something
// about are *store.HeldError and *store.OpenError.
//
// ctx bounds only the wait for the lease.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	name := path
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &store.OpenError{Store: name, Problem: "has no absolute path", Err: err}
	}
	if o.Program == "" {
		o.Program = filepath.Base(os.Args[0])
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := prepare(name, path); err != nil {
		return nil, err
	}
	l, err := takeLease(ctx, name, path, &o)
	if err != nil {
		return nil, err
	}
	s := &Store{name: name, path: path, log: o.Logger.With("store", name), lease: l}
	if err := s.open(&o); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return s, nil
}

func (s *Store) open(o *Options) (err error) {
	if err := create(s.name, s.path); err != nil {
		return err
	}
	c, err := sqlite.OpenConn(s.path, sqlite.OpenReadWrite)
	if err != nil {
		return &store.OpenError{Store: s.name, Problem: "cannot be opened", Err: plain(err),
			Advice: "check its permissions or choose another --store"}
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	c.SetBusyTimeout(busyTimeout)
	found, err := identify(c, s.name)
	if err != nil {
		return err
	}
	if err := s.setUp(c, found); err != nil {
		return s.unusable(err)
	}
	s.readers = newPool(s.path)
	s.check = newCheckpointer(s, !o.NoPreallocation)
	return nil
}

func (s *Store) setUp(c *sqlite.Conn, found int64) (err error) {
	if err := run(c, fmt.Sprintf("pragma page_size = %d", pageSize)); err != nil {
		return err // has an effect on an empty database only
	}
	for _, p := range append(durability(), "pragma journal_mode = wal", "pragma cache_size = -32768", "pragma wal_autocheckpoint = 0") {
		if err := run(c, p); err != nil {
			return err
		}
	}
	s.w, s.epoch, err = begin(c, found)
	return err
}

// durability are the settings that each connection which writes needs, so that
// what is committed survives a power cut.
func durability() []string {
	p := []string{"pragma synchronous = full"}
	if runtime.GOOS == "darwin" {
		// There fsync leaves data in the drive's cache.
		p = append(p, "pragma fullfsync = on", "pragma checkpoint_fullfsync = on")
	}
	return p
}

// unusable says in a user's words what SQLite found when it first wrote.
func (s *Store) unusable(err error) error {
	e := &store.OpenError{Store: s.name, Err: plain(err)}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultReadOnly, sqlite.ResultPerm:
		e.Problem, e.Advice = "is read-only", "make the file and its directory writable or choose another --store"
	case sqlite.ResultCantOpen, sqlite.ResultIOErr:
		e.Problem, e.Advice = "cannot be opened", "check its permissions and its disk or choose another --store"
	case sqlite.ResultBusy:
		e.Problem, e.Advice = "is locked by another program", "end that program (a database shell or a backup?) and try again"
	case sqlite.ResultFull:
		e.Problem, e.Advice = "cannot be opened because its disk is full", "free some space"
	default:
		e.Problem, e.Advice = "is not an agentrun database or is damaged", "restore a backup or choose another --store"
	}
	return e
}

// Close waits for calls under way, copies the write-ahead log into the database
// where it can, and gives the lease back. Calling it again does nothing.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.check.stop()
	if err := run(s.w.conn, "pragma wal_checkpoint(truncate)"); err != nil {
		s.log.Warn("last checkpoint failed; the log is kept and read when the store is opened again", "error", err)
	}
	err := errors.Join(s.readers.close(), s.check.close(), s.w.conn.Close(), s.lease.release())
	if err != nil {
		return fmt.Errorf("store %s: close: %w", s.name, err)
	}
	return nil
}

// enter begins a call: it holds off Close until leave.
func (s *Store) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("store %s: %w", s.name, context.Cause(ctx))
	}
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return fmt.Errorf("store %s: %w", s.name, store.ErrClosed)
	}
	return nil
}

func (s *Store) leave() { s.life.RUnlock() }
