package history_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
)

func TestTaskCanceled(t *testing.T) {
	ev := history.NewTaskCanceled(42)
	back, err := history.DecodeEvent(history.AppendEvent(nil, ev))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := back.Cancels(); !ok || id != 42 {
		t.Errorf("got %d, %v", id, ok)
	}
	for _, other := range []*history.Event{
		{Kind: history.TaskScheduled, Data: ev.Data},
		{Kind: history.GenericEvent},
		{Kind: history.GenericEvent, Data: history.Payload("TaskCanceled")},
		{Kind: history.GenericEvent, Data: history.Payload("TaskCanceled x")},
		{Kind: history.GenericEvent, Data: history.Payload("TaskCanceled -1")},
		{Kind: history.GenericEvent, Data: history.Payload("TaskCanceled 4294967296")},
	} {
		if id, ok := other.Cancels(); ok {
			t.Errorf("%s %s cancels %d", other.Kind, other.Data, id)
		}
	}
}
