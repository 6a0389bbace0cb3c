// Package facts is a memory that outlasts conversations: facts about a user, of an agent,
// or of a team, found by full-text search and, where an [Embedder] is configured, by what
// they mean.
//
// The facts of a scope are the state of one entity of the hub, so they survive whatever
// the hub survives, and every process that is connected to it sees the same. The search
// index (SQLite, FTS5) is derived from them: a search first brings it up to date with the
// entities that it asks about, so it never gives what was forgotten nor misses what was
// committed, and a file that is lost or damaged is made anew.
//
//	var client *durable.Client
//	memory, err := facts.New(facts.Options{
//		Client: func(context.Context) (*durable.Client, error) { return client, nil },
//	})
//	…
//	assistant := agents.New(agents.Config{
//		Tools: memory.Tools(func(ctx context.Context) (facts.Scopes, error) {
//			info, _ := durable.Info(ctx)
//			return facts.Scopes{User: info.Tags["user"], Agent: "assistant"}, nil
//		}),
//		…
//	})
//	rt, err := durable.Open(ctx, "sqlite:hub.db", facts.Definitions(), agents.Define(options, assistant))
//	client = rt.Client()
package facts
