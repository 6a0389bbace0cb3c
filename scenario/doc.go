// Package scenario reads scenarios: files that say which agents do what, how people decide and what
// must come out.
//
// The smallest one names a program's agent, and what it is asked:
//
//	version: 1
//	name: greet
//	team: {agent: assistant}
//	input: Say hello to Oslo.
//
// # Agents
//
// A scenario may bring agents of its own. Their tools are those that the program offers, by name:
//
//	agents:
//	  - name: clerk
//	    model: fast
//	    instructions: Answer in one sentence.
//	    tools: [now]
//	  - name: writer
//	    model: openai:gpt-4.1
//	    prompt: prompts/writer.md        # a file of package prompts, in the scenario's directory
//	    variables: {tone: dry}           # or "writer", or "writer@2": a name in its directory prompts
//	    output:                          # the JSON Schema of its answer
//	      type: object
//	      properties: {title: {type: string}}
//	    maxTurns: 8
//	    onMaxTurns: summary              # a last word, in place of a failure
//	    maxContext: 60000                # tokens; then the conversation is made shorter
//	    temperature: 0.2                 # also topP, maxTokens, seed, stop, toolChoice, reasoningEffort
//	models:
//	  fast: openai:gpt-4.1-mini          # what the name stands for when the run is live
//
// # Toolsets
//
// An agent may also have the tools of toolsets, which the scenario declares, each one of files, shell,
// http and mcp:
//
//	agents:
//	  - name: clerk
//	    toolsets: [docs, github]
//	toolsets:
//	  docs:
//	    files: {root: docs, readOnly: true}
//	  checks:
//	    shell: {programs: [go], env: [PATH, HOME]}
//	  web:
//	    http: {hosts: [api.example.com], secrets: {Authorization: API_TOKEN}}
//	  github:
//	    mcp: {command: [github-mcp-server, stdio], env: [GITHUB_TOKEN]}     # or url: and secrets:
//	    prefix: gh_
//	    only: [get_issue, add_comment]
//	    effects: {get_issue: pure}       # what calling it again does; else what the set says
//	    approvals: {"*": {question: "Really?"}}                             # of all its tools
//
// Folders are relative to the scenario's directory and stay in it, links included, unless the toolset
// says outside: true. Secrets are names of environment variables; their values have no place in a file.
// Tools are real in scripted runs too.
//
// # Team
//
// Who does the work is exactly one of
//
//	team: {agent: clerk}
//	team: {orchestration: incident}                              # one of the program
//	team: {planner: {agent: planner, specialists: [logs, metrics], maxRevisions: 1}}
//	team: {specialists: {agents: [logs, metrics], join: all}}
//
// # Script
//
// Unless the run is live, models answer from a script, whose entries are those of package
// models/scripted. It may take its time, so that a person can watch the team work:
//
//	script:
//	  latency: 300ms                     # of every entry that says none of its own
//	  answers:
//	    - agent: clerk
//	      calls: [{tool: now}]
//	    - agent: clerk
//	      text: It is noon.
//
// # People
//
// Where nobody sits at a terminal, the decisions that people would make are declared. The first one
// whose conditions all hold is taken ([Scenario.Decide]):
//
//	decisions:
//	  - tool: roll_back
//	    agent: fixer
//	    decide: approve                  # or reject, or wait: leave the run waiting
//	    arguments: {version: v2.13.1}    # in place of what the agent proposed
//	    comment: The last good one.
//	    as: on-call
//
// # Expectations
//
// What must be true of the ended run ([Scenario.Verify]):
//
//	expect:
//	  status: completed                  # or failed, waiting, cancelled
//	  output:
//	    contains: [payments, v2.13.1]
//	    matches: (?i)rolled back
//	  tools: {called: [search_logs], notCalled: [page_ceo]}
//	  turns: {max: 20}
//	  approvals: 1
//
// # Errors
//
// Keys are strict, and all that is wrong is reported at once, one line each, in the order of the file:
//
//	incident.yaml:7:5: unknown key "promt"; the keys here are name, description, …
//
// [Load] and [Parse] find what the file alone can tell, [Scenario.Check] what a program lacks. Anchors,
// aliases, tags and further documents are refused, and size, depth and keys are limited, so that a
// scenario from elsewhere can be opened without fear: it reads no file outside its directory. To run it
// is to run the commands that its toolsets name.
//
// Editors can check a scenario while it is written, by the JSON Schema in schema.json ([Schema]):
//
//	# yaml-language-server: $schema=schema.json
package scenario
