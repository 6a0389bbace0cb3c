package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/tools"
)

// EffectState says what is known of an effect.
type EffectState string

// What may be known of an effect.
const (
	EffectDone    EffectState = "done"    // the call has returned
	EffectFailed  EffectState = "failed"  // the call has returned an error
	EffectRunning EffectState = "running" // the call is under way; one that may be repeated, perhaps not at this moment
	EffectUnknown EffectState = "unknown" // it was cut off, or never begun: whether it took effect is not recorded
)

// Effect is what a run has done outside of it, or may have: a call of a tool that is
// unsafe, compensable or idempotent, or of another at-most-once activity.
type Effect struct {
	// Instance is the part of the run that made the call.
	Instance string `json:"instance"`
	// Agent and Tool are "" if it is not a tool's.
	Agent string `json:"agent,omitempty"`
	Tool  string `json:"tool,omitempty"`
	// Undo says that the call took back one of Tool, see [Config].UndoOnFailure.
	Undo bool `json:"undo,omitempty"`
	// Activity is what was called, by its name in the history.
	Activity string `json:"activity"`
	// Effect is what a second call would do: a pure one is not listed.
	Effect tools.Effect `json:"effect"`
	// Key is the idempotency key that the function was given, by which the effect can be
	// looked for. It is "" if what it is made of is gone from the store.
	Key   string      `json:"key,omitempty"`
	State EffectState `json:"state"`
	// Scheduled is when the run asked for the call.
	Scheduled time.Time `json:"scheduled"`
	// Intent and Receipt are when the record of the call began, which was before the
	// function was called, and when it was completed. A call that may be repeated has no
	// record.
	Intent  time.Time `json:"intent,omitzero"`
	Receipt time.Time `json:"receipt,omitzero"`
}

// Effects lists the effects of a run, its children and theirs, in the order in which
// they were asked for. A repeated call of an idempotent tool is listed once, and every
// attempt of another one by itself.
func Effects(ctx context.Context, c *durable.Client, run string) ([]Effect, error) {
	w := &effectWalk{ctx: ctx, client: c, seen: map[string]bool{run: true}, queue: []string{run}}
	for n := 0; n < len(w.queue); n++ {
		err := w.instance(w.queue[n])
		if n > 0 && durable.IsNotFound(err) {
			continue // a child that is about to begin, or was purged
		}
		if err != nil {
			return nil, fmt.Errorf("effects of %s: %w", w.queue[n], err)
		}
	}
	slices.SortStableFunc(w.list, func(a, b Effect) int { return a.Scheduled.Compare(b.Scheduled) })
	return w.list, nil
}

// effectWalk collects the effects of a run's tree.
type effectWalk struct {
	ctx    context.Context
	client *durable.Client
	seen   map[string]bool
	queue  []string
	list   []Effect

	// Of the instance that is looked at:
	id       string
	classes  map[string]tools.Effect // of the tools in the manifests, by the names of their activities
	repeated map[string]int          // where a call that may be repeated is in list, by its key
}

// effectCall is a call as the history has it, without results, which may be large.
type effectCall struct {
	scheduled *history.Event // without input, unless it is a tool's
	answered  bool
	failed    bool // answered with a failure, or by a tool with an error for the model
}

func (w *effectWalk) instance(id string) error {
	known, err := w.client.Effects(w.ctx, id)
	if err != nil {
		return err
	}
	s, err := w.client.Get(w.ctx, id)
	if err != nil {
		return err
	}
	w.id, w.classes, w.repeated = id, map[string]tools.Effect{}, map[string]int{}
	records := map[string][]durable.EffectRecord{}
	for _, r := range known.Records {
		records[r.Execution] = append(records[r.Execution], r)
	}
	for _, keys := range known.Keys {
		calls, order, err := w.calls(keys.Execution, records[keys.Execution])
		if err != nil {
			return err
		}
		for _, r := range records[keys.Execution] {
			if err := w.recorded(r, calls[r.Task]); err != nil {
				return err
			}
		}
		for _, task := range order {
			if w.classes[calls[task].scheduled.Name] == tools.EffectIdempotent {
				open := !s.Status.Ended() && keys.Execution == s.Execution
				if err := w.repeatable(keys, calls[task], open); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// calls reads the calls of an execution's tools, and of what else has records, by number
// and in order. On the way it takes note of children and manifests.
func (w *effectWalk) calls(execution string, records []durable.EffectRecord) (map[int32]*effectCall, []int32, error) {
	calls, manifests := map[int32]*effectCall{}, map[int32]string{}
	for _, r := range records {
		calls[r.Task] = nil
	}
	var order []int32
	for ev, err := range w.client.History(w.ctx, w.id, execution) {
		if err != nil {
			return nil, nil, err
		}
		switch ev.Kind {
		case history.ChildCreated:
			if !w.seen[ev.Target] {
				w.seen[ev.Target] = true
				w.queue = append(w.queue, ev.Target)
			}
		case history.TaskScheduled:
			if agent, ok := strings.CutPrefix(ev.Name, "manifest:"); ok {
				manifests[ev.ID] = agent
			}
			_, _, isTool := toolOfActivity(ev.Name)
			if _, recorded := calls[ev.ID]; recorded || isTool {
				kept := *ev
				if !isTool {
					kept.Data = nil
				}
				calls[ev.ID] = &effectCall{scheduled: &kept}
				order = append(order, ev.ID)
			}
		case history.TaskCompleted, history.TaskFailed:
			if call := calls[ev.Answers]; call != nil {
				call.answered, call.failed = true, ev.Kind == history.TaskFailed || call.refused(ev.Data)
			}
			if agent, ok := manifests[ev.Answers]; ok && ev.Kind == history.TaskCompleted {
				if err := w.manifest(agent, ev.Data); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return calls, order, nil
}

// manifest takes note of what repeating an agent's tools would do.
func (w *effectWalk) manifest(agent string, result history.Payload) error {
	var ref durable.Ref
	if json.Unmarshal(result, &ref) != nil {
		return nil // an activity of somebody else's with such a name
	}
	m, err := loadManifest(w.load, ref)
	if durable.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, t := range m.Tools {
		w.classes[toolPrefix+agent+"/"+t.Name] = t.Effect
	}
	// These have many tools, which their inputs name.
	for _, e := range []tools.Effect{tools.EffectPure, tools.EffectIdempotent} {
		w.classes[toolPrefix+agent+"/*"+e.String()] = e
		w.classes[undoPrefix+agent+"/"+e.String()] = e
	}
	return nil
}

func (w *effectWalk) load(r durable.Ref) ([]byte, error) { return w.client.Load(w.ctx, r) }

// recorded lists an attempt that has a record; call is nil if its history is gone.
func (w *effectWalk) recorded(r durable.EffectRecord, call *effectCall) error {
	e := Effect{Instance: w.id, Activity: r.Activity, Effect: w.classes[r.Activity], Scheduled: r.Intent, Intent: r.Intent, Receipt: r.Receipt}
	switch {
	case r.Running:
		e.State = EffectRunning
	case r.Receipt.IsZero():
		e.State = EffectUnknown
	case r.Failed || call != nil && call.failed:
		e.State = EffectFailed
	default:
		e.State = EffectDone
	}
	if call != nil {
		e.Scheduled = call.scheduled.Time
	}
	return w.add(e, r.Key, call)
}

// repeatable lists a call that has no record, or what its repetition has come to. open says
// that an answer may still come.
func (w *effectWalk) repeatable(keys durable.EffectKeys, call *effectCall, open bool) error {
	key := keys.Of(call.scheduled)
	state := EffectDone
	switch {
	case !call.answered && open:
		state = EffectRunning
	case !call.answered:
		state = EffectUnknown
	case call.failed:
		state = EffectFailed
	}
	if i, again := w.repeated[key]; again {
		w.list[i].State = state
		return nil
	}
	w.repeated[key] = len(w.list)
	return w.add(Effect{Instance: w.id, Activity: call.scheduled.Name, Effect: tools.EffectIdempotent, State: state, Scheduled: call.scheduled.Time}, key, call)
}

// add lists an effect with what is known of its tool. key is that of the call, which
// a tool's is made from.
func (w *effectWalk) add(e Effect, key string, call *effectCall) error {
	e.Key = key
	if agent, tool, ok := toolOfActivity(e.Activity); ok {
		e.Agent, e.Tool, e.Key, e.Undo = agent, tool, "", strings.HasPrefix(e.Activity, undoPrefix)
		if call != nil {
			if e.Tool = call.tool(tool); e.Tool != tool && !e.Undo {
				e.Effect = w.classes[toolPrefix+agent+"/"+e.Tool]
			}
			arguments, found, err := w.arguments(call.scheduled.Data)
			if err != nil {
				return err
			}
			if found {
				e.Key = toolKey(key, arguments)
			}
		}
	}
	w.list = append(w.list, e)
	return nil
}

// arguments finds those that a tool was called with, unless they are gone, or the activity
// is somebody else's with such a name.
func (w *effectWalk) arguments(input history.Payload) (arguments string, found bool, err error) {
	var in toolInput
	if json.Unmarshal(input, &in) != nil {
		return "", false, nil
	}
	if in.Arguments != nil {
		return *in.Arguments, true, nil
	}
	b, err := w.load(in.Message)
	if durable.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	msg, err := memory.Message(func(durable.Ref) ([]byte, error) { return b, nil }, in.Message)
	if err != nil || in.Index < 0 || in.Index >= len(msg.ToolCalls) {
		return "", false, nil
	}
	return msg.ToolCalls[in.Index].Arguments, true, nil
}

// refused reports whether a result is a tool's error, which the model was told.
func (c *effectCall) refused(result history.Payload) bool {
	var out toolAnswer
	_, _, isTool := toolOfActivity(c.scheduled.Name)
	return isTool && json.Unmarshal(result, &out) == nil && out.IsError
}

// tool is the name of the call's tool: that of the activity, unless the input has another.
func (c *effectCall) tool(name string) string {
	var in toolInput
	if json.Unmarshal(c.scheduled.Data, &in) != nil {
		return name
	}
	return cmp.Or(in.Tool, name)
}

// toolOfActivity finds the agent and the tool in the name of an activity, which calls the
// tool or takes a call of it back. No agent has a slash in its own.
func toolOfActivity(activity string) (agent, tool string, ok bool) {
	for _, prefix := range []string{toolPrefix, undoPrefix} {
		if rest, is := strings.CutPrefix(activity, prefix); is {
			return strings.Cut(rest, "/")
		}
	}
	return "", "", false
}
