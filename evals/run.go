package evals

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
)

// Status is what came of a case, or of a suite.
type Status string

// Statuses, from good to bad.
const (
	Passed   Status = "passed"
	Failed   Status = "failed"   // an expectation does not hold
	Diverged Status = "diverged" // the code does something else than was recorded
	Errored  Status = "error"    // the case could not be run
)

var badness = map[Status]int{Passed: 0, Failed: 1, Diverged: 2, Errored: 3}

// Results are what came of a suite.
type Results struct {
	Suite   string   `json:"suite"`
	Results []Result `json:"results"`
}

// Result is what came of a case; of one with recordings, there is one for each.
type Result struct {
	Case string `json:"case"`
	Mode string `json:"mode"`
	// Recording is the file that was replayed, Run the id of the run in it.
	Recording string `json:"recording,omitempty"`
	Run       string `json:"run,omitempty"`
	Status    Status `json:"status"`
	// Message is the divergence or error in one line.
	Message    string      `json:"message,omitempty"`
	Divergence *Divergence `json:"divergence,omitempty"`
	// Failures are the expectations that do not hold, a line each.
	Failures []string `json:"failures,omitempty"`
	// Report is the run of a scenario.
	Report *scenario.Report `json:"report,omitempty"`
	// Duration is how long it took; as JSON it is in seconds.
	Duration time.Duration `json:"-"`
}

// MarshalJSON writes the duration as a number of seconds.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	return json.Marshal(struct {
		plain
		Seconds float64 `json:"seconds"`
	}{plain(r), r.Duration.Seconds()})
}

// Verdict is the worst status of the results: Errored is worse than Diverged, and that
// than Failed. Without any result it is Errored, since nothing was shown.
func (r *Results) Verdict() Status {
	worst := Passed
	for i := range r.Results {
		if s := r.Results[i].Status; badness[s] > badness[worst] {
			worst = s
		}
	}
	if len(r.Results) == 0 {
		return Errored
	}
	return worst
}

// MarshalJSON adds the verdict.
func (r *Results) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Suite   string   `json:"suite"`
		Verdict Status   `json:"verdict"`
		Results []Result `json:"results"`
	}{r.Suite, r.Verdict(), r.Results})
}

// Options tune how a suite runs; the zero value works.
type Options struct {
	// Scenario finds the scenario that a recording names, by its path. nil: scenario.Load,
	// which takes it relative to the working directory.
	Scenario func(path string) (*scenario.Scenario, error)
	// OnResult is told of each result as it comes.
	OnResult func(Result)
	// Logger is where scenarios log; nil: nowhere.
	Logger *slog.Logger
}

// Run runs the cases, one after the other, with the definitions of the program. What
// goes wrong in a case is in its result, and the others run all the same. An error says
// that nothing was run ([ErrNoCases]), or that ctx ended; the results are then of what
// was run before.
func (s *Suite) Run(ctx context.Context, program *scenario.Program, o Options) (*Results, error) {
	if o.Scenario == nil {
		o.Scenario = scenario.Load
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &runner{Options: o, program: program}
	results := &Results{Suite: s.Name}
	try := func(result Result, f func(context.Context, *Result) error) error {
		begun := time.Now()
		if err := f(ctx, &result); err != nil {
			result.Status, result.Message = Errored, err.Error()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		result.Duration = time.Since(begun)
		results.Results = append(results.Results, result)
		if o.OnResult != nil {
			o.OnResult(result)
		}
		return nil
	}
	for _, c := range s.Cases {
		result := Result{Case: c.Name, Mode: c.Mode, Status: Passed}
		switch c.Mode {
		case ModeStrict:
			for _, file := range c.Recordings {
				result.Recording = file
				if err := try(result, func(ctx context.Context, res *Result) error { return r.strict(ctx, c, res) }); err != nil {
					return results, err
				}
			}
		case ModeScenario:
			if err := try(result, func(ctx context.Context, res *Result) error { return r.scenario(ctx, c, res) }); err != nil {
				return results, err
			}
		default:
			return results, fmt.Errorf("case %q has mode %q; use %s or %s", c.Name, c.Mode, ModeStrict, ModeScenario)
		}
	}
	if len(results.Results) == 0 {
		return results, fmt.Errorf("suite %s: %w", s.Name, ErrNoCases)
	}
	return results, nil
}

// runner runs cases.
type runner struct {
	Options
	program *scenario.Program
}

// strict replays one recording.
func (r *runner) strict(ctx context.Context, c Case, res *Result) error {
	rec, err := Load(res.Recording)
	if err != nil {
		return err
	}
	res.Run = rec.Root
	sc, err := r.recorded(c, rec)
	if err != nil {
		return err
	}
	defs, err := r.program.Define(sc)
	if err != nil {
		return err
	}
	d, err := Strict(ctx, rec, defs)
	if err != nil {
		return err
	}
	if d != nil {
		res.Status, res.Divergence, res.Message = Diverged, d, d.Error()
	}
	return nil
}

// recorded gives the scenario that a recording is of; nil if it is of none.
func (r *runner) recorded(c Case, rec *Recording) (*scenario.Scenario, error) {
	if c.Scenario != "" {
		return scenario.Load(c.Scenario)
	}
	if rec.Scenario == "" {
		return nil, nil
	}
	sc, err := r.Scenario(rec.Scenario)
	if err != nil {
		return nil, fmt.Errorf("the scenario that run %s is of (a case can name another one with scenario:): %w", rec.Root, err)
	}
	return sc, nil
}

// scenario runs a scenario in memory.
func (r *runner) scenario(ctx context.Context, c Case, res *Result) (err error) {
	sc, err := scenario.Load(c.Scenario)
	if err != nil {
		return err
	}
	s, err := r.program.Open(ctx, scenario.Options{
		Store: "memory:", Scenario: sc, Latency: scripted.NoLatency, Durable: durable.Options{Logger: r.Logger},
	})
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	id, err := s.Start(ctx, "", "", map[string]string{scenario.TagScenario: c.Scenario})
	if err != nil {
		return err
	}
	report, err := s.Follow(ctx, id, declared{sc}, nil)
	if err != nil {
		return err
	}
	res.Run, res.Report = id, report
	for _, f := range sc.Verify(report.Result()) {
		res.Failures = append(res.Failures, f.String())
	}
	// A scenario that says nothing of the end expects a good one.
	if (sc.Expect == nil || sc.Expect.Status == "") && report.Status != scenario.Completed {
		text := fmt.Sprintf("%s: the run is %s, expected %s", sc.Path(), report.Status, scenario.Completed)
		if report.Error != "" {
			text += ": " + report.Error
		}
		res.Failures = append(res.Failures, text)
	}
	if len(res.Failures) > 0 {
		res.Status = Failed
	}
	return nil
}

// declared are the people of a scenario without a terminal.
type declared struct{ scenario *scenario.Scenario }

// Decide implements scenario.People.
func (d declared) Decide(_ context.Context, a agents.Approval) (agents.Decision, bool, error) {
	decision, ok := d.scenario.Declared(a)
	return decision, ok, nil
}

// Undecided implements scenario.People: the report says that the run waits.
func (declared) Undecided(agents.Approval) {}

// Outcome implements scenario.People.
func (declared) Outcome(agents.Approval, agents.Decision, error) {}
