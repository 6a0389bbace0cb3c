//go:build linux || darwin

package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// round is one store, from its creation until everything in it has ended.
type round struct {
	t       *testing.T
	dir     string
	seed    uint64
	random  *rand.Rand
	scripts map[int]script // instead of drawn ones
	bug     string
	*account
}

func newRound(t *testing.T, seed uint64) *round {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "round")
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "effects"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &round{t: t, dir: dir, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), account: newAccount()}
	r.figures.Rounds = 1
	return r
}

func (r *round) script(i int) script {
	if s, ok := r.scripts[i]; ok {
		return s
	}
	return draw(r.seed, i)
}

// index is the inverse of instanceName; -1 for others, which are children.
func (r *round) index(id string) int {
	if i, err := strconv.Atoi(strings.TrimPrefix(id, "i-")); err == nil && id == instanceName(i) {
		return i
	}
	return -1
}

// more adds instances to run.
func (r *round) more(n int) {
	for range n {
		i := len(r.tasks)
		s := r.script(i)
		r.expect(i, s.has("event"), i%3)
	}
}

// fate is how a life goes and ends.
type fate struct {
	fault  string
	clock  bool
	cached int
	killAt int // the record at which it is killed; below 0: not
	// killSick kills it when commits stand still; otherwise the disk's limit is lifted then.
	killSick  bool
	atReceipt bool // see plan
	patience  time.Duration
}

// live runs a worker until it ends or is killed, and checks what it leaves.
func (r *round) live(f fate, final bool) {
	t := r.t
	t.Helper()
	r.life++
	r.figures.Lives++
	if f.patience == 0 {
		f.patience = 60 * time.Second
	}
	p := plan{
		Dir: r.dir, Seed: r.seed, Chance: r.random.Uint64(), Tasks: r.open(), Clients: 1 + r.random.IntN(16), Cached: f.cached, Patience: f.patience,
		Preallocate: f.fault != fileTooLarge && r.random.IntN(3) == 0, Clock: f.clock, Fault: f.fault, AtReceipt: f.atReceipt, Bug: r.bug, Final: final, Scripts: r.scripts,
	}
	order, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// The race detector would wait a second at the end of each worker.
	cmd.Env = append(os.Environ(), workerEnv+"=1", strings.TrimSpace("GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill := func() {
		killed = true
		_ = cmd.Process.Kill() // it may have ended
	}
	var hung atomic.Bool
	watchdog := time.AfterFunc(f.patience+20*time.Second, func() { hung.Store(true); _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	if _, err := in.Write(append(order, '\n')); err != nil {
		t.Fatal(err)
	}
	last := ""
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == f.killAt {
			kill()
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "error ") {
			t.Errorf("life %d: %s", r.life, line)
			continue
		}
		if err := r.hear(line); err != nil {
			t.Fatalf("life %d: %v", r.life, err)
		}
		last = line
		if line == "sick" && (f.fault == diskFull || f.fault == fileTooLarge) {
			if f.killSick {
				kill()
			} else if _, err := io.WriteString(in, "lift\n"); err != nil && !killed {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case hung.Load():
		r.find("the worker hung after %q", last)
	case err == nil && last == "closed":
		r.figures.Closes++
	case err == nil && last == "halted":
		r.figures.Halts++
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL && (killed || r.bug == bugTornCommit):
		r.figures.Kills++
	case r.bug != "":
		r.find("the worker ended with: %v %.300s", err, complaints.String())
	default:
		r.find("the worker ended with: %v after %q\n%s", err, last, complaints.String())
	}

	image, err := os.MkdirTemp(r.dir, "image")
	if err == nil {
		err = copyImage(r.dir, image)
	}
	if err == nil && r.bug == bugDamage {
		err = damagePages(filepath.Join(image, "hub.db"))
	}
	if err == nil {
		err = r.check(t.Context(), r, image, final)
	}
	if err == nil {
		err = os.RemoveAll(image)
	}
	if err != nil {
		r.find("%v", err)
	}
}

// ok reports what was found, and whether that was nothing.
func (r *round) ok() bool {
	r.t.Helper()
	for _, f := range r.findings {
		r.t.Errorf("seed %d: %s", r.seed, f)
	}
	return len(r.findings) == 0
}

// fate draws how a life goes.
func (r *round) fate(records int, faults ...string) fate {
	f := fate{clock: r.random.IntN(3) == 0, cached: []int{-1, 1, 0}[r.random.IntN(3)], killSick: r.random.IntN(2) == 0, killAt: r.random.IntN(records)}
	if r.random.IntN(6) == 0 {
		f.killAt = r.random.IntN(12) // while it opens, or soon after
	}
	f.fault = faults[r.random.IntN(len(faults))]
	return f
}

// finish lets everything end, undisturbed, and checks that it did.
func (r *round) finish(patience time.Duration) {
	r.t.Helper()
	r.live(fate{killAt: -1, patience: patience}, true)
	if len(r.findings) == 0 && len(r.open()) > 0 {
		r.find("%d instances have not ended", len(r.open()))
	}
}
