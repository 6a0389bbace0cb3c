// Package conformance runs the official JavaScript SDK, as worker and as client, against "agentrun
// serve": what others wrote judges whether our server speaks their protocol.
//
// The programs in js are tests of Node's own runner, a file for each capability, on the npm package
// @microsoft/durabletask-js in the version that package.json pins. Each file makes task hubs of its own
// on the one server of the run. The Go test starts the server, runs the files, and reports each of
// their tests as its own. There are two runs: where OpenTelemetry is installed, the SDK sends and
// expects trace contexts with nearly every message, and where it is not, it does neither.
//
// The programs in js/mixed run against a program of ours that serves its own definitions: a Go
// orchestration whose activity is JavaScript, and a JavaScript orchestration that calls a Go agent.
//
//	make conformance
//
// One program alone, against a server that is already there (recovery.test.mjs also needs AGENTRUN_COMMAND,
// a server that it can start and kill):
//
//	AGENTRUN_ENDPOINT=127.0.0.1:8080 node --test internal/conformance/js/timers.test.mjs
package conformance
