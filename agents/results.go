package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// readTool is the tool by which a model reads on in a result of which it was shown the
// beginning. It is offered once there is such a result, unless the agent has a tool of
// that name.
const readTool = "read_result"

var readResult = models.ToolSpec{
	Name:        readTool,
	Description: "Reads on in a result that was too long to be shown whole.",
	Schema: json.RawMessage(`{"type":"object","properties":{` +
		`"id":{"type":"string","description":"The id that the end of the result names."},` +
		`"offset":{"type":"integer","minimum":0,"description":"Where to begin, in bytes."}},` +
		`"required":["id","offset"],"additionalProperties":false}`),
}

// maxResults bounds the results that a run remembers for its model.
const maxResults = 32

// resultID is by which name a model knows a result: short, and the same in each replay.
func resultID(r durable.Ref) string { return r.Hash.String()[:12] }

// keepResults remembers what was cut, the newest last.
func (r *run) keepResults(out []called) {
	for _, c := range out {
		if c.whole.IsZero() {
			continue
		}
		list := slices.DeleteFunc(slices.Clone(r.state.Results), func(old durable.Ref) bool { return old.Hash == c.whole.Hash })
		list = append(list, c.whole)
		r.state.Results = list[max(0, len(list)-maxResults):]
	}
}

// readOn answers a call of readTool. The result is in the store, so no activity is
// needed.
func (r *run) readOn(call models.ToolCall) (called, error) {
	var in struct {
		ID     string `json:"id"`
		Offset int    `json:"offset"`
	}
	if err := json.Unmarshal([]byte(call.Arguments), &in); err != nil {
		return r.refused(call, "the arguments are an id and an offset: "+err.Error())
	}
	i := slices.IndexFunc(r.state.Results, func(ref durable.Ref) bool { return resultID(ref) == in.ID })
	if i < 0 {
		return r.refused(call, fmt.Sprintf("there is no result %q to read on in, or no longer", in.ID))
	}
	whole, err := r.ctx.Load(r.state.Results[i])
	if err != nil {
		return called{}, err
	}
	page, err := tools.PageOf(string(whole), in.Offset, 0)
	if err != nil {
		return r.refused(call, err.Error())
	}
	ref, err := r.store(models.ToolMessage(call, tools.ErrorResult(errors.New(page.String())).Content))
	return called{answer: ref}, err
}
