//go:build linux || darwin

package serverfaults

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// What workers run. A walk calls activities one after the other, waits for a timer, for a child and
// for two events, and calls an entity. A step's number is that of its action.
const (
	walkName, stepName, workName = "walk", "step", "work"

	activities = 5 // the first steps
	timerStep  = activities + 1
	childStep  = activities + 2
	entityStep = activities + 3
	lastStep   = activities + 4

	eventName = "go"
	events    = 2 // its values are 0 and 1
	entities  = 8 // that the walks share
)

// walkResult is what every walk comes to: each activity gives the number of its step, that of the
// child gives 1, and each event 100.
const walkResult = activities*(activities+1)/2 + 1 + 100*events

// outcome is the result of an activity: its value, and which execution of it this is.
type outcome struct {
	N  int    `json:"n"`
	By string `json:"by"`
}

func walkID(i int) string { return fmt.Sprintf("walk-%d", i) }

func childID(walk string) string { return walk + "-step" }

func entityID(i int) string { return fmt.Sprintf("@tally@%d", i%entities) }

// past is what a history says of a walk, or of a step.
type past struct {
	id, execution string
	name, input   string
	begun         map[int32]bool   // actions by their numbers
	values        map[int32]string // their answers
	raised        map[string]bool  // events by their values
	ended         bool
}

func read(instance, execution string, history []*protocol.HistoryEvent) *past {
	p := &past{id: instance, execution: execution, begun: map[int32]bool{}, values: map[int32]string{}, raised: map[string]bool{}}
	for _, ev := range history {
		if ev.EventId >= 0 {
			p.begun[ev.EventId] = true
		}
		switch {
		case ev.GetExecutionStarted() != nil:
			p.name, p.input = ev.GetExecutionStarted().Name, ev.GetExecutionStarted().GetInput().GetValue()
		case ev.GetTaskCompleted() != nil:
			p.values[ev.GetTaskCompleted().TaskScheduledId] = ev.GetTaskCompleted().GetResult().GetValue()
		case ev.GetTimerFired() != nil:
			p.values[ev.GetTimerFired().TimerId] = "0"
		case ev.GetSubOrchestrationInstanceCompleted() != nil:
			p.values[ev.GetSubOrchestrationInstanceCompleted().TaskScheduledId] = ev.GetSubOrchestrationInstanceCompleted().GetResult().GetValue()
		case ev.GetEntityOperationCompleted() != nil:
			p.values[entityStep] = "0"
		case ev.GetEventRaised() != nil:
			p.raised[ev.GetEventRaised().GetInput().GetValue()] = true
		case ev.GetExecutionCompleted() != nil:
			p.ended = true
		}
	}
	return p
}

// next is what a turn does: the first step that is not begun, if all before it have their answers.
func (p *past) next() []*protocol.OrchestratorAction {
	steps := int32(lastStep)
	if p.name == stepName {
		steps = 2
	}
	sum := 0
	for step := int32(1); step < steps; step++ {
		if p.name == walkName && step == entityStep {
			if len(p.raised) < events {
				return nil
			}
			sum += 100 * events
		}
		if !p.begun[step] {
			return []*protocol.OrchestratorAction{p.action(step)}
		}
		value, ok := p.values[step]
		if !ok {
			return nil
		}
		sum += number(value)
	}
	if p.ended {
		return nil
	}
	return []*protocol.OrchestratorAction{{Id: steps, OrchestratorActionType: &protocol.OrchestratorAction_CompleteOrchestration{
		CompleteOrchestration: &protocol.CompleteOrchestrationAction{
			OrchestrationStatus: protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED, Result: wrapperspb.String(strconv.Itoa(sum))},
	}}}
}

// number is the value of an answer: that of an activity has one inside.
func number(value string) int {
	var o outcome
	if json.Unmarshal([]byte(value), &o) == nil {
		return o.N
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return -1000 // which no result has
	}
	return n
}

func (p *past) action(step int32) *protocol.OrchestratorAction {
	a := &protocol.OrchestratorAction{Id: step}
	switch {
	case p.name == stepName || step <= activities:
		a.OrchestratorActionType = &protocol.OrchestratorAction_ScheduleTask{
			ScheduleTask: &protocol.ScheduleTaskAction{Name: workName, Input: wrapperspb.String(strconv.Itoa(int(step)))}}
	case step == timerStep:
		a.OrchestratorActionType = &protocol.OrchestratorAction_CreateTimer{
			CreateTimer: &protocol.CreateTimerAction{FireAt: timestamppb.New(time.Now().Add(20 * time.Millisecond))}}
	case step == childStep:
		a.OrchestratorActionType = &protocol.OrchestratorAction_CreateSubOrchestration{
			CreateSubOrchestration: &protocol.CreateSubOrchestrationAction{Name: stepName, InstanceId: childID(p.id), Input: wrapperspb.String("0")}}
	case step == entityStep:
		i := number(p.input)
		a.OrchestratorActionType = &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: &protocol.SendEntityMessageAction{
			EntityMessageType: &protocol.SendEntityMessageAction_EntityOperationCalled{EntityOperationCalled: &protocol.EntityOperationCalledEvent{
				RequestId: requestID(p.execution), Operation: "add", Input: wrapperspb.String("1"), TargetInstanceId: wrapperspb.String(entityID(i)),
				ParentInstanceId: wrapperspb.String(p.id), ParentExecutionId: wrapperspb.String(p.execution)}}}}
	}
	return a
}

// requestID makes the UUID of an execution's only operation from its id of 32 digits.
func requestID(execution string) string {
	if len(execution) != 32 {
		return execution
	}
	return execution[:8] + "-" + execution[8:12] + "-" + execution[12:16] + "-" + execution[16:20] + "-" + execution[20:]
}

// tally runs operations on an entity that counts them.
func tally(m *protocol.EntityRequest) *protocol.EntityBatchResult {
	n := 0
	if s := m.GetEntityState(); s != nil {
		n = number(s.GetValue())
	}
	r := &protocol.EntityBatchResult{}
	for _, ev := range m.GetOperationRequests() {
		n++
		call := ev.GetEntityOperationCalled()
		r.Results = append(r.Results, &protocol.OperationResult{ResultType: &protocol.OperationResult_Success{
			Success: &protocol.OperationResultSuccess{Result: wrapperspb.String(strconv.Itoa(n))}}})
		r.OperationInfos = append(r.OperationInfos, &protocol.OperationInfo{RequestId: call.GetRequestId(), ResponseDestination: &protocol.OrchestrationInstance{
			InstanceId: call.GetParentInstanceId().GetValue(), ExecutionId: call.GetParentExecutionId()}})
	}
	r.EntityState = wrapperspb.String(strconv.Itoa(n))
	return r
}
