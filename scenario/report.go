package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// Running is the status of a run that goes on, or could.
const Running = "running"

// Report is a run as it stands.
type Report struct {
	ID        string          `json:"id"`
	Status    string          `json:"status"`
	Output    json.RawMessage `json:"output"` // null until it completed
	Error     string          `json:"error,omitempty"`
	Turns     int             `json:"turns"`
	ToolCalls int             `json:"toolCalls"`
	Usage     models.Usage    `json:"usage"`
	// Cost is what that cost by the program's prices, and Unpriced counts the answers that
	// they do not have.
	Cost     models.Money `json:"cost,omitzero"`
	Unpriced int          `json:"unpriced,omitempty"`
	// Compactions counts how often a conversation was made to fit, and Summaries the
	// summaries that models wrote for that.
	Compactions int `json:"compactions,omitempty"`
	Summaries   int `json:"summaries,omitempty"`
	// Models are those that answered, as their providers or a chain of models name them,
	// with their turns.
	Models map[string]int `json:"models,omitempty"`
	// Stop says why the run of an agent ended before its model was done.
	Stop agents.StopReason `json:"stop,omitempty"`

	// Tools counts the calls of each tool; Waiting are the requests that nobody has
	// decided; Approvals counts those that somebody has.
	Tools     map[string]int    `json:"-"`
	Waiting   []agents.Approval `json:"-"`
	Approvals int               `json:"-"`

	busy      bool     // something runs, or is due by itself
	instances []string // of the tree
}

// Text is the run's output for people: text as it is, with a text field's where
// the output is an object that has one, and anything else as indented JSON.
func (r *Report) Text() string {
	if s, ok := r.text(); ok {
		return s
	}
	b, err := json.MarshalIndent(r.Output, "", "  ")
	if err != nil {
		return string(r.Output)
	}
	return string(b)
}

// text is the output if it is a text, or has one.
func (r *Report) text() (string, bool) {
	if string(r.Output) == "null" {
		return "", true
	}
	var s string
	if json.Unmarshal(r.Output, &s) == nil {
		return s, true
	}
	var o struct {
		Text string `json:"text"`
	}
	err := json.Unmarshal(r.Output, &o)
	return o.Text, err == nil && o.Text != ""
}

// Inspect reads the histories of a run and of all that it started, and sums up
// what is in them.
func Inspect(ctx context.Context, c *durable.Client, id string) (*Report, error) {
	root, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &Report{ID: id, Tools: map[string]int{}, Output: json.RawMessage("null")}
	requests, err := agents.Inbox(ctx, c, id, false)
	if err != nil {
		return nil, err
	}
	k := known{seen: map[string]bool{}, deadlines: map[int64]bool{}, news: map[string][]string{}}
	for _, a := range requests {
		k.deadlines[a.Deadline.UnixNano()] = true // also of one that is settled: its timer may be left
		switch a.Status {
		case agents.Waiting:
			r.Waiting = append(r.Waiting, a)
		case agents.Approved, agents.Rejected:
			r.Approvals++
			k.news[a.Instance] = append(k.news[a.Instance], "approval:"+a.ID)
		}
	}
	if err := r.walk(ctx, c, root, k); err != nil {
		return nil, err
	}
	switch root.Status {
	case history.Completed:
		r.Status = Completed
		if r.Output, r.Stop, err = output(root); err != nil {
			return nil, err
		}
	case history.Failed:
		r.Status = Failed
		r.Error = failureText(root.Err())
	case history.Terminated, history.Canceled:
		r.Status = Cancelled
		r.Error = failureText(root.Err())
	default:
		r.Status = Running
		if len(r.Waiting) > 0 {
			r.Status = Waiting
		}
	}
	return r, nil
}

// failureText is the text of a failure without what only repeats that it is one.
func failureText(err error) string {
	var t *durable.TaskFailedError
	if errors.As(err, &t) {
		return t.Message
	}
	return err.Error()
}

// known is what a walk through a tree knows beforehand, and what it has seen.
type known struct {
	seen      map[string]bool
	deadlines map[int64]bool      // of requests: their timers are no work
	news      map[string][]string // events that an instance is sent once a request is decided
}

func (r *Report) walk(ctx context.Context, c *durable.Client, s *durable.State, k known) error {
	if k.seen[s.ID] {
		return nil
	}
	k.seen[s.ID] = true
	r.instances = append(r.instances, s.ID)
	executions, err := c.Executions(ctx, s.ID)
	if err != nil {
		return err
	}
	raised := map[string]bool{}
	for i, x := range executions {
		w := walker{Report: r, raised: raised, tasks: map[int32]*history.Event{}, timers: map[int32]int64{}, entities: map[string]bool{}, children: map[int32]string{}}
		for ev, err := range c.History(ctx, s.ID, x) {
			if err != nil {
				return err
			}
			w.take(ev)
		}
		r.count(&w.tally)
		current := i == len(executions)-1 && !s.Status.Ended()
		if current {
			w.open(s, k)
		}
		for _, id := range slices.Sorted(maps.Keys(w.all)) {
			child, err := c.Get(ctx, id)
			if durable.IsNotFound(err) {
				r.busy = true // on its way
				continue
			}
			if err != nil {
				return err
			}
			if current && child.Status.Ended() && slices.Contains(slices.Collect(maps.Values(w.children)), id) {
				r.busy = true // its result is on its way
			}
			if err := r.walk(ctx, c, child, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// walker reads one execution.
type walker struct {
	*Report
	tally
	raised   map[string]bool // names of the events that arrived, in all executions
	tasks    map[int32]*history.Event
	timers   map[int32]int64
	entities map[string]bool  // operations without an answer, by request
	children map[int32]string // that have not answered
	all      map[string]bool  // children
}

func (w *walker) take(ev *history.Event) {
	switch ev.Kind {
	case history.TaskScheduled:
		w.tasks[ev.ID] = ev
		w.scheduled(ev)
	case history.TaskCompleted, history.TaskFailed:
		was := w.tasks[ev.Answers]
		delete(w.tasks, ev.Answers)
		if was != nil && ev.Kind == history.TaskCompleted {
			w.completed(was, ev)
		}
	case history.ExecutionRewound:
		w.rewound = true
	case history.TimerCreated:
		w.timers[ev.ID] = ev.FireAt.UnixNano()
	case history.TimerFired:
		delete(w.timers, ev.Answers)
	case history.EntityOperationCalled, history.EntityLockRequested:
		w.entities[ev.Request] = true
	case history.EntityOperationCompleted, history.EntityOperationFailed, history.EntityLockGranted:
		delete(w.entities, ev.Request)
	case history.EventRaised:
		w.raised[ev.Name] = true
	case history.ChildCreated:
		w.children[ev.ID] = ev.Target
		if w.all == nil {
			w.all = map[string]bool{}
		}
		w.all[ev.Target] = true
	case history.ChildCompleted, history.ChildFailed:
		delete(w.children, ev.Answers)
	}
}

// open notes what an execution that has not ended still does, or is about to do,
// by itself.
func (w *walker) open(s *durable.State, k known) {
	if s.Status == history.Pending || len(w.tasks) > 0 || len(w.entities) > 0 {
		w.busy = true
	}
	for _, at := range w.timers {
		if !k.deadlines[at] {
			w.busy = true
		}
	}
	for _, name := range k.news[s.ID] {
		if !w.raised[name] {
			w.busy = true
		}
	}
}

// Result is what a scenario's expectations are about.
func (r *Report) Result() Result {
	output, ok := r.text()
	if !ok {
		output = string(r.Output)
	}
	return Result{Status: r.Status, Output: output, Tools: r.Tools, Turns: r.Turns, Approvals: r.Approvals}
}

// Summary is the run in one line.
func (r *Report) Summary() string { return r.ID + ": " + r.Status + ", " + r.Did() }

// Did is what the run did and took, in one line.
func (r *Report) Did() string {
	text := count(int64(r.Turns), "turn") + ", " + count(int64(r.ToolCalls), "tool call") + ", " + count(r.Usage.InputTokens+r.Usage.OutputTokens, "token")
	if r.Cost != 0 {
		text += ", " + r.Cost.String()
	}
	if r.Unpriced > 0 {
		text += ", " + count(int64(r.Unpriced), "answer") + " of unknown cost"
	}
	return text
}

func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
