package agents

import (
	"bytes"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// hear takes what a call of a model has published.
func (f *following) hear(n *node, ev *liveEvent) error {
	if n.ignores(ev) {
		return nil
	}
	was := n.teller.open[ev.Task]
	if ev.Execution != n.execution || was == nil {
		n.hold(ev) // the call may begin before it is recorded
		return nil
	}
	id, t := tryID(ev.Try), n.texts[ev.Task]
	if t != nil && (t.void && t.try == id || bytes.Compare(id[:], t.try[:]) < 0) {
		return nil
	}
	if t == nil || t.try != id {
		if t != nil {
			if err := f.supersede(n, was, t, ""); err != nil {
				return err
			}
		}
		t = &shownText{task: ev.Task, try: id, hash: hashStart}
		n.texts[ev.Task] = t
	}
	if ev.Kind == EventSuperseded {
		return f.supersede(n, was, t, ev.Error)
	}
	// What was told comes again after a reconnection; where a piece is missing, the rest
	// waits for the answer.
	if ev.Kind != EventDelta || ev.Offset > t.size || ev.Offset < 0 || ev.Offset+len(ev.Text) <= t.size {
		return nil
	}
	out := n.about(EventDelta, was, t)
	out.Text = ev.Text[t.size-ev.Offset:]
	t.add(out.Text)
	return f.emit(out)
}

// ignores reports whether what was published is of a call that was told to be over.
func (n *node) ignores(ev *liveEvent) bool {
	if ev.Execution == n.execution {
		return ev.Task <= n.last && n.teller.open[ev.Task] == nil
	}
	return slices.Contains(n.left, keyOf(ev.Execution))
}

// hold keeps what was published until the history tells what it is about.
func (n *node) hold(ev *liveEvent) {
	n.heard = append(n.heard, ev)
	n.heardSize += ev.size()
	for n.heardSize > mostHeard && len(n.heard) > 1 {
		n.heardSize -= n.heard[0].size()
		n.heard = n.heard[1:]
	}
}

func (ev *liveEvent) size() int { return len(ev.Text) + len(ev.Error) + 128 }

// hearAgain takes what was held about a call that is now known.
func (f *following) hearAgain(n *node) error {
	held := n.heard
	n.heard, n.heardSize = nil, 0
	for _, ev := range held {
		if err := f.hear(n, ev); err != nil {
			return err
		}
	}
	return nil
}

// about makes an event about what a call writes.
func (n *node) about(kind EventKind, call *history.Event, t *shownText) Event {
	ev := Event{Time: time.Now().UTC(), Instance: n.id}
	describe(&ev, call, EventTurn, EventTool)
	ev.Kind, ev.Attempt, ev.Try, ev.Offset = kind, int(call.Attempt), t.try.String(), t.size
	return ev
}

// supersede says that what was told of a try is void.
func (f *following) supersede(n *node, call *history.Event, t *shownText, why string) error {
	if t.void {
		return nil
	}
	t.void = true
	if t.size == 0 {
		return nil
	}
	ev := n.about(EventSuperseded, call, t)
	ev.Error = why
	return f.emit(ev)
}

// endTexts settles what was told of calls that end with ev, and gives the text of the
// answer that it has.
func (f *following) endTexts(n *node, ev *history.Event) (content string, err error) {
	switch ev.Kind {
	case history.TaskCompleted, history.TaskFailed:
		call := n.teller.open[ev.Answers]
		if call == nil {
			return "", nil
		}
		var what Event
		if describe(&what, call, EventTurn, EventTool); what.Kind != EventTurn {
			return "", nil
		}
		why := ""
		if ev.Failure != nil {
			why = ev.Failure.Message
		} else if content, err = f.content(ev); err != nil {
			return "", err
		}
		if t := n.texts[ev.Answers]; t != nil && (ev.Failure != nil || !t.begins(content)) {
			return content, f.supersede(n, call, t, why)
		}
	case history.GenericEvent:
		if id, ok := ev.Cancels(); ok && n.texts[id] != nil {
			return "", f.supersede(n, n.teller.open[id], n.texts[id], "the call was given up")
		}
	case history.ExecutionCompleted:
		for id, t := range n.texts {
			if err := f.supersede(n, n.teller.open[id], t, "the agent has ended"); err != nil {
				return "", err
			}
		}
	}
	return content, nil
}
