package taskhub

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// beforeBind does nothing: macOS gives a socket no mode before it has a name.
func beforeBind(_, _ string, _ syscall.RawConn) error { return nil }

// peerPID gives the process at the other end of a connection, as the system knows it; 0 if not.
func peerPID(conn net.Conn) (pid int) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			pid = n
		}
	})
	return pid
}
