package engine

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// message goes to the mailbox of one instance.
//
// Messages come in three sorts. Those between instances have a key: they are
// part of the log, and the committer writes them to the inbox unless the turn
// that consumes them is in the same batch. Results of activities have none: if
// they are lost, the activity is asked again. Messages of clients have none
// either, but an ack, which is called after the commit of what became of them.
type message struct {
	key  int64
	to   string
	exec string // the execution it is meant for; "": whichever is current; of an entity: "", or kept
	ev   *history.Event

	held   bool             // waits, in the inbox, for the start of the instance it is for (schedule.go)
	reuse  []history.Status // of a start: what it may replace
	ack    func(error)
	ask    *command // instead of receiving ev: what a client asks of the instance itself
	fresh  bool     // to is an id that cannot exist yet
	call   *call
	pieces []Piece

	// The committer's.
	stored    bool   // is in the inbox
	batch     uint64 // that wrote it there; 0: one of an earlier engine
	usedBatch uint64 // batch in which a turn consumed it
}

// size estimates the memory that a message holds, in bytes.
func (m *message) size() int {
	n := len(m.ev.Data) + len(m.ev.Name) + 128
	for f := m.ev.Failure; f != nil; f = f.Cause {
		n += len(f.Message) + len(f.Stack)
	}
	return n
}

// command is what a client asks of an instance itself. It is data, not a function:
// a turn that were given to one would have to be on the heap.
type command struct {
	what      commandKind
	look      func(*instance) // where set, runs first on the owner's goroutine, and changes nothing
	execution string          // askRestart: which one is meant
	start     *Start          // askRestart: as what
	work      *TurnWork       // askBeginTurn: of which work
	turn      *Turn           // of a worker: given by askBeginTurn, else its argument
	batch     *EntityBatch    // likewise
}

type commandKind int

const (
	askNothing commandKind = iota
	askPurge
	askPurgeExpired
	askPurgeEntity
	askDropEntity
	askRestart

	// A worker's (work.go).
	askBeginTurn
	askCompleteTurn
	askReleaseTurn
	askBeginBatch
	askCompleteBatch
	askReleaseBatch
)

// obey does what a command says.
func (t *turn) obey(c *command) error {
	if c.look != nil {
		c.look(t.in)
	}
	switch c.what {
	case askPurge:
		return t.purge()
	case askPurgeExpired:
		return t.purgeExpired()
	case askRestart:
		return t.restart(c.execution, c.start)
	}
	return nil
}

// heldMark stands before the execution of a message that is held.
const heldMark = "+"

// encode writes what the inbox keeps.
func (m *message) encode() []byte {
	room := 96
	if m.ev.Kind == history.ExecutionStarted {
		room = 384 // it has ids, of its parent too
	}
	b := make([]byte, 0, len(m.ev.Data)+len(m.exec)+room)
	exec := m.exec
	if m.held {
		exec = heldMark + exec
	}
	b = binary.AppendUvarint(b, uint64(len(exec)))
	b = append(b, exec...)
	return history.AppendEvent(b, m.ev)
}

func decodeMessage(s store.Message) (*message, error) {
	n, w := binary.Uvarint(s.Data)
	if w <= 0 || n > uint64(len(s.Data)-w) {
		return nil, fmt.Errorf("message %d for %s is damaged", s.Key, s.To)
	}
	rest := s.Data[w:]
	ev, err := history.DecodeEvent(rest[n:])
	if err != nil {
		return nil, fmt.Errorf("message %d for %s: %w", s.Key, s.To, err)
	}
	exec, held := strings.CutPrefix(string(rest[:n]), heldMark)
	return &message{key: s.Key, to: s.To, exec: exec, held: held, ev: ev, stored: true}, nil
}

// answer makes the message that tells a parent how its child ended.
func answer(p *history.Parent, key int64, at time.Time, status history.Status, result history.Payload, f *history.Failure) *message {
	ev := &history.Event{Kind: history.ChildCompleted, ID: history.FromOutside, Time: at, Answers: p.Scheduled, Data: result}
	if status != history.Completed {
		if f == nil {
			f = &history.Failure{Type: "OrchestrationTerminated", Message: "the sub-orchestration was terminated", NonRetriable: true}
		}
		ev.Kind, ev.Data, ev.Failure = history.ChildFailed, nil, f
	}
	return &message{key: key, to: p.ID, exec: p.Execution, ev: ev}
}
