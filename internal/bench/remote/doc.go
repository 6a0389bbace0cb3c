// Package remote measures a server of the durable task protocol through gRPC: what
// agentrun bench --connect does.
//
//	c, err := remote.ParseConnection("Endpoint=http://127.0.0.1:8080;TaskHub=default;Authentication=None")
//	results, err := remote.Run(ctx, c, remote.Options{Worker: worker}, remote.Names())
//
// It says and expects only what every server of the protocol does, so that two
// servers can stand side by side. The orchestrations and activities run in worker
// processes of their own, which serve nothing else and do next to nothing: the
// figures are of the server, and of gRPC. Each step is an activity that takes a
// string of 1 KiB and gives another one, and orchestrations check what they get.
//
// Instances stay in the task hub when all is over; it should be one to throw away.
//
// # Files
//
// connection.go reads connection strings, program.go has the orchestrations,
// worker.go the process that runs them and crew.go the side that starts it; run.go
// and idle.go are the workloads.
package remote
