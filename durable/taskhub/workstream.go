package taskhub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// maxWorkItem bounds a message to a worker, in bytes: every SDK refuses one above 4 MiB.
const maxWorkItem = 4<<20 - 64<<10

// maxFilters bounds the names and versions that a worker's filters have.
const maxFilters = 10_000

// Headers in which a worker says what it is.
const (
	workerHeader    = "workerid"
	agentHeader     = "x-user-agent"
	maxHeaderShown  = 200 // bytes
	grpcAgentHeader = "user-agent"
)

// workStream is a worker's connection.
type workStream struct {
	w         *Workers
	sink      *worklist.Sink[engine.Work]
	takes     worklist.Takes
	streaming bool // the worker can fetch a history
	worker    string
	agent     string
	since     time.Time

	flights map[*flight]struct{} // Workers.mu
}

// sender is where a stream's messages go.
type sender interface {
	Send(*protocol.WorkItem) error
}

// serve gives a worker what it wants until its connection ends, or Drain.
func (w *Workers) serve(ctx context.Context, m *protocol.GetWorkItemsRequest, out sender) error {
	takes, err := takesOf(m, w.opts)
	if err != nil {
		return toStatus(err)
	}
	s := &workStream{w: w, takes: takes, since: time.Now(), flights: map[*flight]struct{}{},
		streaming: slices.Contains(m.GetCapabilities(), protocol.WorkerCapability_WORKER_CAPABILITY_HISTORY_STREAMING)}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		s.worker, s.agent = header(md, workerHeader), header(md, agentHeader)
		if s.agent == "" {
			s.agent = header(md, grpcAgentHeader)
		}
	}
	w.mu.Lock()
	if w.open.Err() != nil {
		w.mu.Unlock()
		return toStatus(&callError{errDraining.Error(), ErrEnding})
	}
	s.sink = w.list.Join(takes)
	w.streams[s] = struct{}{}
	w.mu.Unlock()
	defer func() {
		s.sink.Leave()
		w.abandonStream(s)
	}()
	return s.run(ctx, out)
}

func header(md metadata.MD, name string) string {
	values := md.Get(name)
	if len(values) == 0 {
		return ""
	}
	v := values[0]
	if len(v) > maxHeaderShown {
		v = v[:maxHeaderShown]
	}
	return strings.ToValidUTF8(v, "?")
}

// run is the stream's goroutine: it begins items and sends them, so that a reader that is slow
// holds up nobody else.
func (s *workStream) run(ctx context.Context, out sender) error {
	ping := &protocol.WorkItem{Request: &protocol.WorkItem_HealthPing{HealthPing: &protocol.HealthPing{}}}
	// The first at once: SDKs take a stream that ends without a message for a broken connection.
	if err := out.Send(ping); err != nil {
		return err
	}
	silence := time.NewTimer(s.w.opts.Ping)
	defer silence.Stop()
	for ctx.Err() == nil && s.w.open.Err() == nil {
		work, a, ok := s.sink.Take()
		if !ok {
			select {
			case <-s.sink.Ready():
				continue
			case <-silence.C:
				if !s.sink.Pause() {
					continue // there is something better to send
				}
			case <-s.w.open.Done():
				return nil
			case <-ctx.Done():
				continue
			}
		}
		item := ping
		if ok {
			if item = s.begin(ctx, work, a); item == nil {
				s.sink.Done(a.Kind)
				continue
			}
		}
		if err := out.Send(item); err != nil {
			return err
		}
		silence.Reset(s.w.opts.Ping)
	}
	if s.w.open.Err() != nil || errors.Is(context.Cause(ctx), ErrEnding) {
		return nil
	}
	return toStatus(context.Cause(ctx))
}

// begin makes the message of an item; nil if there is nothing to send. What the engine lets begin is
// not bound to the connection: a beginning that was given up half way would be nobody's.
func (s *workStream) begin(ctx context.Context, work engine.Work, a worklist.About) *protocol.WorkItem {
	f := &flight{kind: a.Kind, subject: subjectOf(work, a), id: flightID{kind: a.Kind, instance: a.Instance}, work: work}
	var m *protocol.WorkItem
	var err error
	switch work := work.(type) {
	case turnWork:
		m, err = s.beginTurn(work, f)
	case callWork:
		m, err = s.beginCall(work, f)
	case batchWork:
		m, err = s.beginBatch(work, f)
	}
	switch {
	case err == nil:
	case errors.Is(err, engine.ErrStale):
		return nil
	default:
		s.giveBack(ctx, f, a, err)
		return nil
	}
	if m == nil {
		return nil
	}
	if !s.w.launch(f, s) {
		f.release()
		return nil
	}
	m.CompletionToken = f.token
	return m
}

// giveBack lets an item be given out again for which no message could be made.
func (s *workStream) giveBack(ctx context.Context, f *flight, a worklist.About, err error) {
	if ctx.Err() == nil { // else it is only that the connection has ended
		s.w.opts.Logger.Warn("work could not be given to a worker; it is tried again",
			"kind", kindNames[a.Kind], "name", a.Name, "instance", a.Instance, "err", err)
		s.w.mu.Lock()
		s.w.returned(f.subject)
		s.w.mu.Unlock()
	}
	if f.release == nil { // the engine did not let it begin: it is still ours
		s.w.Offer(f.work)
		return
	}
	f.release()
}

// takesOf reads what a worker wants. Limits count what it has and has not answered; 0 is one that
// it does not state, which some SDKs do for kinds that they do want.
func takesOf(m *protocol.GetWorkItemsRequest, o WorkersOptions) (worklist.Takes, error) {
	var t worklist.Takes
	for k, n := range [worklist.Kinds]int32{
		worklist.Orchestration: m.GetMaxConcurrentOrchestrationWorkItems(),
		worklist.Activity:      m.GetMaxConcurrentActivityWorkItems(),
		worklist.Entity:        m.GetMaxConcurrentEntityWorkItems(),
	} {
		t.Limits[k] = o.InFlight
		if n > 0 {
			t.Limits[k] = min(int(n), o.MaxInFlight)
		}
	}
	in := m.GetWorkItemFilters()
	if in == nil {
		return t, nil
	}
	n := 0
	f := &[worklist.Kinds]worklist.Filter{{}, {}, {}}
	for _, x := range in.GetOrchestrations() {
		n += 1 + len(x.GetVersions())
		f[worklist.Orchestration].Add(x.GetName(), x.GetVersions())
	}
	for _, x := range in.GetActivities() {
		n += 1 + len(x.GetVersions())
		f[worklist.Activity].Add(x.GetName(), x.GetVersions())
	}
	for _, x := range in.GetEntities() {
		n++
		f[worklist.Entity].Add(strings.ToLower(x.GetName()), nil)
	}
	if n > maxFilters {
		return t, fmt.Errorf("%w: work item filters of %d names and versions, of which there may be %d; leave them out to get everything", engine.ErrInvalid, n, maxFilters)
	}
	t.Filters = f
	return t, nil
}
