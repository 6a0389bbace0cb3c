//go:build unix

package confine

import "syscall"

// nonBlock keeps an open from waiting where a pipe has come in the place of a file.
const nonBlock = syscall.O_NONBLOCK
