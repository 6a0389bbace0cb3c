package evals

import (
	"strings"
	"testing"
)

func TestTooLarge(t *testing.T) {
	const limit = 1 << 20
	text := `{"version": 1` + strings.Repeat(" ", limit)
	if _, err := read(strings.NewReader(text), limit); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
	if _, err := read(strings.NewReader(text[:limit]), limit); err == nil || strings.Contains(err.Error(), "larger") {
		t.Errorf("at the limit: %v", err)
	}
}
