// Package taskhub lets the processes of a machine share one task hub: the process that holds the
// store serves it on a Unix socket, and the others are its clients.
//
// One process at a time can write to a store. It runs the engine, and beside it a [Server]:
//
//	lis, err := taskhub.Listen(taskhub.SocketPath(dbPath)) // after the store is opened: it has the lease
//	if err != nil {
//		return err
//	}
//	server := taskhub.Serve(lis, eng, taskhub.Info{Program: "incident", Version: "1.2.0"})
//	defer server.Close() // before the engine and the store are closed
//
// A process that finds the store held connects to the one that holds it, and has the same methods
// as on the engine itself:
//
//	hub, err := taskhub.Dial(ctx, taskhub.SocketPath(dbPath))
//	if err != nil {
//		return err
//	}
//	defer hub.Close()
//	err = hub.Raise(ctx, "run-1", "approval", history.Payload(`{"approved":true}`))
//
// Code that should not care which of the two it has takes a [Hub].
//
// # When the other program goes
//
// A [Remote] belongs to one program at the other end. When that one ends, calls fail with
// [ErrUnavailable], those that wait included, and whoever wants to go on dials again or takes the
// store's lease. A change whose answer did not come may have been made or not: raising an event
// again can raise it twice, starting an instance with an id of one's own again is safe.
//
// A program that is stopped or hangs keeps the lease and says nothing. No call waits for it for
// long: it fails with [ErrNoAnswer], naming the process.
//
// # Workers
//
// What the engine has no definition of can be run by other programs, in any language that has an
// SDK of the protocol. [Workers] stands between the two: the engine offers it the work, and the
// hub's [Service] lets programs connect for it.
//
//	workers := taskhub.NewWorkers(taskhub.WorkersOptions{})
//	eng, err := engine.Open(ctx, store, definitions, engine.Options{Workers: workers})
//	service := &taskhub.Service{Hub: eng, Workers: workers}
//
// A worker says how much it wants at once and, if it likes, of which names and versions. It gets an
// item together with a token, and answers with that token: once, or as often as it likes. When its
// connection ends, its work is given to others.
//
// # On the wire
//
// A server speaks the durable task protocol, /TaskHubSidecarService: the methods for clients and
// those for workers. Beside it is a service of our own
// (internal/protocol/agentrun_local.proto): a handshake that tells programs of
// different versions apart before anything else is said, and what the protocol has no words for, as
// queries by tag, histories with our extension fields and payloads by hash. Remote takes of each
// what loses nothing.
//
// Errors are the same on both sides of the socket. Their codes, with the engine's text as message:
//
//	ALREADY_EXISTS     engine.ErrExists
//	NOT_FOUND          engine.ErrNotFound, store.ErrNotFound (but GetInstance and GetEntity: OK, exists=false)
//	INVALID_ARGUMENT   engine.ErrInvalid
//	RESOURCE_EXHAUSTED ErrLimit
//	UNAVAILABLE        the server is ending, the engine or the store is closed, or lost the lease
//	INTERNAL           anything else, such as a disk that cannot be read
//
// # Several hubs, and a network
//
// [ServeAll] serves the hubs of a [Directory], which calls name in the header taskhub, on a socket or
// on an address of a network; package server is made of it.
//
// # Who may connect
//
// To a socket, whoever can open its file, that is its user ([Listen]). On a network, whoever has a
// token, if the server has [ServerOptions].Access: each method needs a role (package access), in the
// hub that the call names. Only health is told to everybody. What lasts, as a wait or a worker's
// stream, ends within a second or two after its token was revoked or has expired.
package taskhub
