//go:build linux || darwin

package torture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	sqlitestore "github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// still is a world in which nothing is told and nothing ever happened.
type still struct{}

func (still) begin(context.Context, string)         {}
func (still) end(context.Context, string)           {}
func (still) effect(context.Context) error          { return nil }
func (still) effected(context.Context) bool         { return false }
func (still) pause(context.Context)                 {}
func (still) progress(context.Context, string, int) {}
func (still) answer(v int) int                      { return v }

// recorder notes the last history row after each commit.
type recorder struct {
	store.Store
	mu   sync.Mutex
	last []int64
}

func (r *recorder) Commit(ctx context.Context, b *store.Batch) error {
	if err := r.Store.Commit(ctx, b); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.last[len(r.last)-1]
	if n := len(b.History); n > 0 {
		last = b.History[n-1].Key
	}
	r.last = append(r.last, last)
	return nil
}

// tail is a database and the log that was written after its last checkpoint.
type tail struct {
	db, log []byte
	ends    []int    // where commits end in the log
	frames  []int    // where its frames begin
	rows    []int64  // the last history row of the database, and after each commit
	states  []uint64 // digests of all tables, likewise
	dir     string
}

// Instances whose commits are in the database, and those that are in the log.
const (
	before = 3
	within = 2
)

// tailScript makes a log of a few short commits, so that there is time for many cuts.
func tailScript(i int) script {
	if i < before {
		return draw(7, i)
	}
	return script{Name: instanceName(i), Steps: []step{{Do: "once", N: 1}, {Do: "call", N: 2}, {Do: "plain", N: 3}}}
}

// TestCrashLogTail damages the tail of a log as disks do that lost power: it ends
// at any byte, or any byte of it is another. What is left must be the commits that
// are whole, and those before them, each as a whole; and the engine goes on from
// there to the right results.
func TestCrashLogTail(t *testing.T) {
	t.Parallel()
	w := writeTail(t)
	t.Logf("%d commits in %d frames", len(w.ends), len(w.frames))
	if len(w.frames) < 6 || len(w.ends) < 3 {
		t.Fatal("the log is too short for this test")
	}
	budget := long(t)
	cuts := w.damage(t, 3, budget*2/3, func(at int) {
		w.expect(t, fmt.Sprintf("cut at byte %d", at), w.log[:at], w.whole(at))
	})
	damaged := make([]byte, len(w.log))
	flips := w.damage(t, 3, budget/3, func(at int) {
		copy(damaged, w.log)
		damaged[at] ^= 0x40
		w.expect(t, fmt.Sprintf("byte %d is another", at), damaged, w.whole(at))
	})
	t.Logf("cut at %d places, changed at %d, of the %d bytes of the last 3 frames", cuts, flips, len(w.log)-w.frames[len(w.frames)-3])

	for n, end := range append([]int{32}, w.ends...) { // 32: after the log's header
		more := min(n%2*100, len(w.log)-end)
		w.goOn(t, fmt.Sprintf("%d commits and %d bytes", n, more), w.log[:end+more])
	}
}

// damage calls f for the bytes of the last frames, the last frame first, and gives
// their number: every byte that there is time for, and without a budget some of each
// frame's head and of its page.
func (w *tail) damage(t *testing.T, last int, budget time.Duration, f func(at int)) (n int) {
	t.Helper()
	end := time.Now().Add(budget)
	size := w.frames[1] - w.frames[0]
	for frame := range last {
		from := w.frames[len(w.frames)-1-frame]
		for at := range size {
			if budget == 0 && at%4096 != 0 && at != size-1 && (at >= 26 || at%3 != 0) {
				continue
			}
			if t.Failed() || budget > 0 && time.Now().After(end) {
				return n
			}
			f(from + at)
			n++
		}
	}
	return n
}

// writeTail runs scripts, copies the log into the database, runs some more, and
// takes the files as they are then.
func writeTail(t *testing.T) *tail {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlitestore.Options{NoPreallocation: true})
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{Store: s, last: []int64{0}}
	defs := define(still{}, "")
	rt, err := durable.OpenStore(t.Context(), rec, durable.Options{Logger: slog.New(slog.DiscardHandler)}, defs.all...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		runScript(t, rt, defs, i)
	}
	if _, err := s.BytesInUse(t.Context()); err != nil { // which copies the log
		t.Fatal(err)
	}
	rec.mu.Lock()
	rec.last = rec.last[len(rec.last)-1:]
	rec.mu.Unlock()
	for i := range within {
		runScript(t, rt, defs, before+i)
	}
	w := &tail{dir: t.TempDir()}
	if err := copyImage(dir, w.dir); err != nil {
		t.Fatal(err)
	}
	w.rows = rec.last
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if w.db, err = os.ReadFile(filepath.Join(w.dir, "hub.db")); err == nil {
		w.log, err = os.ReadFile(filepath.Join(w.dir, "hub.db-wal"))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.parse(t)
	if len(w.ends) != len(w.rows)-1 {
		t.Fatalf("%d commits in the log, %d were made", len(w.ends), len(w.rows)-1)
	}
	for n, end := range append([]int{32}, w.ends...) {
		state, row := w.look(t, w.log[:end], true)
		if row != w.rows[n] {
			t.Fatalf("after commit %d the last row is %d, and %d was written", n, row, w.rows[n])
		}
		w.states = append(w.states, state)
	}
	return w
}

// parse finds the frames of the log; see "The Write-Ahead Log" in SQLite's file format.
func (w *tail) parse(t *testing.T) {
	t.Helper()
	if magic := binary.BigEndian.Uint32(w.log); magic&^1 != 0x377f0682 {
		t.Fatalf("the log begins with %x", magic)
	}
	size := 24 + int(binary.BigEndian.Uint32(w.log[8:]))
	salt := string(w.log[16:24])
	for at := 32; at+size <= len(w.log) && string(w.log[at+8:at+16]) == salt; at += size {
		w.frames = append(w.frames, at)
		if binary.BigEndian.Uint32(w.log[at+4:]) != 0 { // pages of the database after a commit
			w.ends = append(w.ends, at+size)
		}
	}
	w.log = w.log[:w.frames[len(w.frames)-1]+size]
}

// whole is how many commits lie before a byte of the log.
func (w *tail) whole(at int) (n int) {
	for _, end := range w.ends {
		if end <= at {
			n++
		}
	}
	return n
}

// put writes the database with another log.
func (w *tail) put(t *testing.T, log []byte) string {
	t.Helper()
	path := filepath.Join(w.dir, "hub.db")
	for name, b := range map[string][]byte{path: w.db, path + "-wal": log} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return path
}

// look opens the database and gives the digest of its tables and the key of its last
// history row.
func (w *tail) look(t *testing.T, log []byte, checked bool) (state uint64, row int64) {
	t.Helper()
	path := w.put(t, log)
	if checked {
		if text, err := integrity(path); err != nil || text != "ok" {
			t.Fatalf("the database is damaged: %s %v", text, err)
		}
		w.put(t, log)
	}
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The copy is thrown away: closing it need not wait for the disk.
	if err := sqlitex.ExecuteTransient(c, "pragma synchronous = off", nil); err != nil {
		t.Fatal(err)
	}
	sum := fnv.New64a()
	for _, table := range []string{"instance", "execution", "inbox", "payload", "payload_ref", "effect", "history"} {
		row = 0
		err := sqlitex.ExecuteTransient(c, "select * from "+table+" order by 1, 2", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			row = st.ColumnInt64(0)
			for i := range st.ColumnCount() {
				fmt.Fprintf(sum, "%d:", st.ColumnLen(i))
				_, err := sum.Write([]byte(st.ColumnText(i)))
				if err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			t.Fatalf("table %s: %v", table, err)
		}
	}
	return sum.Sum64(), row
}

// expect checks that a damaged log holds so many commits and nothing of the next.
func (w *tail) expect(t *testing.T, what string, log []byte, commits int) {
	t.Helper()
	state, row := w.look(t, log, false)
	if state != w.states[commits] || row != w.rows[commits] {
		t.Errorf("%s: the last row is %d, not %d as after commit %d, or other rows differ", what, row, w.rows[commits], commits)
	}
}

// goOn lets the engine go on with a damaged log. The instances whose start is lost
// are started again.
func (w *tail) goOn(t *testing.T, what string, log []byte) {
	t.Helper()
	path := w.put(t, log)
	defs := define(still{}, "")
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Options{NoPreallocation: true})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	rt, err := durable.OpenStore(t.Context(), s, durable.Options{Logger: slog.New(slog.DiscardHandler)}, defs.all...)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for i := range before + within {
		if i < before { // their results are in the database: nothing of them is done again
			if _, err := rt.Client().Get(t.Context(), instanceName(i)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		runScript(t, rt, defs, i)
	}
	if err := rt.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	_ = os.Remove(path + ".lock")
}

// runScript starts a script, or finds it started, and checks its result.
func runScript(t *testing.T, rt *durable.Runtime, defs *definitions, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := tailScript(i)
	_, err := defs.script.Schedule(ctx, rt.Client(), s, durable.WithInstanceID(s.Name))
	if err != nil && !errors.Is(err, durable.ErrExists) {
		t.Fatal(err)
	}
	state, err := rt.Client().Get(ctx, s.Name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range s.has("event") {
		if state.Status == history.Completed {
			break
		}
		if err := rt.Client().RaiseEvent(ctx, s.Name, eventName(n), eventValue(i, n)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := defs.script.Wait(ctx, rt.Client(), s.Name)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	sum := o.Sum
	for _, n := range o.Lost {
		sum += n
	}
	if want, _ := interpret(s, i, map[string]map[string]int{}); sum != want {
		t.Errorf("%s gives %d, not %d (%s)", s.Name, sum, want, strings.Join(lost(o), ", "))
	}
}

func lost(o outcome) (parts []string) {
	for part := range o.Lost {
		parts = append(parts, part)
	}
	return parts
}
