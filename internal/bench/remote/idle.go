package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

const (
	startsAtOnce   = 64
	streamsPerConn = 100 // what servers allow at least, by the recommendation of HTTP/2
)

// idle has instances that wait for an event that does not come, and then streams of
// work items that get none, and looks at what the server uses meanwhile.
func (r *run) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("instances did not wait after %v", patience))
	defer cancel()
	before, err := r.usage()
	if err != nil {
		return err
	}
	if r.Progress != nil {
		r.Progress("waiting", r.sizes.waiting, r.workers)
	}
	began := time.Now()
	ids := make([]string, r.sizes.waiting)
	for i := range ids {
		ids[i] = r.newID()
	}
	group, gctx := newGroup(ctx, startsAtOnce)
	for _, id := range ids {
		group.Go(func() error { return r.start(gctx, waitName, id, 0) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if _, err := r.crew.until(ctx, stepWait, len(ids)); err != nil {
		return err
	}
	rate := float64(len(ids)) / time.Since(began).Seconds()
	if err := r.leave(); err != nil {
		return err
	}
	before, err = r.rest(ctx, Result{Workload: "waiting", N: len(ids), StepsPerSecond: rate}, before)
	if err != nil {
		return err
	}
	if r.Progress != nil {
		r.Progress("streams", r.sizes.streams, 0)
	}
	end, err := r.streams(ctx)
	if err != nil {
		return err
	}
	_, err = r.rest(ctx, Result{Workload: "streams", N: r.sizes.streams}, before)
	return errors.Join(err, end())
}

// rest looks at the server while nothing is asked of it, and adds the result. It
// gives what the server has used then.
func (r *run) rest(ctx context.Context, res Result, before usage) (usage, error) {
	if err := pause(ctx, r.sizes.settle); err != nil {
		return usage{}, err
	}
	quiet, err := r.usage()
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := pause(ctx, r.sizes.idle); err != nil {
		return usage{}, err
	}
	after, err := r.usage()
	if err != nil {
		return usage{}, err
	}
	res.IdleCPU = 100 * float64(after.cpu-quiet.cpu) / float64(time.Since(began))
	res.RSS, res.KiBEach = after.rss/1024, (after.rss-before.rss)/float64(res.N)
	r.add(res)
	return after, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// streams opens streams of work items and keeps reading them, until end is called.
func (r *run) streams(ctx context.Context) (end func() error, err error) {
	readers, ctx := newGroup(ctx, 0)
	var conns []interface{ Close() error }
	end = func() error {
		readers.cancel(nil)
		var errs []error
		for _, c := range conns {
			errs = append(errs, c.Close())
		}
		return errors.Join(append(errs, readers.Wait())...)
	}
	fail := func(err error) (func() error, error) { return nil, errors.Join(err, end()) }
	var client protocol.TaskHubSidecarServiceClient
	var calls context.Context
	for i := range r.sizes.streams {
		if i%streamsPerConn == 0 {
			c, conn, err := dial(ctx, r.at)
			if err != nil {
				return fail(err)
			}
			conns = append(conns, conn)
			calls, client = c, protocol.NewTaskHubSidecarServiceClient(conn)
		}
		stream, err := client.GetWorkItems(calls, &protocol.GetWorkItemsRequest{WorkItemFilters: filters()})
		if err != nil {
			return fail(fmt.Errorf("stream %d: %w", i+1, err))
		}
		readers.Go(func() error {
			for {
				item, err := stream.Recv()
				switch {
				case err != nil && ctx.Err() != nil:
					return nil
				case err != nil:
					return fmt.Errorf("an idle stream: %w", err)
				case item.GetOrchestratorRequest() != nil || item.GetActivityRequest() != nil:
					return errors.New("an idle stream was given work")
				}
			}
		})
	}
	return end, nil
}
