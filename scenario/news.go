package scenario

import (
	"strings"
	"sync"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// news tells those who follow runs what the events of agents do not: that a request
// was made or settled, and that there was a turn at all. The event of a run that asks
// comes before its request is in the inbox: only the answer of the request's entity
// says that it is there.
type news struct {
	mu    sync.Mutex
	calls map[string]bool // entity operations without an answer: whether it is a request's
	ears  map[*ear]bool
}

// ear has channels that hold a value when there are news. It is left unread by those
// whom they do not concern.
type ear struct {
	requests chan struct{} // a request was made or settled
	turns    chan struct{} // an orchestration made a turn, whatever it was about
}

func newNews() *news { return &news{calls: map[string]bool{}, ears: map[*ear]bool{}} }

// listen gives an ear, until stop is called.
func (n *news) listen() (e *ear, stop func()) {
	e = &ear{requests: make(chan struct{}, 1), turns: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ears[e] = true
	return e, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.ears, e)
	}
}

// onTurn takes what was committed, see durable.Options.OnTurn.
func (n *news) onTurn(r durable.Recorded) {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := false
	for _, ev := range r.Events {
		switch ev.Kind {
		case history.EntityOperationCalled:
			n.calls[ev.Request] = strings.HasPrefix(ev.Target, agents.ApprovalPrefix)
		case history.EntityOperationCompleted, history.EntityOperationFailed:
			request, known := n.calls[ev.Request]
			delete(n.calls, ev.Request)
			if request || !known { // it may have been called before this process began
				asked = true
			}
		}
	}
	for e := range n.ears {
		ring(e.turns)
		if asked {
			ring(e.requests)
		}
	}
}

// ring leaves a value, unless there is one.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
