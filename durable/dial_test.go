package durable_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// TestDial reaches the process that has a hub open, and opens none itself.
func TestDial(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hub.db")
	for _, url := range []string{url, "memory:"} {
		if _, err := durable.Dial(t.Context(), url, durable.Options{}); !errors.Is(err, taskhub.ErrUnavailable) {
			t.Errorf("nobody has %s open: %v", url, err)
		}
	}
	rt, err := durable.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := durable.Dial(t.Context(), url, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "nobody"); !durable.IsNotFound(err) {
		t.Error(err)
	}
	if err := errors.Join(c.Close(), rt.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Dial(t.Context(), url, durable.Options{}); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := durable.Dial(t.Context(), "nonsense", durable.Options{}); err == nil {
		t.Error("nonsense was dialled")
	}
}
