package remote

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Names of what the worker processes run. An orchestration's input is the number of
// its steps.
const (
	chainName  = "agentrun-bench-chain"
	fanOutName = "agentrun-bench-fan-out"
	waitName   = "agentrun-bench-wait"
	stepName   = "agentrun-bench-step"
)

// filters ask for what is measured and for nothing else that the hub may have.
func filters() *protocol.WorkItemFilters {
	return &protocol.WorkItemFilters{
		Orchestrations: []*protocol.OrchestrationFilter{{Name: chainName}, {Name: fanOutName}, {Name: waitName}},
		Activities:     []*protocol.ActivityFilter{{Name: stepName}},
	}
}

const payloadSize = 1 << 10

// askPad and answerPad fill payloads with text that neither repeats nor needs to be
// escaped.
var askPad, answerPad = text(12345), text(67890)

func text(seed uint32) string {
	b := make([]byte, payloadSize)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyz      "[seed>>24&31]
	}
	return string(b)
}

// ask is the input of a step, as JSON, and answer the output to it.
func ask(id string, step int32) string    { return fill(id, step, askPad) }
func answer(id string, step int32) string { return fill(id, step, answerPad) }

func fill(id string, step int32, pad string) string {
	head := `"` + id + "/" + strconv.Itoa(int(step)) + "/"
	return head + pad[:payloadSize-len(head)-1] + `"`
}

// turn is what an orchestration's history says at one of its turns.
type turn struct {
	name                 string
	n                    int32 // steps asked for
	scheduled, completed int32
	raised               bool
	wrong                error
}

func readTurn(m *protocol.OrchestratorRequest) turn {
	var t turn
	for _, ev := range m.PastEvents {
		t.read(m.InstanceId, ev)
	}
	for _, ev := range m.NewEvents {
		t.read(m.InstanceId, ev)
	}
	if t.name == "" && t.wrong == nil {
		t.wrong = fmt.Errorf("%s has no start in its history", m.InstanceId)
	}
	return t
}

func (t *turn) read(id string, ev *protocol.HistoryEvent) {
	switch x := ev.EventType.(type) {
	case *protocol.HistoryEvent_ExecutionStarted:
		n, err := strconv.ParseInt(x.ExecutionStarted.Input.GetValue(), 10, 32)
		if err != nil {
			t.wrong = fmt.Errorf("input of %s: %w", id, err)
		}
		t.name, t.n = x.ExecutionStarted.Name, int32(n)
	case *protocol.HistoryEvent_TaskScheduled:
		t.scheduled++
	case *protocol.HistoryEvent_TaskCompleted:
		t.completed++
		if step := x.TaskCompleted.TaskScheduledId; x.TaskCompleted.Result.GetValue() != answer(id, step) {
			t.wrong = fmt.Errorf("step %d of %s has a wrong answer: %.60q", step, id, x.TaskCompleted.Result.GetValue())
		}
	case *protocol.HistoryEvent_TaskFailed:
		t.wrong = fmt.Errorf("step %d of %s failed: %s", x.TaskFailed.TaskScheduledId, id, x.TaskFailed.FailureDetails.GetErrorMessage())
	case *protocol.HistoryEvent_EventRaised:
		t.raised = true
	}
}

// next gives the turn's actions, and whether they end the orchestration. The number
// of an action that is a step is the number of the step.
func (t *turn) next(id string) (actions []*protocol.OrchestratorAction, ends bool) {
	switch {
	case t.wrong != nil:
		return []*protocol.OrchestratorAction{end(t.scheduled, &protocol.CompleteOrchestrationAction{
			OrchestrationStatus: protocol.OrchestrationStatus_ORCHESTRATION_STATUS_FAILED,
			FailureDetails:      &protocol.TaskFailureDetails{ErrorType: "benchmark", ErrorMessage: t.wrong.Error()},
		})}, true
	case t.name == waitName && !t.raised, t.name != waitName && t.completed < t.scheduled:
		return nil, false
	case t.name == waitName, t.completed == t.n:
		return []*protocol.OrchestratorAction{end(t.scheduled, &protocol.CompleteOrchestrationAction{
			OrchestrationStatus: protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED,
			Result:              wrapperspb.String(strconv.Itoa(int(t.completed))),
		})}, true
	}
	last := t.scheduled + 1
	if t.name == fanOutName {
		last = t.n
	}
	for step := t.scheduled; step < last; step++ {
		actions = append(actions, &protocol.OrchestratorAction{Id: step, OrchestratorActionType: &protocol.OrchestratorAction_ScheduleTask{
			ScheduleTask: &protocol.ScheduleTaskAction{Name: stepName, Input: wrapperspb.String(ask(id, step))},
		}})
	}
	return actions, false
}

func end(id int32, a *protocol.CompleteOrchestrationAction) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_CompleteOrchestration{CompleteOrchestration: a}}
}

// step does the activity.
func step(m *protocol.ActivityRequest) *protocol.ActivityResponse {
	id, in := m.GetOrchestrationInstance().GetInstanceId(), m.Input.GetValue()
	r := &protocol.ActivityResponse{InstanceId: id, TaskId: m.TaskId}
	if in != ask(id, m.TaskId) {
		r.FailureDetails = &protocol.TaskFailureDetails{ErrorType: "benchmark", ErrorMessage: "a wrong input: " + strings.ToValidUTF8(in[:min(len(in), 60)], "?")}
		return r
	}
	r.Result = wrapperspb.String(answer(id, m.TaskId))
	return r
}
