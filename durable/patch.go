package durable

import (
	"encoding/json"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Patched lets code change in the middle of instances that run. It reports whether
// the execution came to this place after the change was made:
//
//	if ctx.Patched("charge-in-two-steps") {
//		// new code
//	} else {
//		// what it was before
//	}
//
// It is true, and recorded, where the execution gets to for the first time; false
// where it was already, with the old code. For one id it is the same throughout the
// execution, also in a loop that goes round again. Give each change an id of its
// own, and never use one again.
//
// When every instance from before the change has ended ([ReplayOpen] tells), delete
// the old code and call [Context.DeprecatePatch] in place of the condition.
func (ctx *Context) Patched(id string) bool {
	x := ctx.x
	r := &x.replay
	if yes, asked := r.patches[id]; asked || x.unwinding {
		return yes
	}
	yes := !x.replaying || r.marked(id)
	if r.patches == nil {
		r.patches = map[string]bool{}
	}
	r.patches[id] = yes
	if yes {
		x.emit(patchMarker(id))
	}
	return yes
}

// DeprecatePatch stands where [Context.Patched] was when only the new code is left.
// It passes over what Patched has recorded there and records nothing itself. When
// every instance that was patched has ended, delete it too. A program from before
// the patch was deprecated does not understand instances that began after.
func (ctx *Context) DeprecatePatch(id string) {
	if x := ctx.x; x.replaying && !x.unwinding && x.replay.marked(id) {
		x.emit(patchMarker(id))
	}
}

// patchMarker is the event that says that new code ran from there on.
func patchMarker(id string) *history.Event {
	data, _ := json.Marshal(struct {
		Patch string `json:"patch"`
	}{id}) // a string always has a JSON form
	return &history.Event{Kind: history.GenericEvent, Data: data}
}

// marked reports whether the next action of the turn that is being replayed is the
// marker of a patch.
func (r *replayState) marked(id string) bool {
	if r.matched == len(r.recorded) {
		return false
	}
	next := r.recorded[r.matched]
	return next.Kind == history.GenericEvent && string(next.Data) == string(patchMarker(id).Data)
}
