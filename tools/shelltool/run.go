package shelltool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/internal/confine"
	"github.com/agentrun-dev/agentrun/tools"
)

// deadline is how long the system may take to end what was killed.
const deadline = 10 * time.Second

// run runs a program to its end, or to that of its time.
func (r *runner) run(ctx context.Context, in input) (tools.Result, error) {
	program, ok := r.programs[in.Program]
	if !ok {
		return tools.Result{}, fmt.Errorf("%s is not one of the programs that may be run", in.Program)
	}
	for i, arg := range in.Args {
		if strings.Contains(arg, "\x00") {
			return tools.Result{}, fmt.Errorf("argument %d has a NUL character, which no program can be given", i)
		}
	}
	if program.Check != nil {
		if err := program.Check(in.Args); err != nil {
			return tools.Result{}, err
		}
	}
	p, err := r.start(in, program)
	if err != nil {
		return tools.Result{}, err
	}
	return p.await(ctx, r.Timeout)
}

// start starts a program in the folder that the call chooses.
func (r *runner) start(in input, program Program) (*process, error) {
	cmd := exec.Command(program.Path, in.Args...)
	cmd.Args[0] = in.Program
	cmd.Env = r.environment()
	name, err := confine.Clean(in.Dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the working directory: %w", bare(err))
	}
	defer root.Close()
	dir, err := confine.Dir(root, name, false)
	if err != nil {
		return nil, fmt.Errorf("open the working directory: %w", err)
	}
	defer dir.Close()
	opened, err := dir.Open(".")
	if err != nil {
		return nil, fmt.Errorf("open the working directory: %w", bare(err))
	}
	defer opened.Close() // when the program has started
	cmd.Dir = openedDir(opened, filepath.Join(r.Dir, filepath.FromSlash(name)))

	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe for the output: %w", err)
	}
	defer write.Close() // the program has its own by then
	cmd.Stdout, cmd.Stderr = write, write
	p := &process{cmd: cmd, grace: r.Grace, read: read, output: output{limit: r.MaxOutput}, ended: make(chan struct{}), copied: make(chan struct{})}
	if err := p.group.start(cmd); err != nil {
		read.Close()
		return nil, fmt.Errorf("%s cannot be started: %w", in.Program, bare(err))
	}
	go p.copy()
	go p.wait()
	return p, nil
}

// bare takes paths of the machine from a system's error.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// process is a program that runs. Two goroutines belong to it: wait ends with the program, copy when nobody holds the
// other end of the pipe any more, or await has closed this one.
type process struct {
	cmd    *exec.Cmd
	group  group
	grace  time.Duration
	read   *os.File
	output output // copy's until copied is closed
	ended  chan struct{}
	copied chan struct{}
}

func (p *process) copy() {
	defer close(p.copied)
	io.Copy(&p.output, p.read) // its error is that await has closed the pipe
}

// wait ends the group with the program. The program's id, by which the group is known, must not be another's by then.
func (p *process) wait() {
	defer close(p.ended)
	if awaitExit(p.cmd.Process.Pid) {
		p.group.end() // while the program still holds its id
		p.cmd.Wait()
		return
	}
	p.cmd.Wait() // what it says is in cmd.ProcessState
	p.group.end()
}

// await waits for the end, sees to it, and makes the result.
func (p *process) await(ctx context.Context, timeout time.Duration) (tools.Result, error) {
	defer p.read.Close()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	late := false
	select {
	case <-p.ended:
	case <-timer.C:
		late = true
		p.stop()
	case <-ctx.Done():
		p.stop()
	}
	if !within(p.ended, deadline) {
		return tools.Result{}, &tools.UnknownOutcomeError{Err: errors.New("the program cannot be killed, the system holds it")}
	}
	note := ""
	if !within(p.copied, p.grace) {
		note = "\n[a process that it has started goes on by itself, and its output is not waited for]"
		p.read.Close()
		<-p.copied
	}
	if err := ctx.Err(); err != nil && !late {
		return tools.Result{}, fmt.Errorf("the program was stopped: %w", context.Cause(ctx))
	}
	state := p.cmd.ProcessState
	status := fmt.Sprintf("exit code %d", state.ExitCode())
	if !state.Exited() {
		status = "it did not exit by itself: " + state.String()
	}
	if late {
		status = fmt.Sprintf("stopped after %s, which is how long it may run", timeout)
	}
	return tools.Result{Content: fmt.Sprintf("[%s]\n%s%s", status, p.output.String(), note), IsError: late || !state.Success()}, nil
}

// stop asks the group to end and then kills it.
func (p *process) stop() {
	p.group.ask()
	if !within(p.ended, p.grace) {
		p.group.kill()
	}
}

// within waits for a channel to be closed, for some time at most.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
