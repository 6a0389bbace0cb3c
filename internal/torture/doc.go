// Package torture kills real processes that run durable's engine under load, breaks
// their disks and their clocks, and asks a witness that no store can talk into
// anything whether something was lost or done twice.
//
// A worker is the test binary again: it opens a store, runs random orchestrations,
// and tells each call of an activity, and each acknowledgement that a client got,
// through a pipe before and after it happens. What is in the pipe survives the
// worker. The driver kills it with SIGKILL at a random place of that account, copies
// the store's files as they lie, and compares the copy with the account; then the
// next worker goes on with the files that the first one left. Which faults there are
// depends on a seed, which a failure prints.
//
// The tests are short by default. AGENTRUN_TORTURE=3m makes them go on for so long,
// AGENTRUN_TORTURE_SEED=7 chooses where the seeds begin; make torture does both.
// docs/reliability.md says what they prove and what not.
package torture
