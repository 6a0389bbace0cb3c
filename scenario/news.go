package scenario

import (
	"strings"
	"sync"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// news tells those who follow runs that a request was made or settled. The event
// of a run that asks comes before its request is in the inbox: only the answer of
// the request's entity says that it is there.
type news struct {
	mu    sync.Mutex
	calls map[string]bool // entity operations without an answer: whether it is a request's
	ears  map[chan struct{}]bool
}

func newNews() *news { return &news{calls: map[string]bool{}, ears: map[chan struct{}]bool{}} }

// listen gives a channel that has a value when there are news.
func (n *news) listen() (ear chan struct{}, stop func()) {
	ear = make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ears[ear] = true
	return ear, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.ears, ear)
	}
}

// onTurn takes what was committed, see durable.Options.OnTurn.
func (n *news) onTurn(r durable.Recorded) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ev := range r.Events {
		switch ev.Kind {
		case history.EntityOperationCalled:
			n.calls[ev.Request] = strings.HasPrefix(ev.Target, agents.ApprovalPrefix)
		case history.EntityOperationCompleted, history.EntityOperationFailed:
			request, known := n.calls[ev.Request]
			delete(n.calls, ev.Request)
			if request || !known { // it may have been called before this process began
				n.tell()
			}
		}
	}
}

func (n *news) tell() {
	for ear := range n.ears {
		select {
		case ear <- struct{}{}:
		default:
		}
	}
}
