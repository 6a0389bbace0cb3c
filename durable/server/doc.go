// Package server is a server of task hubs: programs of other languages and machines start, steer and
// work on the runs that it keeps, by the durable task protocol.
//
//	s, err := server.Open(ctx, server.Options{Store: "sqlite:hub.db"}, greet, hello)
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	fmt.Println(s.ConnectionString()) // Endpoint=http://127.0.0.1:8080;TaskHub=default;Authentication=None
//
// # Hubs
//
// A call names its hub in the header taskhub. The hub default is the store itself and always there.
// Every other one has a database of its own beside it, hub.db.hubs/NAME.db; it is made and deleted
// by the protocol's calls, by "agentrun hub", or with [Options].Dev on first use. Hubs share nothing
// but the program: its definitions run in all of them, so that a client in any hub can call a Go
// agent, each hub with an engine, queues and limits of its own.
//
// Hubs that exist are opened when the server starts, since their timers must fire. One that cannot be
// opened keeps no other from being served: its calls get the error, and each one tries again.
//
// # Who may connect
//
// On an address of this machine alone everybody may, unless [Options].RequireToken is set. Any other
// address is refused without TLS and tokens, see package access. The socket beside the store's
// database, through which other processes of the same user reach all hubs, asks for no token: its
// mode is what keeps others out.
//
// # HTTP
//
// Beside gRPC there is HTTP: /healthz answers 200 while the process lives, /readyz while it takes
// calls and every hub's commits succeed, and else 503 with the reason. [Options].Handler has the rest.
package server
