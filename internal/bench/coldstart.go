package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// firstRunDone is the line that FirstRun prints.
const firstRunDone = "the first run is completed"

// FirstRun is what the child process of cold-start does: it opens a hub in dir,
// which is new, runs one step, says so on out, and closes the hub.
func FirstRun(ctx context.Context, dir string, out io.Writer) error {
	h, err := openHub(ctx, dir, nil)
	if err != nil {
		return err
	}
	if err = h.run(ctx, h.chain, 1); err == nil {
		_, err = fmt.Fprintln(out, firstRunDone)
	}
	return errors.Join(err, h.close())
}

// coldStart takes the time from before a process is started until its first run is
// completed.
func (r *run) coldStart(ctx context.Context) error {
	if r.Child == nil {
		return errors.New("nothing says how to start a process")
	}
	if r.Progress != nil {
		r.Progress("cold-start", 1)
	}
	var times []time.Duration
	for range r.sizes.starts {
		d, err := r.startCold(ctx)
		if err != nil {
			return err
		}
		times = append(times, d)
	}
	return r.add(Result{Workload: "cold-start", N: 1, P50: quantile(times, 0.5), P99: quantile(times, 0.99)})
}

func (r *run) startCold(ctx context.Context) (took time.Duration, err error) {
	dir, err := r.newDir()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := r.Child(ctx, dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	said := lines.Scan() && lines.Text() == firstRunDone
	took = time.Since(began)
	for lines.Scan() { // so that it can end
	}
	if err := c.Wait(); err != nil {
		return 0, fmt.Errorf("the process with the first run: %w", err)
	}
	if !said {
		return 0, errors.New("the process ended without its first run")
	}
	return took, nil
}
