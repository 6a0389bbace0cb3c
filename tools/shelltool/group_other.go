//go:build !unix && !windows

package shelltool

import "os/exec"

// group is the program alone, where there are no groups.
type group struct{ cmd *exec.Cmd }

func (g *group) start(cmd *exec.Cmd) error {
	g.cmd = cmd
	return cmd.Start()
}

func (g *group) ask()  { g.kill() }
func (g *group) kill() { g.cmd.Process.Kill() }
func (g *group) end()  {}
