package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Result is what a workload came to with a number of worker processes. Fields
// without meaning for it are 0.
type Result struct {
	Workload string `json:"workload"`
	// N tells what there was of: runs at once for parallel-chains, steps for chain and
	// fan-out, instances for waiting, streams for streams.
	N       int `json:"n"`
	Workers int `json:"workers"` // processes
	// StepsPerSecond is the median of the repetitions, each from when its first step
	// began to be done until its last run was over.
	StepsPerSecond float64 `json:"stepsPerSecond"`
	// P50 and P99 are milliseconds of a step: from when it began to be done until the
	// next one of its run did; for fan-out, of a whole run.
	P50 float64 `json:"p50ms"`
	P99 float64 `json:"p99ms"`
	// CPUPerStep is what the server used, milliseconds of all cores.
	CPUPerStep float64 `json:"cpuMsPerStep,omitempty"`
	RSS        float64 `json:"rssMiB,omitempty"`         // of the server, when the workload was over
	KiBEach    float64 `json:"kibEach,omitempty"`        // what the server grew by, by N
	IdleCPU    float64 `json:"idleCPUPercent,omitempty"` // of one core, by the server
}

// Options say how to measure.
type Options struct {
	// Worker makes a process that calls Work for the same connection with its
	// standard input and output.
	Worker func(context.Context) *exec.Cmd
	// Workers are the numbers of worker processes that each workload is measured with.
	Workers []int
	// ServerPID is the server's process, of which memory and processor time are
	// read; 0 is a server that runs elsewhere, of which they are not known.
	ServerPID int
	// Quick measures less of everything, to look whether all works.
	Quick bool
	// Progress, unless it is nil, is told what is measured next.
	Progress func(workload string, n, workers int)

	sizes *sizes // tests measure hardly anything
}

type sizes struct {
	runs, steps, chain, fanOut, repeat int
	waiting, streams                   int
	settle, idle                       time.Duration
}

var (
	full  = sizes{runs: 64, steps: 10, chain: 100, fanOut: 1_000, repeat: 5, waiting: 10_000, streams: 1_000, settle: 5 * time.Second, idle: 10 * time.Second}
	quick = sizes{runs: 64, steps: 10, chain: 20, fanOut: 100, repeat: 2, waiting: 500, streams: 50, settle: time.Second, idle: time.Second}
)

var workloads = []struct {
	name string
	run  func(*run, context.Context) error
	once bool // with one worker process only, whatever else is asked for
}{
	{name: "parallel-chains", run: (*run).parallelChains},
	{name: "chain", run: (*run).chain},
	{name: "fan-out", run: (*run).fanOut},
	{name: "idle", run: (*run).idle, once: true},
}

// Names lists the workloads in the order in which they are measured.
func Names() []string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return names
}

// patience is how long a repetition may take.
const patience = 10 * time.Minute

// run is one call of Run, and the worker processes that are there.
type run struct {
	Options
	sizes   sizes
	at      Connection
	client  protocol.TaskHubSidecarServiceClient
	prefix  string // of instance ids: the hub may have seen a benchmark before
	ids     int
	crew    *crew
	workers int
	results []Result
}

// Run measures workloads by name on the server that c is of. Nothing else should
// keep the machine busy meanwhile. An error comes without results.
func Run(ctx context.Context, c Connection, o Options, names []string) ([]Result, error) {
	r := &run{Options: o, sizes: full, at: c}
	if o.Quick {
		r.sizes = quick
	}
	if o.sizes != nil {
		r.sizes = *o.sizes
	}
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("there is no workload %q with a connection; there are %s", n, strings.Join(Names(), ", "))
		}
	}
	if o.ServerPID != 0 {
		if _, err := usageOf(o.ServerPID); err != nil {
			return nil, err
		}
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	r.prefix = "bench-" + hex.EncodeToString(random[:]) + "-"
	ctx, conn, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r.client = protocol.NewTaskHubSidecarServiceClient(conn)
	if _, err := r.client.Hello(ctx, &emptypb.Empty{}); err != nil {
		return nil, fmt.Errorf("the server at %s: %w", c.Target, err)
	}
	for i, workers := range o.Workers {
		if err := r.with(ctx, workers, i == 0, names); err != nil {
			return nil, err
		}
	}
	return r.results, nil
}

// with measures the workloads with so many worker processes, and those that need
// only one if they are wanted.
func (r *run) with(ctx context.Context, workers int, once bool, names []string) error {
	for _, w := range workloads {
		if !slices.Contains(names, w.name) || w.once && !once {
			continue
		}
		if r.workers = workers; w.once {
			r.workers = 1
		}
		crew, err := hire(ctx, r.workers, r.Worker)
		if err != nil {
			return err
		}
		r.crew = crew
		if _, err = r.repetition(ctx, chainName, 4*r.workers, 2); err == nil { // all code has run once
			err = w.run(r, ctx)
		}
		if err = errors.Join(err, r.leave()); err != nil {
			return fmt.Errorf("%s with %d workers: %w", w.name, r.workers, err)
		}
	}
	return nil
}

// leave ends the worker processes, unless the workload did.
func (r *run) leave() error {
	if r.crew == nil {
		return nil
	}
	c := r.crew
	r.crew = nil
	return c.dismiss()
}

func (r *run) parallelChains(ctx context.Context) error {
	return r.steps(ctx, "parallel-chains", r.sizes.runs, chainName, r.sizes.runs, r.sizes.steps)
}

func (r *run) chain(ctx context.Context) error {
	return r.steps(ctx, "chain", r.sizes.chain, chainName, 1, r.sizes.chain)
}

func (r *run) fanOut(ctx context.Context) error {
	return r.steps(ctx, "fan-out", r.sizes.fanOut, fanOutName, 1, r.sizes.fanOut)
}

// steps measures runs of an orchestration, so many at once of so many steps.
func (r *run) steps(ctx context.Context, workload string, n int, name string, runs, steps int) error {
	if r.Progress != nil {
		r.Progress(workload, n, r.workers)
	}
	var rates []float64
	var times []time.Duration
	before, err := r.usage()
	if err != nil {
		return err
	}
	for range r.sizes.repeat {
		rep, err := r.repetition(ctx, name, runs, steps)
		if err != nil {
			return err
		}
		rates = append(rates, float64(runs*steps)/rep.took.Seconds())
		if name == fanOutName {
			times = append(times, rep.took)
		} else {
			times = append(times, rep.gaps...)
		}
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	slices.Sort(rates)
	r.add(Result{
		Workload: workload, N: n, Workers: r.workers, StepsPerSecond: rates[len(rates)/2],
		P50: quantile(times, 0.5), P99: quantile(times, 0.99),
		CPUPerStep: ms(after.cpu-before.cpu) / float64(r.sizes.repeat*runs*steps), RSS: after.rss / 1024,
	})
	return nil
}

// repetition is what the worker processes saw of some runs.
type repetition struct {
	took time.Duration   // from the first step to the last end
	gaps []time.Duration // between the steps of a run
}

// repetition starts runs at once and waits for all of them, and that each did its
// steps exactly once.
func (r *run) repetition(ctx context.Context, name string, runs, steps int) (repetition, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("runs were not over after %v", patience))
	defer cancel()
	group, gctx := newGroup(ctx, 0)
	for range runs {
		id := r.newID()
		group.Go(func() error { return r.one(gctx, name, id, steps) })
	}
	if err := group.Wait(); err != nil {
		return repetition{}, errors.Join(err, context.Cause(ctx))
	}
	marks, err := r.crew.until(ctx, stepEnd, runs) // a client may know of an end before its worker
	if err != nil {
		return repetition{}, err
	}
	return evaluate(marks, runs, steps)
}

func (r *run) newID() string {
	r.ids++
	return r.prefix + strconv.Itoa(r.ids)
}

func (r *run) start(ctx context.Context, name, id string, steps int) error {
	_, err := r.client.StartInstance(ctx, &protocol.CreateInstanceRequest{InstanceId: id, Name: name, Input: wrapperspb.String(strconv.Itoa(steps))})
	if err != nil {
		return fmt.Errorf("starting %s: %w", id, err)
	}
	return nil
}

func (r *run) one(ctx context.Context, name, id string, steps int) error {
	if err := r.start(ctx, name, id, steps); err != nil {
		return err
	}
	m, err := r.client.WaitForInstanceCompletion(ctx, &protocol.GetInstanceRequest{InstanceId: id, GetInputsAndOutputs: true}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", id, err)
	}
	s := m.GetOrchestrationState()
	if s.GetOrchestrationStatus() != protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED || s.GetOutput().GetValue() != strconv.Itoa(steps) {
		return fmt.Errorf("%s ended as %v with %.80q: %s", id, s.GetOrchestrationStatus(), s.GetOutput().GetValue(), s.GetFailureDetails().GetErrorMessage())
	}
	return nil
}

// evaluate makes figures of marks.
func evaluate(marks []mark, runs, steps int) (repetition, error) {
	var rep repetition
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.At, b.At)) })
	first, last, done := int64(math.MaxInt64), int64(0), 0
	var before mark
	for _, m := range marks {
		first, last = min(first, m.At), max(last, m.At)
		if m.Step < 0 {
			continue
		}
		if done++; m.Run == before.Run {
			rep.gaps = append(rep.gaps, time.Duration(m.At-before.At))
		}
		before = m
	}
	if done != runs*steps {
		return rep, fmt.Errorf("%d steps were done, want %d: does something else work for this hub?", done, runs*steps)
	}
	rep.took = max(time.Duration(last-first), 1)
	return rep, nil
}

// usage is that of the server, zero if its process is not known.
func (r *run) usage() (usage, error) {
	if r.ServerPID == 0 {
		return usage{}, nil
	}
	return usageOf(r.ServerPID)
}

func (r *run) add(res Result) {
	for _, f := range []*float64{&res.StepsPerSecond, &res.P50, &res.P99, &res.CPUPerStep, &res.RSS, &res.KiBEach, &res.IdleCPU} {
		*f = fourDigits(*f)
	}
	r.results = append(r.results, res)
}
