package taskhub

import (
	"context"
	"log/slog"
	"time"
)

// SetCallWithin changes how long a call may take, before any is made.
func (r *Remote) SetCallWithin(d time.Duration) { r.callWithin = d }

// SetGrace changes how long Close waits for calls under way.
func (s *Server) SetGrace(d time.Duration) { s.grace = d }

// PrivateDir is where sockets lie whose path would be too long.
var PrivateDir = privateDir

// ListenWithoutChmod is the first step of Listen.
var ListenWithoutChmod = bind

// Alone is the directory of a server that has one hub.
func Alone(hub Hub) Directory { return alone{&Service{Hub: hub}} }

// Admit says whether access lets a call with the metadata of ctx through.
func Admit(ctx context.Context, a Access, method string) error {
	g := &guard{access: a, log: slog.New(slog.DiscardHandler), long: map[*guarded]struct{}{}}
	_, _, err := g.admit(ctx, method)
	return err
}
