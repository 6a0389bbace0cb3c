package shelltool

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// awaitExit waits until a child has ended, without taking its id from it. It reports whether it could.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// openedDir names a folder by its open file, so that the program starts in the one that was looked at, whatever has
// taken its name since.
func openedDir(dir *os.File, path string) string {
	name := fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
	if _, err := os.Stat(name); err != nil {
		return path // there is no /proc
	}
	return name
}
