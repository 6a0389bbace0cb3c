//go:build !crashpoints

// Package crashpoint ends the process at a chosen point of the engine, as
// kill -9 would. It does so only in programs built with -tags crashpoints, which
// tests build; in all others Hit is empty.
//
// The environment says where: AGENTRUN_CRASH=commit:3 is right after the third
// commit of the process.
package crashpoint

// Hit marks a point that a test may crash at.
func Hit(string) {}
