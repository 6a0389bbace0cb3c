package taskhub

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/live"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Publish tells those who watch an instance something.
func (l *local) Publish(ctx context.Context, m *protocol.PublishRequest) (*protocol.PublishResponse, error) {
	hub, err := l.s.hub(ctx)
	if err == nil {
		err = toStatus(hub.Publish(ctx, m.GetId(), m.GetData()))
	}
	return &protocol.PublishResponse{}, err
}

// Watch follows instances. A client that reads slowly holds up its own stream alone: what it misses
// meanwhile is counted.
func (l *local) Watch(s grpc.BidiStreamingServer[protocol.WatchRequest, protocol.WatchChange]) error {
	ctx, stop := l.s.whileServing(s.Context())
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hub, err := l.s.hub(ctx)
	if err != nil {
		return err
	}
	w, err := hub.Watch(ctx)
	if err != nil {
		return toStatus(err)
	}
	defer w.Close()
	go func() { // ends with the stream, which ends when this handler returns
		for {
			m, err := s.Recv()
			if err == nil {
				err = errors.Join(w.Remove(m.GetRemove()...), w.Add(m.GetAdd()...))
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					cancel(err)
				}
				return
			}
		}
	}()
	for {
		c, err := w.Next(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			return toStatus(err)
		}
		if err := s.Send(&protocol.WatchChange{Id: c.ID, Changed: c.Changed, Messages: c.Messages, Missed: int64(c.Missed)}); err != nil {
			return err
		}
	}
}

// Publish tells those who watch an instance something.
func (r *Remote) Publish(ctx context.Context, id string, data []byte) error {
	_, err := unary(ctx, r, r.callWithin, r.local.Publish, &protocol.PublishRequest{Id: id, Data: data})
	if errors.Is(err, ErrOneHub) { // what UNIMPLEMENTED is taken for: it has no live events, so nobody watches
		return nil
	}
	return err
}

// Watch follows instances and entities.
func (r *Remote) Watch(ctx context.Context) (live.Watch, error) {
	call, end := r.begin(ctx, 0)
	call, cancel := context.WithCancel(call)
	s, err := r.local.Watch(call)
	if err != nil {
		err = r.explain(ctx, call, nil, err)
		cancel()
		end()
		return nil, err
	}
	w := &remoteWatch{r: r, ctx: ctx, call: call, stream: s, cancel: cancel, changes: make(chan live.Change), ids: map[string]bool{}}
	w.reader.Go(func() {
		defer end()
		w.read()
	})
	return w, nil
}

// pollEvery is how often what a server without live events has is looked at.
const pollEvery = time.Second

// remoteWatch is a Watch of another program's hub.
type remoteWatch struct {
	r         *Remote
	ctx, call context.Context
	stream    grpc.BidiStreamingClient[protocol.WatchRequest, protocol.WatchChange]
	cancel    context.CancelFunc
	changes   chan live.Change // closed at the end
	err       error            // why it ended; to be read after that
	reader    sync.WaitGroup

	mu     sync.Mutex // of what follows, and of Send
	ids    map[string]bool
	polled bool // the server has no live events
}

// read passes on what comes. It ends with the call.
func (w *remoteWatch) read() {
	defer close(w.changes)
	for {
		m, err := w.stream.Recv()
		if status.Code(err) == codes.Unimplemented {
			w.poll()
			return
		}
		if err != nil {
			w.err = w.r.explain(w.ctx, w.call, nil, err)
			return
		}
		if !w.pass(live.Change{ID: m.GetId(), Changed: m.GetChanged(), Messages: m.GetMessages(), Missed: int(m.GetMissed())}) {
			return
		}
	}
}

func (w *remoteWatch) pass(c live.Change) bool {
	select {
	case w.changes <- c:
		return true
	case <-w.call.Done():
		w.err = w.r.explain(w.ctx, w.call, nil, context.Canceled)
		return false
	}
}

// poll says of everything, again and again, that it may have changed.
func (w *remoteWatch) poll() {
	w.mu.Lock()
	w.polled = true
	w.mu.Unlock()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		w.mu.Lock()
		ids := make([]string, 0, len(w.ids))
		for id := range w.ids {
			ids = append(ids, id)
		}
		w.mu.Unlock()
		for _, id := range ids {
			if !w.pass(live.Change{ID: id, Changed: true}) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-w.call.Done():
			w.err = w.r.explain(w.ctx, w.call, nil, context.Canceled)
			return
		}
	}
}

func (w *remoteWatch) Add(ids ...string) error    { return w.send(ids, nil) }
func (w *remoteWatch) Remove(ids ...string) error { return w.send(nil, ids) }

func (w *remoteWatch) send(add, remove []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range add {
		w.ids[id] = true
	}
	for _, id := range remove {
		delete(w.ids, id)
	}
	if w.polled {
		return nil
	}
	// What goes wrong with the stream is said by Next.
	if err := w.stream.Send(&protocol.WatchRequest{Add: add, Remove: remove}); err != nil && !errors.Is(err, io.EOF) {
		return w.r.explain(w.ctx, w.call, nil, err)
	}
	return nil
}

func (w *remoteWatch) Next(ctx context.Context) (live.Change, error) {
	select {
	case c, ok := <-w.changes:
		if !ok {
			return live.Change{}, w.err
		}
		return c, nil
	case <-ctx.Done():
		return live.Change{}, ctx.Err()
	}
}

func (w *remoteWatch) Close() error {
	w.cancel()
	w.reader.Wait()
	return nil
}
