// Package mcpserver serves agents, and durable orchestrations such as teams of them, as tools of the Model Context
// Protocol: to an editor or another agent, over the process's pipes or streamable HTTP.
//
//	server, err := mcpserver.New(rt, mcpserver.Options{}, mcpserver.Agent(assistant),
//		mcpserver.Orchestration("handle_incident", "Finds the cause of an alert and mends it.", incident))
//	http.Handle("/mcp", server)                 // or:
//	err = server.Serve(ctx, os.Stdin, os.Stdout)
//
// A call of such a tool starts a durable run and answers with its result. The run does not depend on the caller: when
// the connection breaks, or this process ends, the run goes on, or does when its store is opened again.
//
// # The same call again
//
// A client that says an idempotency key in the call's _meta (mcp.KeyMeta) may call again as often as it likes: the
// same key, tool and arguments are one run, which the call waits for or, if it has ended, whose result it gets at
// once, until the run is purged. One that failed or was cancelled stays so; another try is another key. A key that
// comes back with other arguments is an error. Over HTTP the request's id
// does the same within a session. Everything else is a run of its own. Of several callers who must not see each
// other's runs [Options.Caller] tells one from the other.
//
// # While it runs
//
// A client that gives a progress token is told of turns and of tool calls, and of requests that wait for a person's
// decision, with the id to decide by. If it cancels the request, the run is cancelled, unless somebody else waits for
// it or [Options.LeaveRunning] is set; a connection that ends cancels nothing.
//
// # Access
//
// Whoever reaches the server may start runs. It answers no pages of other sites and nobody who came by a strange name
// to a local address; authentication is a matter of the handler around it, or of who may start the process.
package mcpserver
