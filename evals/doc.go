// Package evals makes fixtures of runs and plays them again.
//
// A [Recording] is one file with all that a run did: the histories of its whole tree
// of orchestrations, every execution of them, the entities that it used and the
// messages that it sent. [Export] writes it from a task hub, [Load] reads it:
//
//	err := evals.Export(ctx, client, "run-1", file)
//	rec, err := evals.Load("testdata/run-1.json")
//
// The file is JSON of a published schema ([RecordingSchema]), sorted and indented, and
// the same run always gives the same bytes, so that it can lie in a repository.
//
// # Strict replay
//
// [Strict] runs the orchestrations of today's code through a recording. No model and no
// tool is called, for all answers are in the histories. The first step that the code
// takes otherwise is a [Divergence], which names its event:
//
//	d, err := evals.Strict(ctx, rec, agents.Define(agents.Options{}, assistant))
//	if d != nil {
//		fmt.Println(d) // history of run-1 diverges at event 14 (execution 3f…): …
//	}
//
// # Recorded answers
//
// [Answers] gives what models were asked in a run and what they answered, for package
// models/recorded: the same run can then be had again, with its tools, without a model.
//
// # Suites
//
// A [Suite] is a YAML file that names recordings to replay, and scenarios to run by
// their scripts:
//
//	version: 1
//	name: incident
//	program: examples/incident         # for the bare command, which builds it
//	cases:
//	  - name: replay
//	    mode: strict
//	    recordings: [testdata/*.json]  # files and patterns, relative to the suite
//	  - name: scripted
//	    mode: scenario
//	    scenario: scenario.yaml
//
// Its [Results] say of each case whether it passed, failed, diverged, or could not be
// run. A suite that runs nothing is an error, [ErrNoCases], and not a pass.
package evals
