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
// by side, or one after the other ([Config].Sequential); the message and the results are
// appended to the conversation, and the next turn begins. A message without calls ends
// the run: it is the [Result].
//
// Before anything is done about a tool call it is checked. A tool that does not exist
// and arguments that do not fit are answered by saying so, and the model may correct
// itself. The same holds for a tool that fails, panics or takes too long, and for a
// structured answer ([OutputOf], [Decode]) that is not of its schema. What a model or
// its provider does wrong otherwise is either tried again, by [Config].Retry, or fails
// the run with one line that says why.
//
// A run ends earlier after a call of one of its StopTools, when StopWhen says so, and at
// MaxTurns: with an error, with a summary for which the model is asked once more, or by
// a Successor that goes on in the same conversation ([MaxTurnsAction]).
//
// # Instructions and prompts
//
// What the model is told first is a text, a prompt of package prompts, or a function of
// the run's state that is asked before each turn:
//
//	Instructions: "Answer in one sentence.",
//	Prompt:       triage, // of a prompts.Library; WithVars gives its variables
//	InstructionsFunc: func(ctx context.Context, s agents.RunState) (string, error) { … },
//
// A prompt's variables are checked when the run begins, and the run records its hash. A
// caller may ask for other instructions, another model, fewer tools or another output
// for one run ([WithInstructions] and the other options).
//
// # Tools and toolsets
//
// Tools are those of package tools; [AsTool] makes one of an agent and
// [OrchestrationTool] one of any orchestration, whose calls are child runs. Toolsets give
// tools that are found out when a run begins: an MCP server's (tools/mcp), or another
// set with some left out or renamed. A toolset that is away is asked again, and costs no
// model call. Enabled says before each turn which tools are offered.
//
// The ready-made ones (tools/filetool, httptool, shelltool) are confined to what they
// were given, and package agents/mcpserver makes agents tools of MCP clients.
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
// A run with [Config].UndoOnFailure takes back what it did if it ends with an error or
// is cancelled: each call of a compensable tool that took effect, the last one first. An
// undo is a step as a call is, and is put to people if it fails for good.
//
// [Effects] lists what a run has done outside of it, with the idempotency keys that its
// tools were given, while it goes on and afterwards.
//
// # Guardrails and hooks
//
// A [Guardrail] checks what users say, the arguments of calls, or the run's answer. It
// lets pass, blocks, rewrites, or asks a person ([Allow], [Block], [Rewrite],
// [AskPerson]). Each check is a step: what it found is recorded. One that is Beside runs
// while the model is asked for its first turn, of which nothing counts until it passed.
//
// [Hooks] run within the steps that they are about: before and after the model, before
// and after a tool, at the run's start and end. What they change is recorded with the
// step, and a replay calls none of them.
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
// In one turn, calls that need no approval run at once, and every call gets exactly one
// answer, refusals included. A run that is cancelled withdraws its requests.
//
// # Steering
//
// People and programs reach into a run under way, from any process:
//
//	err := agents.Say(ctx, client, run, "Only the last week, please.")
//
// [Say] puts a message in before the next turn, and a run that was about to end goes on
// because of it. [Pause] and [Resume] hold it between turns; [StopAfterTurn] ends it,
// with a summary if that is wanted; [RetryTurn] gives up a model call that hangs. Cancel
// of the durable client ends it now. A wish is on disk when these return.
//
// # Streaming
//
// [Agent.Run] starts a run and gives its events as they come. [Follow] gives those of any
// run, whoever started it and in whatever process, from a [Cursor] on:
//
//	for ev, err := range agents.Follow(ctx, client, run, cursor) {
//		…
//		cursor = ev.Cursor
//	}
//
// Whoever goes on with the cursor of the last event that it saw gets each event of what
// is recorded once. Text comes before it is recorded, and one that is given up is
// announced as void; [Event] says how to show it without a word twice or missing. [Past]
// gives what there is and ends.
//
// # Conversations and memory
//
// What was said is kept by package memory, each message once. A run has a conversation
// of its own, unless [InConversation] lets it go on with another, which several agents
// may share: each is told the others' words as [WithOthers] says.
//
// Window bounds how many messages a model is sent, MaxContext how many tokens. Before
// there are more the conversation is compacted: old results of tools are left out, then
// the oldest part is summed up, by Summarizer if there is one, in a step of its own.
// People go on reading everything. A provider that finds a request too long, whatever
// was planned, is asked with less.
//
// Package memory/facts keeps what is to be known in later conversations.
//
// # Long runs
//
// The run's history holds references only, so what a turn adds to it does not depend on
// how long the conversation is; and after a hundred turns, or a thousand calls, the run
// continues as new. It can go on for months; waiting costs nothing.
//
// # Manifest and deploys
//
// A [Manifest] of what decides what the model is told and which steps are taken is stored
// in a run's first step. A deploy in the middle of a run does not change it: by
// [Config].OnDeploy it keeps to its manifest ([Pin]), takes up the new one at its next
// turn ([Adopt]), or fails ([Fail]). A pinned run whose tool is gone fails by the tool's
// name. `agentrun runs check` tells before a deploy which open runs it would break.
//
// # Cost and quotas
//
// [Result].Usage and Cost add up what the turns took, by the prices that
//
//	agents.Options{Models: find, Prices: prices, Quotas: map[string]agents.Quota{"gpt-4.1": {Requests: 500, Tokens: 30_000}}}
//
// gives. A [Quota] is what all runs together may ask of a model in a minute. A run whose
// turn would be too much waits for its time, in order and at no cost, also over restarts;
// a provider's Retry-After holds up everybody.
//
// # What is durable
//
//   - Every answer of a model and of a tool, from the commit that holds it: it is not
//     asked for again.
//   - The conversation, requests to people and their decisions, wishes of those who steer.
//   - Not: text as it streams ([Delta]). It is provisional until its turn is recorded;
//     an attempt that is given up is replaced by the next one.
//   - Not: an answer that the process had, but had not committed, when it ended. A
//     model is asked again; for tools see above.
//
// Spans named invoke_agent, chat and execute_tool follow OpenTelemetry's conventions
// for generative AI, each emitted once, never by a replay, without what was said.
package agents
