package mcpserver

import (
	"context"
	"runtime"
	"testing"
)

// AwaitWaiting waits until n calls wait for runs.
func (s *Server) AwaitWaiting(t *testing.T, n int) {
	t.Helper()
	for {
		s.mu.Lock()
		sum := 0
		for _, w := range s.waiting {
			sum += w
		}
		s.mu.Unlock()
		if sum == n {
			return
		}
		runtime.Gosched()
		if err := t.Context().Err(); err != nil {
			t.Fatal(context.Cause(t.Context()))
		}
	}
}
