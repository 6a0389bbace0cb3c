// Package sqlite keeps a task hub in one SQLite file, without cgo.
//
//	s, err := sqlite.Open(ctx, ".agentrun/agentrun.db", sqlite.Options{})
//	if err != nil {
//		return err // *store.HeldError: another process has it open
//	}
//	defer s.Close()
//
// # Files
//
// Beside agentrun.db lie SQLite's own agentrun.db-wal and agentrun.db-shm while
// it is open (or after a crash: they are part of the database then and must be
// copied with it), agentrun.db.lock, which carries the lease, and
// agentrun.db.holder, which says who has it. All are readable by their owner
// only.
//
// # Durability
//
// A commit is one transaction in the write-ahead log, synced before Commit
// returns (synchronous=FULL; on macOS with F_FULLFSYNC). The log is grown once
// to 16 MiB, by a transaction that is rolled back, and then written over and
// over: a sync that need not make the file longer costs half as much.
//
// # Checkpoints
//
// What the log holds is copied into the database in two steps. The bulk goes by
// a connection of its own while commits go on; what came meanwhile follows
// between two commits, after which the log starts anew. Above 64 MiB, when the
// copying cannot keep up, commits wait for it. A checkpoint that fails is logged
// and tried again; it never fails a commit.
package sqlite
