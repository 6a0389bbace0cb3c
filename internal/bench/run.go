package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Result is what one variant of a workload came to. Fields without meaning for it
// are 0.
type Result struct {
	Workload string `json:"workload"`
	// N tells variants of a workload apart: the steps of one run, or for
	// parallel-chains and soak the runs in flight, for waiting the instances.
	N int `json:"n"`
	// StepsPerSecond is the median of the repetitions; for waiting, of starts.
	StepsPerSecond float64 `json:"stepsPerSecond"`
	// P50 and P99 are milliseconds: of a step where steps follow each other (chain,
	// chain-pure, entity-calls), of a commit for soak, and of a whole run elsewhere.
	P50 float64 `json:"p50ms"`
	P99 float64 `json:"p99ms"`
	// CommitsPerStep counts transactions; BytesPerStep is what the database file
	// grew by, with its log copied into it; CPUPerStep is milliseconds of all cores.
	CommitsPerStep float64 `json:"commitsPerStep"`
	BytesPerStep   float64 `json:"bytesPerStep"`
	CPUPerStep     float64 `json:"cpuMsPerStep"`
	// StoreCommitsPerSecond is c, see the package's documentation; TimesC is
	// StepsPerSecond in c.
	StoreCommitsPerSecond float64 `json:"storeCommitsPerSecond"`
	FsyncPerSecond        float64 `json:"fsyncPerSecond"`
	TimesC                float64 `json:"timesC"`

	LastToFirst    float64 `json:"lastToFirst,omitempty"`    // time of the last hundred steps of a chain in that of the first
	RSS            float64 `json:"rssMiB,omitempty"`         // highest
	Beside         float64 `json:"besideMs,omitempty"`       // median of runs of one step beside a fan-out
	BesideMax      float64 `json:"besideMaxMs,omitempty"`    // the longest of them
	KiBPerInstance float64 `json:"kibPerInstance,omitempty"` // memory of an instance that waits in memory
	IdleCPU        float64 `json:"idleCPUPercent,omitempty"` // of one core, while all wait
	IdleCommits    int     `json:"idleCommits,omitempty"`    // while all wait
	Open           float64 `json:"openMs,omitempty"`         // opening the hub with all that wait
	TimesPayload   float64 `json:"timesPayload,omitempty"`   // BytesPerStep in bytes of payload
	WAL            float64 `json:"walMiB,omitempty"`         // the log's highest size
	Max            float64 `json:"maxMs,omitempty"`          // longest commit
}

// Options say where and how to measure.
type Options struct {
	// Dir is where a temporary directory is made and removed again: the disk that
	// is measured. "" is the working directory.
	Dir string
	// Quick measures less of everything, to look whether all works. Its figures
	// are not to be compared.
	Quick bool
	// Child makes a process that calls FirstRun with this directory, for cold-start.
	Child func(ctx context.Context, dir string) *exec.Cmd
	// Progress, unless it is nil, is told what is measured next.
	Progress func(workload string, n int)

	sizes *sizes // tests measure hardly anything
}

// sizes are how much of everything is measured.
type sizes struct {
	parallel, soak, idle        time.Duration
	chains, pureChains, fanOuts []int
	calls, children             int
	waiting                     []int
	disk                        int
	starts                      int
	samples                     int // commits and syncs of a sample of the yardstick
	grown                       int // bytes of its log, enough for a sample
	repeat                      int // of what ends within a second
	long                        int // steps from which on a run is measured once
}

var (
	full = sizes{
		parallel: 5 * time.Second, soak: time.Minute, idle: 3 * time.Second,
		chains: []int{1_000, 3_000, 30_000}, pureChains: []int{1_000, 3_000, 30_000}, fanOuts: []int{1_000, 100_000},
		calls: 1_000, children: 1_000, waiting: []int{1_000, 100_000}, disk: 30_000, starts: 15, samples: 2_000, grown: 64 << 20, repeat: 5, long: 10_000,
	}
	quick = sizes{
		parallel: time.Second, soak: 5 * time.Second, idle: time.Second,
		chains: []int{1_000}, pureChains: []int{1_000}, fanOuts: []int{1_000, 10_000},
		calls: 1_000, children: 1_000, waiting: []int{1_000}, disk: 3_000, starts: 5, samples: 300, grown: 16 << 20, repeat: 3, long: 10_000,
	}
)

// workloads, in the order in which they are measured.
var workloads = []struct {
	name   string
	run    func(r *run, ctx context.Context) error
	byName bool // only if it is asked for

}{
	{name: "parallel-chains", run: (*run).parallelChains},
	{name: "chain", run: (*run).chains},
	{name: "chain-pure", run: (*run).pureChains},
	{name: "fan-out", run: (*run).fanOuts},
	{name: "entity-calls", run: (*run).entityCalls},
	{name: "sub-orchestrations", run: (*run).subOrchestrations},
	{name: "waiting", run: (*run).waiting},
	{name: "cold-start", run: (*run).coldStart},
	{name: "disk", run: (*run).disk},
	{name: "soak", run: (*run).soak, byName: true},
}

// Names lists the workloads.
func Names() []string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return names
}

// Default lists those that are run when none is named: all but soak, which takes
// a minute.
func Default() []string {
	var names []string
	for _, w := range workloads {
		if !w.byName {
			names = append(names, w.name)
		}
	}
	return names
}

// minSamples is how often the yardstick is laid on at least.
const minSamples = 5

// run is one call of Run.
type run struct {
	Options
	dir     string // temporary
	sizes   sizes
	yard    *yardstick
	empty   int64 // size of an empty database
	results []Result
}

// Run measures workloads by name, in the order of Names. Nothing else should keep
// the machine busy meanwhile. An error comes without results.
func Run(ctx context.Context, o Options, names []string) (results []Result, err error) {
	r := &run{Options: o, sizes: full}
	if o.Quick {
		r.sizes = quick
	}
	if o.sizes != nil {
		r.sizes = *o.sizes
	}
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("there is no workload %q; there are %s", n, strings.Join(Names(), ", "))
		}
	}
	base, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp(base, ".agentrun-bench-"); err != nil {
		return nil, fmt.Errorf("a place for the databases: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.yard, err = newYardstick(r.dir, r.sizes.grown); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.yard.close()) }()
	dir, err := r.newDir()
	if err != nil {
		return nil, err
	}
	if r.empty, err = emptySize(ctx, dir); err != nil {
		return nil, err
	}
	if err := r.sample(); err != nil {
		return nil, err
	}
	for _, w := range workloads {
		if !slices.Contains(names, w.name) {
			continue
		}
		if err := w.run(r, ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for len(r.yard.commits) < minSamples {
		if err := r.sample(); err != nil {
			return nil, err
		}
	}
	for i := range r.results {
		r.results[i].compare(median(r.yard.commits), median(r.yard.syncs))
	}
	return r.results, nil
}

func (r *run) sample() error { return r.yard.sample(r.sizes.samples) }

func (r *run) newDir() (string, error) { return os.MkdirTemp(r.dir, "hub-") }

// variant measures one variant in a new hub, which f is given warm, and adds its
// result.
func (r *run) variant(ctx context.Context, name string, n int, f func(h *hub, t *tally, res *Result) error) (err error) {
	if r.Progress != nil {
		r.Progress(name, n)
	}
	dir, err := r.newDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := openHub(ctx, dir, nil)
	if err != nil {
		return err
	}
	t, res := &tally{h: h}, Result{Workload: name, N: n}
	if err = h.warm(ctx); err == nil {
		err = f(h, t, &res)
	}
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	size, err := fileSize(h.file)
	if err != nil {
		return err
	}
	t.into(&res)
	res.BytesPerStep = float64(size-r.empty) / float64(t.steps+warmSteps)
	if t.after != nil {
		if err := t.after(dir, &res); err != nil {
			return err
		}
	}
	return r.add(res)
}

// add keeps a result, and takes a sample of the yardstick beside it.
func (r *run) add(res Result) error {
	r.results = append(r.results, res)
	return r.sample()
}

// tally sums up what the repetitions of a workload took.
type tally struct {
	h       *hub
	steps   int
	commits uint64
	cpu     time.Duration
	rates   []float64
	times   []time.Duration                     // what P50 and P99 are of
	after   func(dir string, res *Result) error // unless it is nil, is called when the hub is closed
}

// measure runs f, which does so many steps, and counts it.
func (t *tally) measure(steps int, f func() error) error {
	cpu, commits, began := cpuTime(), t.h.commits.Load(), time.Now()
	if err := f(); err != nil {
		return err
	}
	t.rates = append(t.rates, float64(steps)/time.Since(began).Seconds())
	t.cpu += cpuTime() - cpu
	t.commits += t.h.commits.Load() - commits
	t.steps += steps
	return nil
}

func (t *tally) into(res *Result) {
	steps := float64(max(t.steps, 1))
	res.StepsPerSecond = median(t.rates)
	res.P50, res.P99 = quantile(t.times, 0.5), quantile(t.times, 0.99)
	res.CommitsPerStep = float64(t.commits) / steps
	res.CPUPerStep = ms(t.cpu) / steps
}

// compare sets a result beside the yardstick, and rounds it: nobody can measure
// more than four digits.
func (res *Result) compare(commits, syncs float64) {
	res.StoreCommitsPerSecond, res.FsyncPerSecond = commits, syncs
	res.TimesC = res.StepsPerSecond / commits
	for _, f := range []*float64{
		&res.StepsPerSecond, &res.P50, &res.P99, &res.CommitsPerStep, &res.BytesPerStep, &res.CPUPerStep,
		&res.StoreCommitsPerSecond, &res.FsyncPerSecond, &res.TimesC, &res.LastToFirst, &res.RSS, &res.Beside, &res.BesideMax,
		&res.KiBPerInstance, &res.IdleCPU, &res.Open, &res.TimesPayload, &res.WAL, &res.Max,
	} {
		*f = fourDigits(*f)
	}
}

func fourDigits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
