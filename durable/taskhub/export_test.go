package taskhub

import "time"

// SetCallWithin changes how long a call may take, before any is made.
func (r *Remote) SetCallWithin(d time.Duration) { r.callWithin = d }

// SetGrace changes how long Close waits for calls under way.
func (s *Server) SetGrace(d time.Duration) { s.grace = d }

// PrivateDir is where sockets lie whose path would be too long.
var PrivateDir = privateDir

// ListenWithoutChmod is the first step of Listen.
var ListenWithoutChmod = bind
