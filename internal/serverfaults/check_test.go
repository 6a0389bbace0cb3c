//go:build linux || darwin

package serverfaults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// check reads all histories and entities, and compares them with the account.
func (r *rig) check() {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	tallies := map[string]map[int]bool{} // what the operations on an entity gave
	for i := range r.walks {
		id := walkID(i)
		h, err := r.history(ctx, id)
		if err != nil {
			r.find("%s: %v", id, err)
			continue
		}
		r.checkHistory(id, h)
		count := map[string]int{}
		for _, ev := range h {
			if raised := ev.GetEventRaised(); raised != nil {
				count[raised.GetInput().GetValue()]++
			}
			if done := ev.GetEntityOperationCompleted(); done != nil {
				if tallies[entityID(i)] == nil {
					tallies[entityID(i)] = map[int]bool{}
				}
				tallies[entityID(i)][number(done.GetOutput().GetValue())] = true
			}
		}
		for value := range events {
			if count[strconv.Itoa(value)] == 0 {
				r.find("%s: the event %d was acknowledged, and is not in the history", id, value)
			}
		}
		if h, err = r.history(ctx, childID(id)); err != nil {
			r.find("%s: %v", childID(id), err)
			continue
		}
		r.checkHistory(childID(id), h)
	}
	for i := range min(entities, r.walks) {
		r.checkEntity(ctx, i, tallies[entityID(i)])
	}
}

// checkEntity wants every operation to have counted once: the answers are 1, 2, 3 and so on, and the
// state is the last one.
func (r *rig) checkEntity(ctx context.Context, i int, answers map[int]bool) {
	want := (r.walks - i + entities - 1) / entities
	m, err := r.hub.GetEntity(ctx, &protocol.GetEntityRequest{InstanceId: entityID(i), IncludeState: true})
	if state := m.GetEntity().GetSerializedState().GetValue(); err != nil || state != strconv.Itoa(want) {
		r.find("%s has counted %q operations, and there were %d (%v)", entityID(i), state, want, err)
	}
	for n := 1; n <= want; n++ {
		if !answers[n] {
			r.find("%s: no operation has the answer %d of %d", entityID(i), n, want)
		}
	}
}

func (r *rig) history(ctx context.Context, id string) (h []*protocol.HistoryEvent, err error) {
	in, err := r.hub.StreamInstanceHistory(ctx, &protocol.StreamInstanceHistoryRequest{InstanceId: id})
	for err == nil {
		var chunk *protocol.HistoryChunk
		if chunk, err = in.Recv(); err == nil {
			h = append(h, chunk.GetEvents()...)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(h) == 0 {
		return nil, errors.New("there is no history")
	}
	return h, nil
}

// checkHistory wants numbers that go up, one answer to each question, and of each activity the
// result that a worker was told is taken.
func (r *rig) checkHistory(id string, h []*protocol.HistoryEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := int32(-1)
	begins, ends := 0, 0
	asked, answered := map[string]int{}, map[string]int{}
	for _, ev := range h {
		if ev.EventId >= 0 {
			if ev.EventId <= last {
				r.found("%s: event %d comes after %d", id, ev.EventId, last)
			}
			last = ev.EventId
		}
		switch {
		case ev.GetExecutionStarted() != nil:
			begins++
		case ev.GetExecutionCompleted() != nil:
			ends++
		case ev.GetTaskScheduled() != nil:
			asked[fmt.Sprint("activity ", ev.EventId)]++
		case ev.GetTaskCompleted() != nil:
			n := ev.GetTaskCompleted().TaskScheduledId
			answered[fmt.Sprint("activity ", n)]++
			r.checkResult(fmt.Sprintf("%s/%d", id, n), ev.GetTaskCompleted().GetResult().GetValue())
		case ev.GetTimerCreated() != nil:
			asked[fmt.Sprint("timer ", ev.EventId)]++
		case ev.GetTimerFired() != nil:
			answered[fmt.Sprint("timer ", ev.GetTimerFired().TimerId)]++
		case ev.GetSubOrchestrationInstanceCreated() != nil:
			asked[fmt.Sprint("child ", ev.EventId)]++
		case ev.GetSubOrchestrationInstanceCompleted() != nil:
			answered[fmt.Sprint("child ", ev.GetSubOrchestrationInstanceCompleted().TaskScheduledId)]++
		case ev.GetEntityOperationCalled() != nil:
			asked["operation "+ev.GetEntityOperationCalled().RequestId]++
		case ev.GetEntityOperationCompleted() != nil:
			answered["operation "+ev.GetEntityOperationCompleted().RequestId]++
		case ev.GetOrchestratorStarted() == nil && ev.GetEventRaised() == nil:
			r.found("%s: its history has %v", id, ev)
		}
	}
	if begins != 1 || ends != 1 || h[len(h)-1].GetExecutionCompleted() == nil {
		r.found("%s: it began %d times and ended %d times, at last with %v", id, begins, ends, h[len(h)-1])
	}
	for what, n := range asked {
		if n != 1 || answered[what] != 1 {
			r.found("%s: %s was scheduled %d times and answered %d times", id, what, n, answered[what])
		}
		delete(answered, what)
	}
	for what := range answered {
		r.found("%s: %s was answered and never scheduled", id, what)
	}
}

// checkResult wants the recorded result of an activity to be that of a run that there was, and of the
// one whose worker was told that it counts; mu is held.
func (r *rig) checkResult(subject, result string) {
	var o outcome
	if err := json.Unmarshal([]byte(result), &o); err != nil {
		r.found("activity %s: its result is %q: %v", subject, result, err)
		return
	}
	if r.runs[o.By] != subject {
		r.found("activity %s: its result is of %s, which no worker has begun for it", subject, o.By)
	}
	if by, ok := r.firm[subject]; ok && by != o.By {
		r.found("activity %s: its result is of %s, and the server had taken that of %s", subject, o.By, by)
	}
	r.results[subject] = o.By
}

// fates tells of the activities' answers that were cut in flight how many are recorded, and for how
// many the recorded result is that of another run.
func (a *account) fates() (again, taken int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for run := range a.cut[activity] {
		if a.results[a.runs[run]] == run {
			taken++
		} else {
			again++
		}
	}
	return again, taken
}
