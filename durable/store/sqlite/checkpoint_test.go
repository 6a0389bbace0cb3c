package sqlite

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

// The log stays bounded under a writer that never pauses, and starts anew once
// it is copied.
func TestLogStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	const written, each = 160 << 20, 1 << 20
	restarts, before := 0, 0
	k := int64(0)
	for range written / each {
		k++
		if err := put(s, k, each); err != nil {
			t.Fatal(err)
		}
		if s.check.frames < before {
			restarts++
		}
		before = s.check.frames
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// A commit looks before it writes.
	if limit := int64(hardLimit*pageSize + 2*each); info.Size() > limit {
		t.Errorf("the log has %d MiB, more than %d", info.Size()>>20, limit>>20)
	}
	if restarts == 0 {
		t.Error("the log never started anew")
	}
	if n := rowsOf(t, s, k); n != int(k) {
		t.Errorf("%d rows of %d", n, k)
	}
}

// What is committed while the bulk is copied is copied between two commits, so
// that the log can start anew under a writer that never pauses.
func TestCheckpointEndsBetweenCommits(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	if err := put(s, 1, 1<<20); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock() // a commit is under way
	done := make(chan error)
	go func() { done <- s.check.round() }()
	for {
		frames, copied, err := logSize(s.w.log)
		if err != nil {
			t.Fatal(err)
		}
		if frames == copied {
			break
		}
		runtime.Gosched()
	}
	if err := run(s.w.conn, "insert into history values(2, 1, zeroblob(100))"); err != nil {
		t.Fatal(err)
	}
	before, _, err := logSize(s.w.log)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	frames, copied, err := logSize(s.w.log)
	s.mu.Unlock()
	if err != nil || frames != before || copied != frames {
		t.Errorf("%d frames of %d copied, %v", copied, frames, err)
	}
}

// A reader that never ends lets the log grow, but no commit fails or waits for
// it.
func TestLogWithALongReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			c.Close()
		}
	}()
	if err := run(c, "begin"); err != nil {
		t.Fatal(err)
	}
	if n, err := number(c, "select count(*) from history"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	k := int64(1)
	for s.check.frames < hardLimit+3*hardStep {
		k++
		if err := put(s, k, 2<<20); err != nil {
			t.Fatal(err)
		}
	}
	if s.check.holdAt <= hardLimit {
		t.Error("no commit tried to copy the log")
	}
	if n, err := number(c, "select count(*) from history"); err != nil || n != 1 {
		t.Errorf("the reader's moment moved: %d rows, %v", n, err)
	}
	closed = true
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k++
		if err := put(s, k, hardStep*pageSize); err != nil {
			t.Fatal(err)
		}
	}
	if s.check.frames >= hardLimit {
		t.Errorf("%d frames after the reader ended", s.check.frames)
	}
}

// The log is grown once, by nothing that anybody can read.
func TestPreallocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for k := range int64(preallocateAt) {
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() > 2<<20 {
			t.Fatalf("too early: %v, %v", info.Size(), err)
		}
		if err := put(s, k+1, 100); err != nil {
			t.Fatal(err)
		}
	}
	// Another commit does not wait for the goroutine to begin; its second kick
	// is taken only after the first was worked off.
	s.check.kick <- struct{}{}
	s.check.kick <- struct{}{}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < preallocation {
		t.Errorf("the log has %d bytes", info.Size())
	}
	for k := range int64(100) {
		if err := put(s, preallocateAt+k+1, 100); err != nil {
			t.Fatal(err)
		}
	}
	if n := rowsOf(t, s, preallocateAt+100); n != preallocateAt+100 {
		t.Errorf("%d rows", n)
	}
	// What the transaction left in the log does not survive a crash.
	image := filepath.Join(t.TempDir(), "hub.db")
	copyFile(t, path, image)
	copyFile(t, path+"-wal", image+"-wal")
	c := open(t, image)
	if n, err := number(c.w.conn, "select count(*) from sqlite_schema where name = 'spill'"); err != nil || n != 0 {
		t.Errorf("table spill: %d, %v", n, err)
	}
	if n := rowsOf(t, c, preallocateAt+100); n != preallocateAt+100 {
		t.Errorf("%d rows after a crash", n)
	}
}

func TestBytesInUse(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	empty, err := s.BytesInUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const rows, each = 100, 2048
	for k := range int64(rows) {
		if err := put(s, k+1, each); err != nil {
			t.Fatal(err)
		}
	}
	full, err := s.BytesInUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if used := full - empty; used < rows*each || used > rows*each*13/10 {
		t.Errorf("%d bytes for %d", used, rows*each)
	}
	if s.check.frames = 0; put(s, rows+1, each) != nil {
		t.Error("no commit after it")
	}
}

// A checkpoint that fails is logged and fails no commit.
func TestCheckpointFails(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := Open(t.Context(), path, Options{NoPreallocation: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.path = filepath.Join(path, "nowhere") // for the connection that is yet to be opened
	s.check.frames = hardLimit
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "checkpoint failed") {
		t.Errorf("logged: %q", log.String())
	}
	s.path = path
	s.check.frames = hardLimit + hardStep
	if err := put(s, 2, 10); err != nil {
		t.Fatal(err)
	}
	if s.check.conn == nil {
		t.Error("no connection was opened afterwards")
	}
}
