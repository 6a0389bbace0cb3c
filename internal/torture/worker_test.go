//go:build linux || darwin

package torture

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

const workerEnv = "AGENTRUN_TORTURE_WORKER"

// TestMain makes the test binary a worker where the driver wants one.
func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) == "" {
		os.Exit(m.Run())
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

// plan is what a worker is told on its standard input. Lines that follow it there
// are commands: "lift" takes a limit of the disk away.
type plan struct {
	Dir         string
	Seed        uint64 // of the scripts
	Chance      uint64 // of everything else in this life
	Tasks       []task
	Clients     int  // how many of them are begun at once
	Cached      int  // see durable.Options
	Preallocate bool // the store's log
	Patience    time.Duration
	Clock       bool           // jumps
	Final       bool           // it ends when nothing is due at a later time
	Fault       string         // one of faults
	AtReceipt   bool           // a limit comes when a call ends whose receipt has no room then
	Bug         string         // one of bugs, or ""
	Scripts     map[int]script `json:",omitempty"` // instead of drawn ones
}

// task is an instance and what is still to be done for it.
type task struct {
	I       int
	Known   bool  // its start was acknowledged
	Events  []int // to raise
	Signals []int // to send to a ledger
	Beside  bool  // what runs beside it is to be run
}

// Faults of the disk. The limits of size come after some commits, and stay until
// the worker is told to lift them.
const (
	commitsFail    = "commits fail"     // many, at the seam of the store, before anything is written
	commitsUnknown = "outcomes unknown" // one, after everything was written: the engine halts
	diskFull       = "disk full"        // a limit of the database file's pages
	fileTooLarge   = "file too large"   // a limit of the process's files (RLIMIT_FSIZE)
)

func (p *plan) script(i int) script {
	if s, ok := p.Scripts[i]; ok {
		return s
	}
	return draw(p.Seed, i)
}

// worker is one life.
type worker struct {
	plan plan
	out  sync.Mutex

	mu     sync.Mutex
	random *rand.Rand

	skew  atomic.Int64 // of the clock
	asked atomic.Int64 // how often the clock was

	limited sync.Once

	sqlite *sqlite.Store
	rt     *durable.Runtime
	defs   *definitions
}

func work() error {
	in := bufio.NewReader(os.Stdin)
	w := &worker{}
	if err := json.NewDecoder(in).Decode(&w.plan); err != nil {
		return err
	}
	w.random = rand.New(rand.NewPCG(w.plan.Chance, 1))
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit is an error then, as on a full disk
	ctx, cancel := context.WithTimeout(context.Background(), w.plan.Patience)
	defer cancel()
	if err := w.open(ctx); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	w.tell("opened")
	go w.obey(in)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go w.watch(stop, stopped)

	errs := make(chan error)
	clients := make(chan struct{}, w.plan.Clients)
	for _, t := range w.plan.Tasks {
		go func() { errs <- w.do(ctx, t, clients) }()
	}
	var err error
	for range w.plan.Tasks {
		err = errors.Join(err, <-errs)
	}
	if err == nil && w.plan.Final {
		err = w.drained(ctx)
	}
	close(stop)
	<-stopped
	if h := w.rt.Err(); h != nil {
		w.tell("halted")
		if w.plan.Fault == commitsUnknown && errors.Is(h, store.ErrUnknown) {
			return nil
		}
		return h
	}
	if err = errors.Join(err, w.rt.Close()); err == nil {
		w.tell("closed")
	}
	return err
}

// tell writes a record of the account with one write, which is in the pipe whole
// or not at all, whatever becomes of the process.
func (w *worker) tell(what string, args ...any) {
	line := what
	for _, a := range args {
		line += " " + fmt.Sprint(a)
	}
	w.out.Lock()
	defer w.out.Unlock()
	if _, err := io.WriteString(os.Stdout, line+"\n"); err != nil {
		os.Exit(4) // nobody listens any more
	}
}

func (w *worker) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

// open opens the store with what is to go wrong with it.
func (w *worker) open(ctx context.Context) error {
	w.tell("opening")
	p := &w.plan
	s, err := sqlite.Open(ctx, filepath.Join(p.Dir, "hub.db"), sqlite.Options{
		NoPreallocation: !p.Preallocate, Wait: true, // the one before is a corpse whose lock may linger
	})
	if err != nil {
		return err
	}
	w.sqlite = s
	// The fault lies below the bug: what the bug does is done to a store that fails.
	broken := w.bug(storetest.NewFault(s, w.fault))
	w.defs = define(w, p.Bug)
	w.rt, err = durable.OpenStore(ctx, broken, durable.Options{
		Cached: p.Cached, Now: w.now, OnCommit: w.committed, Logger: slog.New(slog.DiscardHandler),
	}, w.defs.all...)
	return err
}

// now is a clock that somebody sets: every now and then it is up to a second off, in
// either direction.
func (w *worker) now() time.Time {
	if w.plan.Clock && w.asked.Add(1)%64 == 0 {
		w.skew.Store(int64(time.Duration(w.chance(2000)-1000) * time.Millisecond))
		w.tell("fault clock")
	}
	return time.Now().Add(time.Duration(w.skew.Load()))
}

func (w *worker) fault(op storetest.Op, n int) error {
	switch {
	case w.plan.Fault == commitsFail && op == storetest.OpCommit && w.chance(4) == 0:
	case w.plan.Fault == commitsUnknown && op == storetest.OpCommitted && n == 2+int(w.plan.Chance%20):
	default:
		return nil
	}
	w.tell("fault commit")
	return errors.New("the disk has a bad day")
}

// committed sets a limit to the disk when its time has come, unless that is at the
// end of a call.
func (w *worker) committed(n uint64) {
	w.tell("commit", n)
	if !w.plan.AtReceipt && n == 1+w.plan.Chance%20 {
		go w.limited.Do(w.limit) // not on the goroutine that commits, for which it waits
	}
}

// limit leaves the disk hardly any room, or none.
func (w *worker) limit() {
	var err error
	switch w.plan.Fault {
	case diskFull:
		err = w.sqlite.LimitSize(context.Background(), 1)
	case fileTooLarge:
		var info fs.FileInfo
		if info, err = os.Stat(filepath.Join(w.plan.Dir, "hub.db-wal")); err == nil {
			err = limitFiles(info.Size() + int64(w.chance(3*16<<10))) // up to three pages
		}
	}
	if err != nil {
		w.tell("error", err)
	}
}

// limitFiles sets the size that files of this process may have; 0 for any.
func limitFiles(size int64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	if size > 0 {
		l.Cur = uint64(size)
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// watch tells when commits begin to fail and when they work again.
func (w *worker) watch(stop, stopped chan struct{}) {
	defer close(stopped)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for sick := false; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if now := w.rt.Health() != nil; now != sick {
			sick = now
			w.tell(map[bool]string{true: "sick", false: "well"}[sick])
		}
	}
}

// obey does what the driver says.
func (w *worker) obey(in *bufio.Reader) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line != "lift\n" {
			continue
		}
		if err := errors.Join(limitFiles(0), w.sqlite.LimitSize(context.Background(), 0)); err != nil {
			w.tell("error", err)
		}
		w.tell("lifted")
	}
}

// do is what a client does for one instance.
func (w *worker) do(ctx context.Context, t task, clients chan struct{}) error {
	clients <- struct{}{}
	err := w.begins(ctx, t)
	<-clients
	if err != nil {
		return err
	}
	return w.ends(ctx, t)
}

// begins asks for what an instance needs.
func (w *worker) begins(ctx context.Context, t task) error {
	c, i := w.rt.Client(), t.I
	s := w.plan.script(i)
	if !t.Known {
		w.tell("try start", i)
		if w.plan.Bug != bugLostStart || i%4 != 0 {
			opts := []durable.CallOption{durable.WithInstanceID(s.Name)}
			if startsLater(i) {
				opts = append(opts, durable.WithStartAt(w.soon()))
			}
			_, err := w.defs.script.Schedule(ctx, c, s, opts...)
			if err != nil && !errors.Is(err, durable.ErrExists) {
				return err
			}
		}
		w.tell("ack start", i)
	}
	for _, n := range t.Signals {
		w.tell("try signal", i, n)
		if w.plan.Bug != bugLostSignal || i%4 != 0 {
			if err := w.defs.write.Send(ctx, c, ledgerOf(i), entry{signalName(i, n), n + 1}); err != nil {
				return err
			}
		}
		if w.plan.Bug == bugDoubleSignal && i%4 == 0 {
			if err := w.defs.write.Send(ctx, c, ledgerOf(i), entry{signalName(i, n), n + 1}); err != nil {
				return err
			}
		}
		w.tell("ack signal", i, n)
	}
	for _, n := range t.Events {
		w.tell("try event", i, n)
		if w.plan.Bug != bugLostEvent || i%4 != 0 {
			if err := c.RaiseEvent(ctx, s.Name, eventName(n), eventValue(i, n)); err != nil {
				return err
			}
		}
		if w.plan.Bug == bugDoubleEvent && n == 0 {
			if err := c.RaiseEvent(ctx, s.Name, eventName(n), eventValue(i, n)); err != nil {
				return err
			}
		}
		w.tell("ack event", i, n)
	}
	if t.Beside {
		return w.beside(ctx, i)
	}
	return nil
}

// ends waits for an instance's result.
func (w *worker) ends(ctx context.Context, t task) error {
	i, s := t.I, w.plan.script(t.I)
	o, err := w.defs.script.Wait(ctx, w.rt.Client(), s.Name)
	if ctx.Err() != nil {
		w.tell("stuck", i)
		return fmt.Errorf("%s does not end: %w", s.Name, err)
	}
	var failed *durable.TaskFailedError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	if w.plan.Bug == bugOtherResult {
		o.Sum++
	}
	text, jerr := json.Marshal(o)
	if jerr != nil {
		return jerr
	}
	if err != nil {
		text = []byte("failed")
	}
	w.tell("done", i, string(text))
	return nil
}

// about names a call: everything that the store says of it, too.
func about(ctx context.Context) string {
	info, _ := durable.Info(ctx)
	return fmt.Sprint(info.Instance, " ", info.Execution, " ", info.Task, " ", info.Key)
}

func (w *worker) begin(ctx context.Context, what string) { w.tell("begin", what, about(ctx)) }
func (w *worker) end(ctx context.Context, what string) {
	if w.plan.Bug == bugSilence {
		return
	}
	w.tell("end", what, about(ctx))
	if w.plan.AtReceipt && (what == "receipt" || what == "lonely") {
		w.limited.Do(w.limit)
	}
}

func (w *worker) answer(v int) int {
	if w.plan.Bug == bugWrongAnswer {
		v++
	}
	return v
}

// pause gives the driver time to kill in the middle of a call.
func (w *worker) pause(ctx context.Context) {
	if n := w.chance(16); n < 4 {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(n) * time.Millisecond):
		}
	}
}

// effect is an empty file, so that limits of size do not concern it.
func (w *worker) effect(ctx context.Context) error {
	f, err := os.OpenFile(w.effectFile(ctx), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		w.tell("twice", "effect", about(ctx))
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (w *worker) effected(ctx context.Context) bool {
	if w.plan.Bug == bugBlindReconcile {
		return false
	}
	if w.plan.Bug == bugCredulousReconcile {
		return true
	}
	_, err := os.Stat(w.effectFile(ctx))
	return err == nil
}

func (w *worker) effectFile(ctx context.Context) string {
	info, _ := durable.Info(ctx)
	return filepath.Join(w.plan.Dir, "effects", info.Key)
}
