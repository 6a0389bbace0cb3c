package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// crew are worker processes.
type crew struct{ members []*member }

type member struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// hire starts n worker processes and waits until all of them are there.
func hire(ctx context.Context, n int, worker func(context.Context) *exec.Cmd) (*crew, error) {
	c := &crew{}
	for range n {
		m := &member{cmd: worker(ctx)}
		in, err := m.cmd.StdinPipe()
		if err != nil {
			return nil, errors.Join(err, c.dismiss())
		}
		out, err := m.cmd.StdoutPipe()
		if err != nil {
			return nil, errors.Join(err, c.dismiss())
		}
		m.in, m.out = in, json.NewDecoder(out)
		if err := m.cmd.Start(); err != nil {
			return nil, errors.Join(fmt.Errorf("a worker process: %w", err), c.dismiss())
		}
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		var none []mark
		if err := m.out.Decode(&none); err != nil {
			return nil, errors.Join(fmt.Errorf("a worker process ended early: %w", err), c.dismiss())
		}
	}
	return c, nil
}

// report gives what all did since the report before.
func (c *crew) report() ([]mark, error) {
	var all []mark
	for _, m := range c.members {
		if _, err := io.WriteString(m.in, "\n"); err != nil {
			return nil, fmt.Errorf("a worker process is gone: %w", err)
		}
		var marks []mark
		if err := m.out.Decode(&marks); err != nil {
			return nil, fmt.Errorf("a worker process is gone: %w", err)
		}
		all = append(all, marks...)
	}
	return all, nil
}

// until gathers reports until n runs have a mark of this kind.
func (c *crew) until(ctx context.Context, step int32, n int) ([]mark, error) {
	var all []mark
	seen := map[string]bool{}
	for {
		marks, err := c.report()
		if err != nil {
			return nil, err
		}
		for _, m := range marks {
			if m.Step == step {
				seen[m.Run] = true
			}
		}
		if all = append(all, marks...); len(seen) >= n {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d runs are so far: %w", len(seen), n, context.Cause(ctx))
		case <-time.After(askEvery):
		}
	}
}

// askEvery is the time between two reports.
const askEvery = 20 * time.Millisecond

// dismiss ends the processes.
func (c *crew) dismiss() error {
	var errs []error
	for _, m := range c.members {
		errs = append(errs, m.in.Close())
	}
	for _, m := range c.members {
		if err := m.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("a worker process: %w", err))
		}
	}
	return errors.Join(errs...)
}
