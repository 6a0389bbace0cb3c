//go:build unix

package cli

import "syscall"

// becomeProgram turns this process into another program.
func becomeProgram(bin string, args, env []string) error {
	return setupf("start %s: %w", bin, syscall.Exec(bin, args, env))
}
