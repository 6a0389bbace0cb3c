// Package serverfaults breaks "agentrun serve", its workers and the wire between them while 200 runs
// are under way, and asks a witness and the recorded histories whether something was lost or counted
// twice.
//
// The server is the real command, built and started on a SQLite store. A worker is the test binary
// again: it speaks the protocol with the generated client and nothing of ours around it. It tells each
// beginning of an activity, and each answer that it sends and what came of that, through a pipe that
// all workers share: the lines of a worker that is killed stay, and their order is that of the events.
// The driver reads the pipe, and lets faults come when it has read this or that, so that they come in
// the middle of something.
//
// The proxy between workers and server is Toxiproxy, whose many dependencies are in a module file of
// their own, toxiproxy/go.mod.
//
// The tests are short by default. AGENTRUN_FAULTS=2m makes each go on for so long, AGENTRUN_FAULTS_SEED=7
// chooses other moments; make faults does the former. docs/reliability.md says what they prove.
package serverfaults
