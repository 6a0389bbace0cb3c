package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/internal/bench"
	"github.com/agentrun-dev/agentrun/internal/bench/remote"
)

// Flags of "agentrun bench --connect"; the last one makes it a worker process.
const (
	flagWorkers   = "workers"
	flagServerPID = "server-pid"
	flagWork      = "work"
)

// maxBenchWorkers bounds a slip of the finger.
const maxBenchWorkers = 1_000

type remoteFlags struct {
	connect   string
	workers   []int
	serverPID int
	work      bool
}

func (f *remoteFlags) define(c *cobra.Command) {
	c.Flags().StringVar(&f.connect, "connect", "", "`CONNECTION` string of a server to measure, or HOST:PORT")
	c.Flags().IntSliceVar(&f.workers, flagWorkers, []int{1, 4, 16}, "with --connect: `NUMBERS` of worker processes to measure with")
	c.Flags().IntVar(&f.serverPID, flagServerPID, 0, "with --connect: `PID` of the server, whose memory and processor time are told")
	c.Flags().BoolVar(&f.work, flagWork, false, "be a worker process")
	if err := c.Flags().MarkHidden(flagWork); err != nil {
		panic("cli: " + err.Error()) // the flag is defined just above
	}
}

// needless gives a flag that was set though it means something only with --connect.
func (f *remoteFlags) needless(c *cobra.Command) string {
	for _, name := range []string{flagWorkers, flagServerPID, flagWork} {
		if c.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func (a *app) benchRemote(c *cobra.Command, f remoteFlags, o bench.Options, names []string) error {
	at, err := remote.ParseConnection(f.connect)
	if err != nil {
		return usagef("--connect: %w", err)
	}
	if f.work {
		return remote.Work(c.Context(), at, c.InOrStdin(), a.out)
	}
	if o.Dir != "" {
		return usagef("--dir and --connect do not go together: the server has its own disk")
	}
	for _, n := range f.workers {
		if n < 1 || n > maxBenchWorkers {
			return usagef("--%s: %d is not a number from 1 to %d", flagWorkers, n, maxBenchWorkers)
		}
	}
	if f.serverPID < 0 {
		return usagef("--%s: %d is not a process", flagServerPID, f.serverPID)
	}
	self, err := os.Executable()
	if err != nil {
		return setupf("this program's own file, which worker processes need, is not known: %w", err)
	}
	if len(names) == 0 {
		names = remote.Names()
	}
	results, err := remote.Run(c.Context(), at, remote.Options{
		Worker: func(ctx context.Context) *exec.Cmd {
			w := exec.CommandContext(ctx, self, "bench", "--"+flagWork, "--connect", at.String())
			w.Args[0] = os.Args[0]
			w.Stderr = os.Stderr
			return w
		},
		Workers: f.workers, ServerPID: f.serverPID, Quick: o.Quick,
		Progress: func(workload string, n, workers int) {
			a.term.printf("measuring %s %d with %d workers\n", workload, n, workers)
		},
	}, names)
	if err != nil {
		return err
	}
	if a.format == formatTable {
		return a.benchRemoteTable(results)
	}
	for _, r := range results {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) benchRemoteTable(results []remote.Result) error {
	rows := [][]string{{"WORKLOAD", "N", "WORKERS", "STEPS/S", "P50 MS", "P99 MS", "CPU MS/STEP", "MEMORY MIB", ""}}
	for _, r := range results {
		note := ""
		if r.KiBEach != 0 {
			note = fmt.Sprintf("%s KiB each; idle %s %% CPU", figure(r.KiBEach), figure(r.IdleCPU))
		}
		rows = append(rows, []string{
			r.Workload, strconv.Itoa(r.N), strconv.Itoa(r.Workers), figure(r.StepsPerSecond), figure(r.P50), figure(r.P99),
			figure(r.CPUPerStep), figure(r.RSS), note,
		})
	}
	return printTable(a.out, rows)
}
