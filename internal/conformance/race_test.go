//go:build race

package conformance

// The server is as careful as the test: what it does wrong with memory ends it with an error.
func init() { buildFlags = append(buildFlags, "-race") }
