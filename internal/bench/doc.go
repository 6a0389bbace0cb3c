// Package bench measures package durable on the machine that it runs on: the
// workloads of agentrun bench, and docs/performance.md.
//
//	results, err := bench.Run(ctx, bench.Options{Dir: dir, Child: child}, bench.Names())
//
// Engine, client and activities share this process, on a SQLite store with its
// default settings, synced at each commit. Every activity takes 1 KiB and gives
// another 1 KiB, and the orchestrations check what they get.
//
// # The yardstick
//
// How fast a durable engine can be depends on the disk more than on the engine,
// so each result stands beside two rates of the same minutes on the same disk.
// c is a bare loop over the same SQLite driver with the same settings that
// commits one row of 1 KiB at a time; the other is a loop of writes to a file,
// each synced. Both are taken before each workload and after the last, at least
// five times in a run, and their medians are reported.
//
// # Files
//
// program.go has the orchestrations that are measured, run.go the order of a
// run, yardstick.go the two loops, and the others a workload or two each.
package bench
