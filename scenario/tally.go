package scenario

import (
	"encoding/json"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// tally counts what one execution did. One that was rewound is repeated by the next
// one, and does not count.
type tally struct {
	turns, calls, unpriced, compactions, summaries int

	usage   models.Usage
	cost    models.Money
	tools   map[string]int
	models  map[string]int
	rewound bool
}

// Answers of models and of compactions, as far as a report needs them.
type answered struct {
	Usage    models.Usage  `json:"usage"`
	Cost     *models.Money `json:"cost"`
	Unpriced bool          `json:"unpriced"` // of a turn
	Unknown  bool          `json:"unknown"`  // the cost of a summary is
	Model    string        `json:"model"`
	Answered string        `json:"answered"`
	More     bool          `json:"more"` // a compaction has had a summary
	Calls    []struct{}    `json:"calls"`
}

// scheduled counts a call of a tool.
func (t *tally) scheduled(ev *history.Event) {
	if tool, ok := strings.CutPrefix(ev.Name, "tool:"); ok {
		_, name, _ := strings.Cut(tool, "/")
		var in struct{ Tool string }
		if strings.HasPrefix(name, "*") && json.Unmarshal(ev.Data, &in) == nil {
			name = in.Tool // of a toolset, whose activity is one for all
		}
		add(&t.tools, name)
	}
}

// completed counts what an activity came to.
func (t *tally) completed(was, ev *history.Event) {
	chat, compact := strings.HasPrefix(was.Name, "chat:"), strings.HasPrefix(was.Name, "compact:")
	var a answered
	if !chat && !compact || json.Unmarshal(ev.Data, &a) != nil {
		return
	}
	t.usage = t.usage.Add(a.Usage)
	if a.Cost != nil {
		t.cost += *a.Cost
	}
	if a.Unpriced || a.Unknown {
		t.unpriced++
	}
	switch {
	case compact && a.More:
		t.summaries++
	case compact:
		t.compactions++
	default:
		t.turns++
		t.calls += len(a.Calls)
		if name := a.Answered; name != "" {
			add(&t.models, name)
		} else if a.Model != "" {
			add(&t.models, a.Model)
		}
	}
}

func add(m *map[string]int, name string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[name]++
}

// count adds what an execution did.
func (r *Report) count(t *tally) {
	if t.rewound {
		return
	}
	r.Turns += t.turns
	r.ToolCalls += t.calls
	r.Usage = r.Usage.Add(t.usage)
	r.Cost += t.cost
	r.Unpriced += t.unpriced
	r.Compactions += t.compactions
	r.Summaries += t.summaries
	for name, n := range t.tools {
		r.Tools[name] += n
	}
	for name, n := range t.models {
		if r.Models == nil {
			r.Models = map[string]int{}
		}
		r.Models[name] += n
	}
}
