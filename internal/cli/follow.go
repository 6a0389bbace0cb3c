package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) followCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "follow RUN",
		Short: "Follow a run of another process to its end",
		Long: `Follow a run of another process to its end, from its beginning on.

With -o jsonl each event is printed as an object, pieces of answers included, and
the report at the end. An event's "cursor" is where --from goes on after it. When
the process that runs it ends, follow waits for the next one, and goes on; text
that has become void is announced by an event of the kind "superseded".

The exit code is that of the run.`,
		Example: `  agentrun runs follow incident-x2b7qd
  agentrun runs follow incident-x2b7qd -o jsonl --from AQEBAgME`,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			f := &runFollower{app: a, id: args[0], cursor: agents.Cursor(from), watch: newProgress(a, time.Time{})}
			f.watch.all = true
			err := a.runError(f.follow(c.Context()), args[0])
			if errors.Is(err, agents.ErrCursor) {
				return usage(err)
			}
			return err
		},
	}
	c.Flags().StringVar(&from, "from", "", "`CURSOR` of the last event that was seen; without it, everything is told")
	return c
}

// While nobody has the store open, a follower looks at its socket every dialEvery, and,
// since somebody may have come and gone between two looks, into it every lookEvery: for
// that moment it has the store to itself.
const (
	dialEvery = 200 * time.Millisecond
	lookEvery = 2 * time.Second
)

// runFollower follows a run from one process that holds the store to the next.
type runFollower struct {
	*app
	id     string
	cursor agents.Cursor
	watch  *progress
	looked time.Time // into the store that nobody had open; zero: somebody had it since
}

func (f *runFollower) follow(ctx context.Context) error {
	for {
		report, err := f.once(ctx)
		switch {
		case errors.Is(context.Cause(ctx), errInterrupted):
			f.term.printf("\ninterrupted; the run is not; see %s\n", f.typed("runs", "show", f.id))
			return ended(exitInterrupted)
		case err != nil && !errors.Is(err, taskhub.ErrUnavailable):
			return err
		case report != nil:
			return f.conclude(nil, report)
		}
		select {
		case <-ctx.Done():
		case <-time.After(dialEvery):
		}
	}
}

// once follows the run as long as one process holds the store; if none does, it tells
// what there is. The report is there when the run has ended.
func (f *runFollower) once(ctx context.Context) (report *scenario.Report, err error) {
	c, err := durable.Dial(ctx, f.store, durable.Options{}, agents.Define(agents.Options{}))
	if err == nil {
		f.looked = time.Time{}
		report, err = f.tell(ctx, c.Client, true)
		return report, errors.Join(err, c.Close())
	}
	if !errors.Is(err, taskhub.ErrUnavailable) {
		return nil, err
	}
	if time.Since(f.looked) < lookEvery {
		return nil, nil
	}
	err = f.connect(ctx, func(c *durable.Client) (err error) {
		report, err = f.tell(ctx, c, false)
		return err
	})
	if err == nil && report == nil {
		if f.looked.IsZero() {
			f.term.printf("nobody runs it; waiting until somebody does: %s (Ctrl-C ends the waiting)\n", f.typed("resume", f.id))
		}
		f.looked = time.Now()
	}
	return report, err
}

// tell tells of what comes, or of what there is, and gives the report of a run that has
// ended.
func (f *runFollower) tell(ctx context.Context, c *durable.Client, live bool) (*scenario.Report, error) {
	s, err := c.Get(ctx, f.id)
	if err != nil {
		return nil, err
	}
	f.watch.begun = s.Created
	events := agents.Past
	if live {
		events = agents.Follow
	}
	for ev, err := range events(ctx, c, f.id, f.cursor) {
		if err != nil {
			return nil, err
		}
		f.cursor = ev.Cursor
		f.watch.event(ev)
	}
	if s, err = c.Get(ctx, f.id); err != nil || !s.Status.Ended() {
		return nil, err
	}
	return scenario.Inspect(ctx, c, f.id)
}
