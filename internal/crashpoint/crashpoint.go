//go:build !crashpoints

// Package crashpoint ends the process at a chosen point of the engine, as
// kill -9 would. It does so only in programs built with -tags crashpoints, which
// tests build; in all others Hit is empty.
//
// The environment says where: AGENTRUN_CRASH=commit:3 is right after the third
// commit of the process. AGENTRUN_WITNESS names a file that gets a line for each
// call of a model or tool: what really happened, as told by nobody's history.
package crashpoint

// Hit marks a point that a test may crash at.
func Hit(string) {}

// Witness notes that something happens, before it does.
func Witness(what, name, id string) {}
