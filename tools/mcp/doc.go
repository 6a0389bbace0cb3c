// Package mcp gives agents the tools of servers that speak the Model Context Protocol, over a child process's
// pipes or streamable HTTP.
//
//	files, err := mcp.Open("files", mcp.Stdio("mcp-server-filesystem", "/srv/data"), mcp.Options{
//		Prefix:  "fs_",
//		Effects: map[string]tools.Effect{"read_text_file": tools.EffectPure},
//	})
//	defer files.Close()
//
// A [Server] is a tools.Toolset. Nothing runs until it is asked for tools; after that the connection is kept, and
// made again when it is gone: a process that died is started, a session that the server has forgotten is replaced,
// after a wait that grows while that does not help.
//
// # What a call may do twice
//
// A server says of its tools whether they change anything (annotations). Those are hints of a program that may be
// wrong or lie, so they count for nothing unless [Options.TrustAnnotations] is set: every tool is unsafe, and a call
// whose answer was lost is never repeated. With trust, readOnlyHint makes a tool pure and idempotentHint idempotent.
// [Options.Effects] overrules both, by the server's name of the tool.
//
// When a connection breaks in the middle of a call, a pure or idempotent tool is called again, a few times at most.
// Of any other the outcome is unknown, which the call says (*tools.UnknownOutcomeError), unless the request had not
// left or the server refused it before it looked at it. A call that ends before its answer, by a timeout or because
// the run ended, is cancelled on the server too.
//
// Each call carries its idempotency key in _meta, under [KeyMeta], for servers that know what to do with it.
//
// # Names
//
// A tool keeps its name, after [Options.Prefix]. A name that model APIs do not take, or that is too long, is made
// fit and gets a piece of its hash, so that it is the same each time and no other name becomes it;
// [Server.RemoteName] gives it back. [Join] makes one toolset of several and says which two servers have a name in
// common.
//
// # What a server can do to its user
//
// Lists, messages and waits have limits (see [Options]). A tool whose schema cannot be used, because it is no JSON
// Schema, names documents elsewhere or is made to take for ever to check, is left out; [Server.Skipped] says why. A
// child process gets a few harmless variables of the environment, not the program's keys. Headers go to the
// server's own host only, and neither they nor the query of the URL appear in errors.
//
// Text, structured content, images, resources and links to them reach the model. Audio does not; a line says that it
// was there. What a server asks for in return (sampling, elicitation, roots) is refused.
package mcp
