package history

import (
	"strconv"
	"strings"
)

// The protocol has no event for an orchestration that gives up a single activity or timer. What we
// record of it is a GenericEvent, which every SDK reads and none acts on, with this text as its data.
const cancels = "TaskCanceled "

// NewTaskCanceled makes the action by which an orchestration gives up an activity or a timer: the one
// that it started with the action of the number task.
func NewTaskCanceled(task int32) *Event {
	return &Event{Kind: GenericEvent, Data: strconv.AppendInt(Payload(cancels), int64(task), 10)}
}

// Cancels gives the number of the action that an event made by [NewTaskCanceled] gives up; false for
// every other event.
func (e *Event) Cancels() (task int32, ok bool) {
	if e.Kind != GenericEvent {
		return 0, false
	}
	number, ok := strings.CutPrefix(string(e.Data), cancels)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(number, 10, 32)
	return int32(n), err == nil && n >= 0
}
