package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// childEnv makes this test's binary the child process of cold-start.
const childEnv = "BENCH_FIRST_RUN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := FirstRun(context.Background(), dir, os.Stdout); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(ctx context.Context, dir string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+dir, "GORACE=atexit_sleep_ms=0")
	return c
}

// tiny is enough that each workload does what it says, and no more.
var tiny = sizes{
	parallel: time.Millisecond, soak: time.Millisecond, idle: time.Millisecond,
	chains: []int{3, 250}, pureChains: []int{250}, fanOuts: []int{20, 300}, calls: 20, children: 7,
	waiting: []int{9}, disk: 200, starts: 1, samples: 3, grown: 1 << 20, repeat: 2, long: 300,
}

func tinyRun(t *testing.T, names ...string) []Result {
	t.Helper()
	dir := t.TempDir()
	results, err := Run(t.Context(), Options{Dir: dir, Child: child, sizes: &tiny}, names)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return results
}

// TestWorkloads runs each workload with hardly any steps. That all steps are done
// and their answers are right is checked by the workloads themselves.
func TestWorkloads(t *testing.T) {
	for name, want := range map[string][]int{
		"parallel-chains": {64}, "chain": {3, 250}, "chain-pure": {250}, "fan-out": {20, 300}, "entity-calls": {20},
		"sub-orchestrations": {7}, "waiting": {9}, "cold-start": {1}, "disk": {200}, "soak": {64},
	} {
		t.Run(name, func(t *testing.T) {
			var variants []int
			for _, r := range tinyRun(t, name) {
				variants = append(variants, r.N)
				if r.Workload != name {
					t.Errorf("the result is of %q", r.Workload)
				}
				plausible(t, r)
			}
			if !slices.Equal(variants, want) {
				t.Errorf("variants %v, want %v", variants, want)
			}
		})
	}
	if len(Names()) != 10 || len(Default()) != 9 || slices.Contains(Default(), "soak") {
		t.Errorf("names %v, by default %v", Names(), Default())
	}
}

// plausible checks what holds whatever the speed of the machine.
func plausible(t *testing.T, r Result) {
	t.Helper()
	check := func(what string, v, low, high float64) {
		t.Helper()
		if v < low || v > high {
			t.Errorf("%s with n=%d: %s is %v, want from %v to %v", r.Workload, r.N, what, v, low, high)
		}
	}
	const some, any = 1e-9, 1e12
	check("c", r.StoreCommitsPerSecond, some, any)
	check("fsyncs", r.FsyncPerSecond, some, any)
	if r.Workload == "cold-start" {
		check("p50", r.P50, some, any)
		return
	}
	check("steps/s", r.StepsPerSecond, some, any)
	check("steps/s in c", r.TimesC, 0.99*r.StepsPerSecond/r.StoreCommitsPerSecond, 1.01*r.StepsPerSecond/r.StoreCommitsPerSecond)
	check("CPU", r.CPUPerStep, some, any)
	if r.Workload == "waiting" {
		check("open", r.Open, some, any)
		check("commits while idle", float64(r.IdleCommits), 0, 0)
		check("bytes/step", r.BytesPerStep, payloadSize/20, any) // few among the steps that warm up
		return
	}
	check("p50", r.P50, some, any)
	check("p99", r.P99, r.P50, any)
	check("bytes/step", r.BytesPerStep, 2*payloadSize, 10*payloadSize)
	low, high := some, 2.0
	switch r.Workload {
	case "chain", "disk":
		low, high = 1, 2 // a step, and the end of the run; the start goes with a step or not
	case "chain-pure":
		high = 0.9
	}
	check("commits/step", r.CommitsPerStep, low, high)
	switch {
	case r.Workload == "chain" && r.N == 250:
		check("last to first", r.LastToFirst, some, any)
	case r.Workload == "fan-out" && r.N == 300:
		check("a run beside it", r.Beside, some, r.BesideMax)
	case r.Workload == "disk":
		check("times the payload", r.TimesPayload, 1, 10)
	case r.Workload == "soak":
		check("the longest commit", r.Max, r.P99, any)
	}
}

func TestFields(t *testing.T) {
	b, err := json.Marshal(Result{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"workload":"","n":0,"stepsPerSecond":0,"p50ms":0,"p99ms":0,"commitsPerStep":0,"bytesPerStep":0,"cpuMsPerStep":0,` +
		`"storeCommitsPerSecond":0,"fsyncPerSecond":0,"timesC":0}`
	if string(b) != want {
		t.Errorf("an empty result is %s, want %s", b, want)
	}
}

func TestPayload(t *testing.T) {
	for _, step := range []int{0, 9, 10, 123_456} {
		q := ask("some-run", step)
		for _, p := range []payload{q, answer(q)} {
			b, err := json.Marshal(p)
			if err != nil || len(b) != payloadSize {
				t.Errorf("step %d: %d bytes, %v", step, len(b), err)
			}
		}
		if answer(q) == q {
			t.Error("question and answer are the same")
		}
		if err := check(answer(q), "some-run", step); err != nil {
			t.Error(err)
		}
		for _, wrong := range []payload{q, answer(ask("some-run", step+1)), answer(ask("another", step)), {}} {
			if check(wrong, "some-run", step) == nil {
				t.Errorf("a wrong answer passes: %.80v", wrong)
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	var hundred []time.Duration
	for i := range 101 {
		hundred = append(hundred, time.Duration(100-i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if m := median([]float64{5, 1, 3}); m != 3 {
		t.Errorf("median %v", m)
	}
	if quantile(nil, 0.5) != 0 || median(nil) != 0 || growth(hundred[:99]) != 0 {
		t.Error("something comes of nothing")
	}
	var chain []time.Duration
	for i := range 300 {
		chain = append(chain, time.Duration(1+i/100)*time.Second)
	}
	if g := growth(chain); g != 3 {
		t.Errorf("growth %v, want 3", g)
	}
	for v, want := range map[float64]float64{0: 0, 1.23456: 1.235, 98765.4: 98770, 0.000123456: 0.0001235, -2.00049: -2} {
		if got := fourDigits(v); got != want {
			t.Errorf("%v to four digits is %v, want %v", v, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	_, err := Run(t.Context(), Options{Dir: t.TempDir()}, []string{"chain", "chian"})
	if err == nil || !strings.Contains(err.Error(), `no workload "chian"; there are parallel-chains, chain, `) {
		t.Errorf("error %v", err)
	}
	if _, err := Run(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "nowhere"), sizes: &tiny}, []string{"chain"}); err == nil {
		t.Error("a directory that is not there is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Run(ctx, Options{Dir: dir, sizes: &tiny}, []string{"chain"}); err == nil {
		t.Error("a run that was given up has results")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// BenchmarkWorkloads measures one workload after the other, for profiles:
//
//	go test ./internal/bench -run '^$' -bench 'Workloads/chain-pure' -benchtime 1x -cpuprofile cpu.out
func BenchmarkWorkloads(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				results, err := Run(b.Context(), Options{Dir: b.TempDir(), Child: child}, []string{name})
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range results {
					n := "-" + strconv.Itoa(r.N)
					b.ReportMetric(r.StepsPerSecond, "steps/s"+n)
					b.ReportMetric(r.CPUPerStep*1e6, "cpu-ns/step"+n)
				}
			}
		})
	}
}
