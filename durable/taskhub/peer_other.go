//go:build !linux && !darwin

package taskhub

import (
	"net"
	"syscall"
)

// beforeBind does nothing: only Linux gives a socket a mode before it has a name.
func beforeBind(_, _ string, _ syscall.RawConn) error { return nil }

// peerPID gives 0: there is no one way to ask.
func peerPID(net.Conn) int { return 0 }
