package agents

import (
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Stream brings what happens in a runtime to those who follow runs. Give its
// methods to the runtime's options; [Open] does. It is safe for concurrent use,
// and never holds the runtime up: who reads slowly has a longer queue.
type Stream struct {
	mu        sync.Mutex
	followers map[*Follower]bool
	scheduled map[string]map[int32]*history.Event // what was started and not answered, by execution
}

// NewStream makes a stream that nobody follows.
func NewStream() *Stream {
	return &Stream{followers: map[*Follower]bool{}, scheduled: map[string]map[int32]*history.Event{}}
}

// Follower is a queue of the events of one run.
type Follower struct {
	stream *Stream
	ready  chan struct{}

	root      string
	mu        sync.Mutex
	instances map[string]bool
	queue     []Event
}

// Follow queues the events of an instance and of its descendants from now on, as
// far as they are found: those that exist already are named by more.
func (s *Stream) Follow(root string, more ...string) *Follower {
	f := &Follower{stream: s, ready: make(chan struct{}, 1), root: root, instances: map[string]bool{root: true}}
	for _, id := range more {
		f.instances[id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[f] = true
	return f
}

// Stop ends the following.
func (f *Follower) Stop() {
	f.stream.mu.Lock()
	defer f.stream.mu.Unlock()
	delete(f.stream.followers, f)
}

// Ready gets a value when there may be something to Take.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Take empties the queue.
func (f *Follower) Take() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queue
	f.queue = nil
	return q
}

func (f *Follower) put(child string, evs ...Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(evs) == 0 || !f.instances[evs[0].Instance] {
		return
	}
	if child != "" {
		f.instances[child] = true
	}
	for _, ev := range evs {
		ev.Run = f.root
		f.queue = append(f.queue, ev)
	}
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// OnDelta takes a piece of text, see [Options.OnDelta].
func (s *Stream) OnDelta(d Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		f.put("", Event{Kind: EventDelta, Time: time.Now().UTC(), Instance: d.Instance, Agent: d.Agent, Turn: d.Turn, Attempt: d.Attempt, Try: d.Try, Offset: d.Offset, Text: d.Text})
	}
}

// OnProgress takes what a tool says of a call under way, see [Options.OnProgress].
func (s *Stream) OnProgress(p Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		f.put("", Event{Kind: EventProgress, Time: time.Now().UTC(), Instance: p.Instance, Agent: p.Agent, Tool: p.Tool, Attempt: p.Attempt, Text: p.Text})
	}
}

// OnTurn takes what was committed, see durable.Options.OnTurn.
func (s *Stream) OnTurn(r durable.Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.scheduled[r.Instance.Execution]
	if open == nil {
		open = map[int32]*history.Event{}
		s.scheduled[r.Instance.Execution] = open
	}
	told := teller{instance: r.Instance.ID, name: r.Name, root: r.Parent == "", open: open}
	for _, ev := range r.Events {
		out, child, _ := told.event(ev)
		if ev.Kind == history.ExecutionCompleted {
			delete(s.scheduled, r.Instance.Execution)
		}
		for f := range s.followers {
			if out.Kind != "" {
				f.put(child, out)
			} else if child != "" {
				f.adopt(r.Instance.ID, child)
			}
		}
	}
}

// adopt follows a child that is no agent, without an event.
func (f *Follower) adopt(parent, child string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instances[parent] {
		f.instances[child] = true
	}
}
