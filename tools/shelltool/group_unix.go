//go:build unix

package shelltool

import (
	"os/exec"
	"sync"
	"syscall"
)

// group is a program's process group, which has the id of the program.
type group struct {
	mu  sync.Mutex
	pid int // 0 when the program is gone, and its id may be another's
}

func (g *group) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.pid = cmd.Process.Pid
	return nil
}

// ask tells the processes to end.
func (g *group) ask() { g.signal(syscall.SIGTERM) }

// kill ends them.
func (g *group) kill() { g.signal(syscall.SIGKILL) }

// end kills what is left, for good.
func (g *group) end() {
	g.kill()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid = 0
}

func (g *group) signal(s syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid > 0 {
		syscall.Kill(-g.pid, s) // an error is that there is nobody any more
	}
}
