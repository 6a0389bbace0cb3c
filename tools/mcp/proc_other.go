//go:build !unix

package mcp

import "os/exec"

// There are no process groups to signal here, and no signal to ask with.
func ownGroup(*exec.Cmd) {}

func terminate(*exec.Cmd) {}

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
