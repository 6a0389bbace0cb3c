// Package agents runs AI agents that do not lose their work.
//
// An agent is a model with instructions and tools:
//
//	type City struct {
//		Name string `json:"name" jsonschema:"description=City in English"`
//	}
//
//	var weather = tools.New("weather", "Current weather in a city.",
//		func(ctx context.Context, in City) (string, error) { return lookup(ctx, in.Name) },
//		tools.Pure())
//
//	var assistant = agents.New(agents.Config{
//		Name:         "assistant",
//		Instructions: "Answer in one sentence.",
//		Model:        "gpt-4.1-mini",
//		Tools:        []tools.Tool{weather},
//	})
//
// and a run of it is a durable orchestration. Whoever holds a runtime starts one and
// reads its events as they come:
//
//	rt, err := agents.Open(ctx, "sqlite:agents.db", agents.Options{Models: models}, durable.Options{}, []*agents.Agent{assistant})
//	for ev, err := range assistant.Run(ctx, rt, "Do I need an umbrella in Oslo?") { … }
//
// while another orchestration calls it as it calls any child, and is as simple as the
// code it looks like:
//
//	answer, err := assistant.Call(ctx, "Do I need an umbrella in Oslo?")
//
// Kill the process in the middle and open the store again: the run goes on where it
// was.
//
// # A turn
//
// The loop is always the same. The model is asked, in an activity; what it answers is
// recorded. If it calls tools, each call is an activity of its own, all of a turn side
// by side; the message and the results are appended to the conversation, and the next
// turn begins. A message without calls ends the run: it is the [Result]. A run that
// takes more turns than [Config] allows fails.
//
// Before anything is done about a tool call it is checked. A tool that does not exist
// and arguments that do not fit are answered by saying so, and the model may correct
// itself. The same holds for a tool that fails, panics or takes too long, and for a
// structured answer ([OutputOf], [Decode]) that is not of its schema. What a model or
// its provider does wrong otherwise is either tried again, by [Config].Retry, or fails
// the run with one line that says why.
//
// # Tools and their effects
//
// What a crash in the middle of a call does is decided by what the tool declares:
//
//	effect        a call that had no recorded answer when the process ended
//	Pure          is made again
//	Idempotent    is made again, with the same key (tools.Key)
//	Compensable   as Unsafe
//	Unsafe        is never made again by itself: its Reconcile is asked whether it
//	              took effect; if it cannot tell, a person is
//
// A tool that declares nothing is unsafe. A call whose answer was recorded is never
// made again, whatever its effect.
//
// # Approvals
//
// A call of a tool with tools.NeedsApproval waits for people. So does a call of which
// nobody knows whether it took effect, and whatever else an orchestration asks with
// [Ask]. Requests are entities: [Inbox] lists them over all runs, [Decide] settles one,
// once, from any process, whether or not the run's own program is alive. Waiting costs
// nothing and survives restarts; a deadline is a durable timer. A person who approves
// may edit the arguments first.
//
// # Conversations
//
// What was said is kept by package memory, each message once. A run has a conversation
// of its own, unless [InConversation] lets it go on with another. The run's history
// holds references only, so it stays small however long it lasts, and after a hundred
// turns it continues as new.
//
// A [Manifest] of what decides what the model is told (instructions, model, tools,
// output) is stored in a run's first step. A deploy in the middle of a run does not
// change the run.
//
// # What is durable
//
//   - Every answer of a model and of a tool, from the commit that holds it: it is not
//     asked for again.
//   - The conversation, requests to people and their decisions.
//   - Not: text as it streams ([Delta]). It is provisional until its turn is recorded;
//     an attempt that is given up is replaced by the next one.
//   - Not: an answer that the process had, but had not committed, when it ended. A
//     model is asked again; for tools see above.
//
// Spans named invoke_agent, chat and execute_tool follow OpenTelemetry's conventions
// for generative AI, each emitted once, never by a replay, without what was said.
package agents
