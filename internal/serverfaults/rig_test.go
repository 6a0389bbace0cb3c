//go:build linux || darwin

package serverfaults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// rig is a server on a store of its own, and what works for it.
type rig struct {
	*account
	t       *testing.T
	random  *rand.Rand
	command string
	store   string
	address string // of the server
	hub     protocol.TaskHubSidecarServiceClient

	server  *process
	workers []*process // see replace
	pipe    *os.File   // the end of the account that is written to
	marked  int
	walks   int
	starts  int // of the server
}

// process is a server or a worker.
type process struct {
	*exec.Cmd
	name string
	env  string        // of a worker
	in   io.Closer     // of a worker: it ends with this
	log  *bytes.Buffer // of a server
}

// long is for how long AGENTRUN_FAULTS says to go on; zero for the short tests.
func long(t *testing.T) time.Duration {
	text := os.Getenv("AGENTRUN_FAULTS")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("AGENTRUN_FAULTS is no duration, such as 2m: %v", err)
	}
	return d
}

// seed chooses the moments of faults.
func seed(t *testing.T) uint64 {
	text := os.Getenv("AGENTRUN_FAULTS_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("AGENTRUN_FAULTS_SEED: %v", err)
	}
	return n
}

var built struct {
	sync.Once
	dir string
	err error
}

// build compiles the command once for all tests, without the race detector: what it does is judged
// from outside.
func build(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "serverfaults"); built.err != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", built.dir, "../../cmd/agentrun").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "agentrun")
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{account: newAccount(), t: t, random: rand.New(rand.NewPCG(seed(t), 3)), command: build(t),
		store: "sqlite:" + filepath.Join(t.TempDir(), "hub.db"), address: "127.0.0.1:0"}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.pipe = out
	go r.hear(in)
	t.Cleanup(func() {
		for _, w := range r.workers {
			_ = w.Process.Kill() // all of these may have ended
			_ = w.Wait()
		}
		if r.server != nil {
			_ = r.server.Process.Kill()
			_ = r.server.Wait()
			if t.Failed() {
				t.Logf("the server logged:\n%s", tail(r.server.log.Bytes(), 16<<10))
			}
		}
		_ = out.Close()
		<-r.over
		_ = in.Close()
	})
	r.serve()
	conn, err := dial(r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r.hub = protocol.NewTaskHubSidecarServiceClient(conn)
	return r
}

// tail is the end of a text, n bytes at most.
func tail(text []byte, n int) []byte {
	if len(text) > n {
		text = append([]byte("...\n"), text[len(text)-n:]...)
	}
	return text
}

// serve starts the server: again on the store and the port that it had.
func (r *rig) serve() {
	p := &process{Cmd: exec.Command(r.command, "serve", "--grpc", r.address, "--http", "127.0.0.1:0", "--store", r.store, "-o", "json"), log: new(bytes.Buffer)}
	p.Stderr = p.log
	out, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		r.find("start the server: %v", err)
		return
	}
	r.server = p
	r.starts++
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ GRPC string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()
		r.find("start %d of the server: %v\n%s", r.starts, err, tail(p.log.Bytes(), 4<<10))
		return
	}
	r.address = ready.GRPC
}

// end ends the server by a signal, and checks how it ended.
func (r *rig) end(s syscall.Signal) {
	watchdog := time.AfterFunc(30*time.Second, func() {
		r.find("the server did not end after %v", s)
		_ = r.server.Process.Kill()
	})
	defer watchdog.Stop()
	_ = r.server.Process.Signal(s) // if it has ended, Wait says so
	err := r.server.Wait()
	status, _ := r.server.ProcessState.Sys().(syscall.WaitStatus)
	if s == syscall.SIGKILL && status.Signal() == s || s == syscall.SIGTERM && err == nil {
		return
	}
	r.find("after %v the server ended with %v\n%s", s, err, tail(r.server.log.Bytes(), 4<<10))
}

// work starts a worker that connects to an address.
func (r *rig) work(address string) {
	r.t.Helper()
	name := fmt.Sprintf("w%d", len(r.workers))
	r.workers = append(r.workers, nil)
	if err := r.replace(len(r.workers)-1, name, workerEnv+"="+name+" "+address); err != nil {
		r.t.Fatal(err)
	}
}

// replace starts a worker in the place of one that has ended.
func (r *rig) replace(i int, name, env string) error {
	p := &process{Cmd: exec.Command(os.Args[0]), name: name, env: env}
	// The race detector would wait a second at the end of each worker.
	p.Env = append(os.Environ(), env, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	p.Stdout, p.Stderr = r.pipe, os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		return err
	}
	p.in = in
	if err := p.Start(); err != nil {
		return err
	}
	r.workers[i] = p
	return nil
}

// kill kills a worker.
func (r *rig) kill(i int) {
	p := r.workers[i]
	_ = p.Process.Kill() // if it has ended, Wait says so
	err := p.Wait()
	if status, _ := p.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		r.find("worker %s ended with %v", p.name, err)
	}
	r.settle()
	r.died(fmt.Sprintf("%s-%d", p.name, p.ProcessState.Pid()))
}

// settle returns when everything that is in the pipe is heard.
func (r *rig) settle() {
	r.marked++
	if _, err := fmt.Fprintf(r.pipe, "mark %d\n", r.marked); err != nil {
		r.find("the account's pipe: %v", err)
		return
	}
	<-r.marks
}

// under runs a load of 200 walks with a fault after the other, until the faults were enough and the
// time is up.
func (r *rig) under(fault func(context.Context), enough func() bool) {
	r.t.Helper()
	end := time.Now().Add(long(r.t))
	for batch := 0; ; batch++ {
		ctx, stop := context.WithCancel(r.t.Context())
		quiet := make(chan struct{})
		go func() {
			defer close(quiet)
			for ctx.Err() == nil && !r.bad() {
				fault(ctx)
			}
		}()
		r.load(200)
		stop()
		<-quiet
		r.settle()
		if r.bad() || r.t.Failed() {
			return
		}
		if enough() && time.Now().After(end) {
			return
		}
		if batch == 20 && !enough() {
			r.find("after %d walks there were not enough faults", r.walks)
			return
		}
	}
}

// bad tells whether something was found already.
func (r *rig) bad() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.findings) > 0
}

// report makes failures of what was found.
func (r *rig) report() {
	r.t.Helper()
	r.mu.Lock()
	findings := r.findings
	r.mu.Unlock()
	for i, f := range findings {
		if i == 20 {
			r.t.Errorf("and %d more", len(findings)-i)
			break
		}
		r.t.Errorf("seed %d: %s", seed(r.t), f)
	}
	again, taken := r.fates()
	n, _ := r.cuts()
	r.t.Logf("%d walks, %d starts of the server\ncut in flight: %v; of the activities %d counted, %d were given again\n%s", r.walks, r.starts, n, taken, again, r.counts())
}
