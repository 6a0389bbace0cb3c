package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/internal/bench"
	"github.com/agentrun-dev/agentrun/internal/bench/remote"
)

// flagFirstRun makes "agentrun bench" the child process of cold-start.
const flagFirstRun = "first-run"

func (a *app) benchCommand() *cobra.Command {
	var o bench.Options
	var firstRun string
	var far remoteFlags
	c := &cobra.Command{
		Use:   "bench [WORKLOAD...]",
		Short: "Measure the durable engine on this machine and its disk",
		Long: `Measure the durable engine on this machine and its disk.

Each step takes 1 KiB and gives 1 KiB, and is synced to the disk. The workloads are

` + indented(bench.Names()) + `
Without an argument all of them are measured but soak; that takes some minutes, in
which nothing else should keep the machine busy.

c is the rate of a bare loop of one-row commits over the same SQLite driver with the
same settings, measured between the workloads; xC is how many steps are done in the
time of one such commit. P50 and P99 are of a step in chains and entity calls, of a
commit in soak, and of a whole run elsewhere. "-o json" prints one object per line.

With --connect a server of the durable task protocol is measured instead, whosever it
is, through gRPC and with worker processes of their own. Its workloads are

` + indented(remote.Names()) + `
P50 and P99 are of a step, of fan-out of a whole run. Its instances stay in the task
hub, which should be one to throw away.`,
		Example: `  agentrun bench chain fan-out
  agentrun bench --connect 127.0.0.1:8080 --workers 1,4 parallel-chains`,
		ValidArgs: slices.Compact(slices.Sorted(slices.Values(append(bench.Names(), remote.Names()...)))),
		Args: func(_ *cobra.Command, args []string) error {
			known := bench.Names()
			if far.connect != "" {
				known = remote.Names()
			}
			for _, name := range args {
				if !slices.Contains(known, name) {
					return usagef("there is no workload %q; there are %s", name, strings.Join(known, ", "))
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, names []string) error {
			if firstRun != "" {
				return bench.FirstRun(c.Context(), firstRun, a.out)
			}
			if far.connect != "" {
				return a.benchRemote(c, far, o, names)
			}
			if f := far.needless(c); f != "" {
				return usagef("--%s needs --connect", f)
			}
			return a.bench(c.Context(), o, names)
		},
	}
	c.Flags().BoolVar(&o.Quick, "quick", false, "measure little of everything, to look whether all works; compare nothing")
	c.Flags().StringVar(&o.Dir, "dir", "", "`DIR` on the disk to measure, in which a temporary directory is made; default: the working directory")
	c.Flags().StringVar(&firstRun, flagFirstRun, "", "run one step in `DIR`")
	if err := c.Flags().MarkHidden(flagFirstRun); err != nil {
		panic("cli: " + err.Error()) // the flag is defined just above
	}
	far.define(c)
	return c
}

func indented(names []string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	return b.String()
}

func (a *app) bench(ctx context.Context, o bench.Options, names []string) error {
	if len(names) == 0 {
		names = bench.Default()
	}
	self, err := os.Executable()
	if err != nil {
		return setupf("this program's own file, which cold-start needs, is not known: %w", err)
	}
	o.Child = func(ctx context.Context, dir string) *exec.Cmd {
		c := exec.CommandContext(ctx, self, "bench", "--"+flagFirstRun, dir)
		c.Args[0] = os.Args[0]
		return c
	}
	o.Progress = func(workload string, n int) { a.term.printf("measuring %s %d\n", workload, n) }
	results, err := bench.Run(ctx, o, names)
	if err != nil {
		return err
	}
	if a.format == formatTable {
		return a.benchTable(results)
	}
	for _, r := range results {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) benchTable(results []bench.Result) error {
	rows := [][]string{{"WORKLOAD", "N", "STEPS/S", "xC", "P50 MS", "P99 MS", "COMMITS/STEP", "BYTES/STEP", "CPU MS/STEP", ""}}
	for _, r := range results {
		rows = append(rows, []string{
			r.Workload, strconv.Itoa(r.N), figure(r.StepsPerSecond), figure(r.TimesC), figure(r.P50), figure(r.P99),
			figure(r.CommitsPerStep), figure(r.BytesPerStep), figure(r.CPUPerStep), benchNotes(r),
		})
	}
	if err := printTable(a.out, rows); err != nil {
		return err
	}
	if len(results) == 0 {
		return nil
	}
	return a.printText(fmt.Sprintf("\nc is %s one-row commits a second; a file takes %s syncs a second.",
		figure(results[0].StoreCommitsPerSecond), figure(results[0].FsyncPerSecond)))
}

// benchNotes says what only some workloads have.
func benchNotes(r bench.Result) string {
	var notes []string
	note := func(v float64, format string, more ...any) {
		if v != 0 {
			notes = append(notes, fmt.Sprintf(format, append([]any{figure(v)}, more...)...))
		}
	}
	note(r.LastToFirst, "last/first 100 steps: %s")
	note(r.RSS, "memory %s MiB")
	note(r.Beside, "a run beside it %s ms, at most %s", figure(r.BesideMax))
	note(r.KiBPerInstance, "%s KiB each")
	note(r.Open, "idle %[2]s %% CPU, %[3]d commits; open %[1]s ms", figure(r.IdleCPU), r.IdleCommits)
	note(r.TimesPayload, "%s x payload")
	note(r.Max, "longest %s ms")
	note(r.WAL, "log %s MiB")
	return strings.Join(notes, "; ")
}

// figure writes a number for people: without an exponent, "-" for what has no
// meaning.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
