package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// A full disk fails a commit whole, for as long as it is full.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	pages, err := number(s.w.conn, "pragma page_count")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(s.w.conn, fmt.Sprintf("pragma max_page_count = %d", pages+4)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := put(s, 2, 1<<20)
		if sqlite.ErrCode(err) != sqlite.ResultFull || errors.Is(err, store.ErrUnknown) {
			t.Fatalf("got %v", err)
		}
		if !strings.Contains(err.Error(), path+": the disk is full; free some space") {
			t.Errorf("the error does not help: %v", err)
		}
		if !s.w.conn.AutocommitEnabled() {
			t.Fatal("a transaction was left open")
		}
	}
	if r, err := s.Recover(t.Context()); err != nil || r.LastRow != 1 {
		t.Errorf("last row %d, %v", r.LastRow, err)
	}
	if err := put(s, 2, 10); err != nil { // for this there is room
		t.Fatal(err)
	}
	if err := run(s.w.conn, "pragma max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, 3, 1<<20); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, s, 3); n != 3 {
		t.Errorf("%d rows", n)
	}
}

// What an error at COMMIT says about the disk.
func TestFailed(t *testing.T) {
	s := &Store{name: "hub.db"}
	for _, c := range []struct {
		code             sqlite.ResultCode
		before, atCommit bool // whether the outcome is unknown
	}{
		{sqlite.ResultFull, false, false},
		{sqlite.ResultBusy, false, false},
		{sqlite.ResultBusySnapshot, false, false},
		{sqlite.ResultConstraintUnique, false, false},
		{sqlite.ResultIOErrWrite, false, false},
		{sqlite.ResultIOErrRead, false, true},
		{sqlite.ResultNoMem, false, true},
		{sqlite.ResultIOErrSHMMap, false, true},
		{sqlite.ResultIOErrFsync, true, true},
		{sqlite.ResultIOErrDirFsync, true, true},
	} {
		for _, at := range []bool{false, true} {
			want := c.before
			if at {
				want = c.atCommit
			}
			err := s.failed(fmt.Errorf("row 7: %w", c.code.ToError()), at)
			if errors.Is(err, store.ErrUnknown) != want {
				t.Errorf("%v, at commit %v: %v", c.code, at, err)
			}
			if sqlite.ErrCode(err) != c.code {
				t.Errorf("%v lost its cause", err)
			}
		}
	}
}

// After an outcome that is unknown nothing more is written.
func TestUnknownIsFinal(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	// A COMMIT that fails in a way that is not in the list of harmless ones.
	commit := s.w.commit
	bad, err := s.w.conn.Prepare("select abs(-9223372036854775808)")
	if err != nil {
		t.Fatal(err)
	}
	s.w.commit = bad
	if err := put(s, 2, 10); !errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), "integer overflow") {
		t.Fatalf("got %v", err)
	}
	if !s.w.conn.AutocommitEnabled() {
		t.Error("a transaction was left open")
	}
	s.w.commit = commit
	if err := put(s, 2, 10); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("the next commit: %v", err)
	}
	if r, err := s.Recover(t.Context()); err != nil || r.LastRow != 1 {
		t.Errorf("last row %d, %v", r.LastRow, err)
	}
}

// What a failed rollback left open is rolled back before the next commit.
func TestTransactionLeftOpen(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	for _, q := range []string{"begin immediate", "insert into history values(1, 0, x'00')"} {
		if err := run(s.w.conn, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Row(t.Context(), 1); err != nil || len(b) != 10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// A foreign program that keeps the database locked fails a commit, which can be
// tried again.
func TestLockedByAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	s.w.conn.SetBusyTimeout(0)
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := run(c, "begin immediate"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1, 10); sqlite.ErrCode(err) != sqlite.ResultBusy || errors.Is(err, store.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	if err := run(c, "rollback"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
}

// An update that changes neither whether an instance is runnable nor when it is
// due leaves their indexes alone.
func TestUpdateTouchesNoIndex(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	in := store.Instance{Num: 1, ID: "a", Pending: 1}
	for i := range 4 {
		in.Pending, in.Last = 1+i, int64(i)
		b := store.Batch{Epoch: s.epoch, Instances: []store.InstanceRow{{Instance: &in, New: i == 0}}}
		before := s.check.frames
		if err := s.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if got := s.check.frames - before; i > 0 && got != 1 {
			t.Errorf("update %d wrote %d pages, not 1", i, got)
		}
	}
}

// A copy of the files of an open store is what a crash leaves: all that was
// committed is in it.
func TestCrashImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	image := ""
	const commits = 60
	for k := int64(1); k <= commits; k++ {
		if err := put(s, k, 40<<10); err != nil {
			t.Fatal(err)
		}
		if k%20 != 0 {
			continue
		}
		// The files are copied through other descriptors; closing those drops
		// the locks that this process has on them, but nobody else wants any.
		image = filepath.Join(t.TempDir(), "hub.db")
		copyFile(t, path, image)
		copyFile(t, path+"-wal", image+"-wal")
		c := open(t, image)
		if n := rowsOf(t, c, k); n != int(k) {
			t.Errorf("%d rows of %d after a crash", n, k)
		}
		if r, err := c.Recover(t.Context()); err != nil || r.LastRow != k {
			t.Errorf("last row %d of %d: %v", r.LastRow, k, err)
		}
	}
	// A log that ends inside a transaction loses that one and no other.
	image = filepath.Join(t.TempDir(), "hub.db")
	copyFile(t, path, image)
	copyFile(t, path+"-wal", image+"-wal")
	info, err := os.Stat(image + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image+"-wal", info.Size()-100); err != nil {
		t.Fatal(err)
	}
	c := open(t, image)
	if r, err := c.Recover(t.Context()); err != nil || r.LastRow != commits-1 {
		t.Errorf("last row %d of %d: %v", r.LastRow, commits-1, err)
	}
	if n := rowsOf(t, c, commits-1); n != commits-1 {
		t.Errorf("%d rows of %d", n, commits-1)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
}
