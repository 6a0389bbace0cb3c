// Package agentrun is what programs import first to run teams of AI agents whose
// work must not be lost.
//
// Every model turn and every tool call is a durable step: it is recorded before
// its effects count, so that a process that is killed at any moment goes on, when
// it is started again, where it stopped. A whole program is
//
//	var weather = tools.New("weather", "Current weather in a city.", lookUp, tools.Pure())
//
//	var assistant = agents.New(agents.Config{
//		Name:         "assistant",
//		Instructions: "Answer in one sentence.",
//		Model:        "gpt-4.1-mini",
//		Tools:        []tools.Tool{weather},
//	})
//
//	func main() { agentrun.Main(agentrun.App{Agents: []*agents.Agent{assistant}}) }
//
// and has every verb of the agentrun command: run, resume, runs, inbox, approve,
// reject, cancel, eval.
//
// Package durable is the engine below, useful without any AI; agents, tools,
// models, memory and prompts are what an agent is made of; orchestrator has the
// patterns of teams; scenario describes a run in a file, and evals replays
// recorded ones.
package agentrun
