package conformance

import (
	"path/filepath"
	"testing"
)

// TestConformance runs every program of js, without and with OpenTelemetry.
func TestConformance(t *testing.T) {
	node := findNode(t)
	command := build(t)
	for _, telemetry := range []bool{false, true} {
		t.Run(runName(telemetry), func(t *testing.T) {
			node.run(t, files(t, "js/*.test.mjs"), command, serve(t, command), telemetry)
		})
	}
}

func runName(telemetry bool) string {
	if telemetry {
		return "telemetry"
	}
	return "plain"
}

// files are the programs that fit a pattern, which must be some.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.FromSlash(pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: no programs (%v)", pattern, err)
	}
	return found
}
