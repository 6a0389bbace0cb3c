package agents

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable"
)

// liveEvent is what a call of a model publishes for those who follow its run.
type liveEvent struct {
	Kind      EventKind `json:"k"` // EventDelta or EventSuperseded
	Execution string    `json:"x"`
	Task      int32     `json:"t"`
	Try       []byte    `json:"y"`
	Offset    int       `json:"o,omitempty"`
	Text      string    `json:"s,omitempty"`
	Error     string    `json:"e,omitempty"`
}

// answerTry is one stream of text from a model.
type answerTry struct {
	ctx     context.Context
	onDelta func(Delta)
	agent   string
	turn    int
	info    durable.ActivityInfo
	id      tryID
	offset  int    // of what OnDelta was given
	sent    int    // bytes that were published
	held    string // the beginning of a character, whose end comes with the next piece
	broken  bool   // it is no text
}

// newTry begins one. A call begins another one when what it gave so far is void.
func (o *Options) newTry(ctx context.Context, agent string, turn int) *answerTry {
	t := &answerTry{ctx: ctx, onDelta: o.OnDelta, agent: agent, turn: turn}
	t.info, _ = durable.Info(ctx)
	binary.BigEndian.PutUint64(t.id[:], uint64(time.Now().UnixNano()))
	rand.Read(t.id[8:])
	return t
}

// delta passes on a piece of the text.
func (t *answerTry) delta(s string) {
	if t.onDelta != nil {
		t.onDelta(Delta{Instance: t.info.Instance, Agent: t.agent, Turn: t.turn, Attempt: t.info.Attempt, Try: t.id.String(), Offset: t.offset, Text: s})
	}
	t.offset += len(s)
	s = t.held + s
	whole := len(s) - incomplete(s)
	s, t.held = s[:whole], s[whole:]
	if t.broken = t.broken || !utf8.ValidString(s); t.broken || s == "" {
		return
	}
	t.publish(liveEvent{Kind: EventDelta, Offset: t.sent, Text: s})
	t.sent += len(s)
}

// incomplete is how many bytes at the end of s are the beginning of a character.
func incomplete(s string) int {
	for n := 1; n <= min(len(s), utf8.UTFMax-1); n++ {
		if c := s[len(s)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]) {
				return n
			}
			break
		}
	}
	return 0
}

// superseded says that the text is void.
func (t *answerTry) superseded(err error) {
	if t.sent > 0 {
		t.publish(liveEvent{Kind: EventSuperseded, Offset: t.sent, Error: err.Error()})
	}
}

func (t *answerTry) publish(ev liveEvent) {
	ev.Execution, ev.Task, ev.Try = t.info.Execution, t.info.Task, t.id[:]
	b, err := json.Marshal(ev)
	if err == nil {
		// Who does not get it has the text from the answer.
		_ = durable.Publish(t.ctx, b)
	}
}
