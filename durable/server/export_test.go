package server

import "context"

// Halt stops the runtime of a hub, as a disk would that cannot be written. When it returns, the hub
// is known to have stopped.
func (s *Server) Halt(ctx context.Context, name string) error {
	h, err := s.hubs.get(ctx, name, false)
	if err != nil {
		return err
	}
	return h.rt.Close()
}
