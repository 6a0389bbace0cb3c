//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// canDropInput says that dropInput works here.
const canDropInput = true

// dropInput drops what was typed at a terminal and not yet read, as tcflush(3) does.
func dropInput(tty *os.File) error {
	for {
		err := unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCFLUSH, unix.TCIFLUSH)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("tcflush", err)
		}
	}
}
