package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// MarkKind says what a [Mark] does.
type MarkKind string

// Kinds of marks.
const (
	Edited   MarkKind = "edited"   // another message stands in its place; what was there stays readable
	Redacted MarkKind = "redacted" // what was there is gone
	Pinned   MarkKind = "pinned"   // views keep it
	Unpinned MarkKind = "unpinned" // they need not any more
)

// Mark is a change to a message that is in the list. The list stays as it is; marks lie
// over it, and the last one of a position counts.
type Mark struct {
	At   int      `json:"at"`
	Kind MarkKind `json:"kind"`
	// Message is what is read at the position from now on.
	Message durable.Ref `json:"message"`
	Agent   string      `json:"agent,omitempty"` // whose message it is
	Time    time.Time   `json:"time"`
	By      string      `json:"by,omitempty"`     // who did it, as the caller says
	Reason  string      `json:"reason,omitempty"` // for people
}

// markNode is a link of the list of marks, as it is stored.
type markNode struct {
	Before durable.Ref `json:"before,omitzero"`
	Count  int         `json:"count"` // of marks, those of the nodes before it included
	Marks  []Mark      `json:"marks"`
}

// Bounds of marks. Whoever reads a conversation reads them all.
const (
	nodeMarks  = 64   // of one node, which is written again for each mark
	maxMarks   = 4096 // of a conversation; half of them are for redactions alone
	maxRemarks = 1024 // bytes of Mark.By and Mark.Reason
)

// redactedText stands for what was redacted.
const redactedText = "[redacted]"

// marks is what the marks of a head amount to.
type marks struct {
	list  []Mark // oldest first
	nodes []durable.Ref
	tail  markNode // the last node
	now   map[int]markState
}

type markState struct {
	entry
	redacted, pinned bool
}

func loadMarks(load Loader, h Head) (*marks, error) {
	m := &marks{now: map[int]markState{}}
	var nodes []markNode
	for at, left := h.Marks, maxMarks; !at.IsZero(); {
		b, err := load(at)
		if err != nil {
			return nil, fmt.Errorf("the marks of the conversation: %w", err)
		}
		var n markNode
		if err := json.Unmarshal(b, &n); err != nil {
			return nil, fmt.Errorf("the marks of the conversation: payload %s: %w", at.Hash, err)
		}
		if left -= len(n.Marks); left < 0 || len(n.Marks) == 0 {
			return nil, fmt.Errorf("the marks of the conversation: payload %s is not one of them", at.Hash)
		}
		m.nodes, nodes = append(m.nodes, at), append(nodes, n)
		at = n.Before
	}
	if len(nodes) > 0 {
		m.tail = nodes[0]
	}
	for _, n := range slices.Backward(nodes) {
		for _, x := range n.Marks {
			if x.At < 0 || x.At >= h.Length {
				return nil, fmt.Errorf("the marks of the conversation are those of another head: one is for position %d of %d", x.At, h.Length)
			}
			m.take(x)
		}
	}
	return m, nil
}

func (m *marks) take(x Mark) {
	s := m.now[x.At]
	s.entry = entry{x.Message, x.Agent}
	switch x.Kind {
	case Redacted:
		s.redacted = true
	case Pinned:
		s.pinned = true
	case Unpinned:
		s.pinned = false
	}
	m.now[x.At] = s
	m.list = append(m.list, x)
}

// ref gives what is read at a position where the list has a reference.
func (m *marks) ref(at int, listed durable.Ref) durable.Ref {
	if r := m.now[at].ref; !r.IsZero() {
		return r
	}
	return listed
}

func (m *marks) redacted(at int) bool { return m.now[at].redacted }
func (m *marks) pinned(at int) bool   { return m.now[at].pinned }

// Marks gives all marks of a conversation, oldest first: who edited, redacted and
// pinned what.
func Marks(load Loader, h Head) ([]Mark, error) {
	m, err := loadMarks(load, h)
	if err != nil {
		return nil, err
	}
	return m.list, nil
}

// mark adds marks to the conversation.
func (s *State) mark(ctx *durable.EntityContext, m *marks, add ...Mark) error {
	if n := m.tail.Count + len(add); n > maxMarks || n > maxMarks/2 && add[0].Kind != Redacted {
		return fmt.Errorf("conversation %s has %d edits, redactions and pins, and may have no more: begin a new one, or delete it", ctx.Key(), m.tail.Count)
	}
	n := m.tail
	for _, x := range add {
		if len(x.By)+len(x.Reason) > maxRemarks {
			return fmt.Errorf("by and reason have %d bytes, and may have %d", len(x.By)+len(x.Reason), maxRemarks)
		}
		if len(n.Marks) == nodeMarks {
			if err := s.store(ctx, n); err != nil {
				return err
			}
			n = markNode{Before: s.Head.Marks, Count: n.Count}
		}
		x.Time = ctx.Now()
		n.Marks, n.Count = append(slices.Clone(n.Marks), x), n.Count+1
	}
	if err := s.store(ctx, n); err != nil {
		return err
	}
	s.changed(ctx)
	return nil
}

func (s *State) store(ctx *durable.EntityContext, n markNode) error {
	b, err := json.Marshal(n)
	if err == nil {
		s.Head.Marks = ctx.Store(b)
	}
	return err
}

// Edit is what [EditMessage] takes.
type Edit struct {
	At      int            `json:"at"`
	Message models.Message `json:"message"`
	By      string         `json:"by,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Version int64          `json:"version,omitempty"` // that the conversation must have; 0: any
}

// EditMessage puts another message in the place of one and gives the new head. It must
// have the same role, and the same tool calls by id and name, or be the result of the
// same call: the conversation stays one that a model accepts. What was there stays
// readable by [Marks] and [Item.Listed]. To go on from an earlier point instead, [Fork].
var EditMessage = durable.Operation(Conversation, "edit", func(ctx *durable.EntityContext, s *State, in Edit) (Head, error) {
	m, list, err := s.forMarks(ctx, in.Version, in.At)
	if err != nil {
		return Head{}, err
	}
	it, err := m.item(ctx.Load, in.At, list[0])
	if err != nil {
		return Head{}, err
	}
	if it.Redacted {
		return Head{}, fmt.Errorf("message %d was redacted: it cannot be edited", in.At)
	}
	if err := sameShape(it.Message, in.Message); err != nil {
		return Head{}, fmt.Errorf("message %d: %w", in.At, err)
	}
	b, err := Encode(in.Message)
	if err != nil {
		return Head{}, err
	}
	err = s.mark(ctx, m, Mark{At: in.At, Kind: Edited, Message: ctx.Store(b), Agent: it.Agent, By: in.By, Reason: in.Reason})
	return s.Head, err
})

// forMarks checks what every change to a message needs, and gives the marks and the list
// from the lowest of the positions on.
func (s *State) forMarks(ctx *durable.EntityContext, version int64, at ...int) (*marks, []entry, error) {
	if err := s.at(ctx, version); err != nil {
		return nil, nil, err
	}
	if len(at) == 0 {
		return nil, nil, errors.New("no position was given")
	}
	for _, x := range at {
		if x < 0 || x >= s.Head.Length {
			return nil, nil, fmt.Errorf("conversation %s has %d messages: there is none at position %d", ctx.Key(), s.Head.Length, x)
		}
	}
	m, err := loadMarks(ctx.Load, s.Head)
	if err != nil {
		return nil, nil, err
	}
	list, err := entries(ctx.Load, s.Head, slices.Min(at))
	return m, list, err
}

// sameShape says what keeps a message from standing in the place of another one.
func sameShape(old, new models.Message) error {
	if old.Role != new.Role {
		return fmt.Errorf("its role is %q and cannot become %q", old.Role, new.Role)
	}
	if old.ToolCallID != new.ToolCallID || old.Name != new.Name {
		return errors.New("the result of a tool call must stay that of the same call")
	}
	if !slices.EqualFunc(old.ToolCalls, new.ToolCalls, func(a, b models.ToolCall) bool { return a.ID == b.ID && a.Name == b.Name }) {
		return errors.New("its tool calls must stay the same by id and name, since they have results")
	}
	return nil
}

// Redaction is what [Redact] takes.
type Redaction struct {
	At      []int  `json:"at"`
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Version int64  `json:"version,omitempty"` // that the conversation must have; 0: any
}

// RedactionResult is what [Redact] gives.
type RedactionResult struct {
	Head Head `json:"head"`
	// Also are positions that hold the very same text as one that was redacted, and were
	// not redacted with it: it stays there, and with it in the store.
	Also []int `json:"also,omitempty"`
}

// Redact takes the content of messages away, that of their edits too. "[redacted]" is
// read in their places, with the role and the ids of tool calls as they were, so that
// the conversation is still one that a model accepts. The list keeps the hashes: see
// [Verify].
//
// The conversation gives up its references, and the payloads go from the store with the
// last ones. Forks have references of their own, and runs keep what they wrote, were
// given or told in their histories until they are purged ([durable.Client.Purge]). Heads
// from before the redaction cannot be read there once the payload is gone.
var Redact = durable.Operation(Conversation, "redact", func(ctx *durable.EntityContext, s *State, in Redaction) (RedactionResult, error) {
	in.At = slices.Compact(slices.Sorted(slices.Values(in.At)))
	m, _, err := s.forMarks(ctx, in.Version, in.At...)
	if err != nil {
		return RedactionResult{}, err
	}
	list, err := entries(ctx.Load, s.Head, 0)
	if err != nil {
		return RedactionResult{}, err
	}
	var add []Mark
	gone := map[durable.Ref]bool{}
	for _, at := range in.At {
		if m.redacted(at) {
			continue
		}
		it, err := m.item(ctx.Load, at, list[at])
		if err != nil {
			return RedactionResult{}, err
		}
		b, err := Encode(standIn(it.Message))
		if err != nil {
			return RedactionResult{}, err
		}
		add = append(add, Mark{At: at, Kind: Redacted, Message: ctx.Store(b), Agent: it.Agent, By: in.By, Reason: in.Reason})
		gone[it.Listed] = true
		for _, x := range m.list {
			if x.At == at && x.Kind == Edited {
				gone[x.Message] = true
			}
		}
	}
	if len(add) == 0 {
		return RedactionResult{Head: s.Head}, nil
	}
	if err := s.mark(ctx, m, add...); err != nil {
		return RedactionResult{}, err
	}
	after, err := loadMarks(ctx.Load, s.Head)
	if err != nil {
		return RedactionResult{}, err
	}
	res := RedactionResult{Head: s.Head, Also: after.holders(list, gone)}
	for r := range gone {
		ctx.Release(r)
	}
	return res, nil
})

// holders gives the positions that are not redacted and hold one of some payloads, and
// takes these out of the set.
func (m *marks) holders(list []entry, of map[durable.Ref]bool) (at []int) {
	held := map[durable.Ref]bool{}
	hold := func(pos int, r durable.Ref) {
		switch {
		case of[r] && !m.redacted(pos):
			held[r] = true
			at = append(at, pos)
		case of[r] && m.ref(pos, r) == r: // it stands for another one
			held[r] = true
		}
	}
	for i, e := range list {
		hold(i, e.ref)
	}
	for _, x := range m.list {
		if x.Kind == Edited || x.Kind == Redacted {
			hold(x.At, x.Message)
		}
	}
	for r := range held {
		delete(of, r)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// standIn is what is read in the place of a message that was redacted.
func standIn(m models.Message) models.Message {
	out := models.Message{Role: m.Role, Content: redactedText, ToolCallID: m.ToolCallID, Name: m.Name}
	for _, c := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, models.ToolCall{ID: c.ID, Name: c.Name, Arguments: "{}"})
	}
	return out
}

// Pin is what [PinMessages] takes.
type Pin struct {
	At      []int  `json:"at"`
	Off     bool   `json:"off,omitempty"` // unpin
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Version int64  `json:"version,omitempty"` // that the conversation must have; 0: any
}

// PinMessages makes every [View] tell these messages, whatever else it leaves out, and
// gives the new head. A tool call is pinned with its results, and a result with its call.
var PinMessages = durable.Operation(Conversation, "pin", func(ctx *durable.EntityContext, s *State, in Pin) (Head, error) {
	m, _, err := s.forMarks(ctx, in.Version, in.At...)
	if err != nil {
		return Head{}, err
	}
	list, err := entries(ctx.Load, s.Head, 0)
	if err != nil {
		return Head{}, err
	}
	whole := map[int]bool{}
	for _, at := range in.At {
		if err := m.unit(ctx.Load, list, at, func(at int) { whole[at] = true }); err != nil {
			return Head{}, err
		}
	}
	kind := Pinned
	if in.Off {
		kind = Unpinned
	}
	var add []Mark
	for _, at := range slices.Sorted(maps.Keys(whole)) {
		if m.pinned(at) == in.Off {
			add = append(add, Mark{At: at, Kind: kind, Message: m.ref(at, list[at].ref), Agent: list[at].agent, By: in.By, Reason: in.Reason})
		}
	}
	if len(add) > 0 {
		err = s.mark(ctx, m, add...)
	}
	return s.Head, err
})

// unit visits the positions of a message and of what cannot be told without it: a call's
// results, and the call of a result.
func (m *marks) unit(load Loader, list []entry, at int, visit func(int)) error {
	it, err := m.item(load, at, list[at])
	for ; err == nil && it.Message.Role == models.RoleTool && at > 0; at-- {
		it, err = m.item(load, at-1, list[at-1])
	}
	visit(at)
	for at++; err == nil && at < len(list); at++ {
		if it, err = m.item(load, at, list[at]); it.Message.Role != models.RoleTool {
			break
		}
		visit(at)
	}
	return err
}
