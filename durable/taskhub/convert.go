package taskhub

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Payloads are told apart from absent ones; texts that are "" and times that are zero are absent.

func wrapPayload(p history.Payload) *wrapperspb.StringValue {
	if p == nil {
		return nil
	}
	return wrapperspb.String(string(p))
}

func payloadOf(v *wrapperspb.StringValue) history.Payload {
	if v == nil {
		return nil
	}
	return append(history.Payload{}, v.Value...)
}

func wrapText(s string) *wrapperspb.StringValue {
	if s == "" {
		return nil
	}
	return wrapperspb.String(s)
}

func wrapTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func wrapTrace(t history.TraceContext) *protocol.TraceContext {
	if t == (history.TraceContext{}) {
		return nil
	}
	//lint:ignore SA1019 a deprecated field is kept as it came
	return &protocol.TraceContext{TraceParent: t.Parent, SpanID: t.SpanID, TraceState: wrapText(t.State)}
}

func traceOf(t *protocol.TraceContext) history.TraceContext {
	//lint:ignore SA1019 a deprecated field is kept as it came
	return history.TraceContext{Parent: t.GetTraceParent(), SpanID: t.GetSpanID(), State: t.GetTraceState().GetValue()}
}

// A failure is converted inside the event that carries it: package history knows how.

func wrapFailure(f *history.Failure) (*protocol.TaskFailureDetails, error) {
	if f == nil {
		return nil, nil
	}
	m, err := history.ToProto(&history.Event{Kind: history.ExecutionCompleted, Status: history.Failed, Failure: f})
	if err != nil {
		return nil, err
	}
	return m.GetExecutionCompleted().GetFailureDetails(), nil
}

func failureOf(f *protocol.TaskFailureDetails) (*history.Failure, error) {
	if f == nil {
		return nil, nil
	}
	e, err := history.FromProto(&protocol.HistoryEvent{EventType: &protocol.HistoryEvent_ExecutionCompleted{
		ExecutionCompleted: &protocol.ExecutionCompletedEvent{FailureDetails: f}}})
	if err != nil {
		return nil, err
	}
	return e.Failure, nil
}

func wrapState(s *engine.State) (*protocol.OrchestrationState, error) {
	failure, err := wrapFailure(s.Failure)
	if err != nil {
		return nil, err
	}
	return &protocol.OrchestrationState{
		InstanceId:           s.ID,
		Name:                 s.Name,
		Version:              wrapText(s.Version),
		OrchestrationStatus:  protocol.OrchestrationStatus(s.Status),
		CreatedTimestamp:     wrapTime(s.Created),
		LastUpdatedTimestamp: wrapTime(s.Updated),
		Input:                wrapPayload(s.Input),
		Output:               wrapPayload(s.Output),
		CustomStatus:         wrapPayload(s.CustomStatus),
		FailureDetails:       failure,
		ExecutionId:          wrapText(s.Execution),
		CompletedTimestamp:   wrapTime(s.Completed),
		ParentInstanceId:     wrapText(s.Parent),

		ScheduledStartTimestamp: wrapTime(s.StartAt),
		Tags:                    s.Tags,
	}, nil
}

func stateOf(m *protocol.OrchestrationState) (*engine.State, error) {
	failure, err := failureOf(m.GetFailureDetails())
	if err != nil {
		return nil, err
	}
	return &engine.State{
		ID:           m.GetInstanceId(),
		Name:         m.GetName(),
		Version:      m.GetVersion().GetValue(),
		Execution:    m.GetExecutionId().GetValue(),
		Parent:       m.GetParentInstanceId().GetValue(),
		Status:       history.Status(m.GetOrchestrationStatus()),
		Created:      timeOf(m.GetCreatedTimestamp()),
		Updated:      timeOf(m.GetLastUpdatedTimestamp()),
		Completed:    timeOf(m.GetCompletedTimestamp()),
		Tags:         m.GetTags(),
		CustomStatus: payloadOf(m.GetCustomStatus()),
		Input:        payloadOf(m.GetInput()),
		Output:       payloadOf(m.GetOutput()),
		Failure:      failure,
		StartAt:      timeOf(m.GetScheduledStartTimestamp()),
	}, nil
}

func wrapEntity(s *engine.EntityState) *protocol.EntityMetadata {
	return &protocol.EntityMetadata{InstanceId: s.ID, LastModifiedTime: wrapTime(s.Modified), LockedBy: wrapText(s.LockedBy),
		SerializedState: wrapPayload(s.State)}
}

func entityOf(m *protocol.EntityMetadata) *engine.EntityState {
	return &engine.EntityState{
		ID:       m.GetInstanceId(),
		Modified: timeOf(m.GetLastModifiedTime()),
		State:    payloadOf(m.GetSerializedState()),
		LockedBy: m.GetLockedBy().GetValue(),
	}
}

func wrapEntityQuery(q engine.EntityQuery, data bool) *protocol.EntityQuery {
	return &protocol.EntityQuery{
		InstanceIdStartsWith: wrapText(q.Prefix),
		LastModifiedFrom:     wrapTime(q.ModifiedFrom),
		LastModifiedTo:       wrapTime(q.ModifiedTo),
		IncludeState:         data,
		IncludeTransient:     q.Transient,
		PageSize:             wrapperspb.Int32(int32(min(max(q.Limit, 0), maxPageItems))),
		ContinuationToken:    wrapText(q.Token),
	}
}

func entityQueryOf(m *protocol.EntityQuery) (q engine.EntityQuery, data bool) {
	return engine.EntityQuery{
		Prefix:       m.GetInstanceIdStartsWith().GetValue(),
		ModifiedFrom: timeOf(m.GetLastModifiedFrom()),
		ModifiedTo:   timeOf(m.GetLastModifiedTo()),
		Transient:    m.GetIncludeTransient(),
		Limit:        int(m.GetPageSize().GetValue()),
		Token:        m.GetContinuationToken().GetValue(),
	}, m.GetIncludeState()
}

func wrapQuery(q store.Query) *protocol.QueryRequest {
	m := &protocol.QueryRequest{
		TopLevel:    q.TopLevel,
		Prefix:      q.Prefix,
		Names:       q.Names,
		CreatedFrom: wrapTime(q.CreatedFrom),
		CreatedTo:   wrapTime(q.CreatedTo),
		Tags:        q.Tags,
		Newest:      q.Newest,
		Limit:       int32(min(q.PageSize(), maxPageItems)),
		Token:       q.Token,

		Parent:        q.Parent,
		CompletedFrom: wrapTime(q.CompletedFrom),
		CompletedTo:   wrapTime(q.CompletedTo),
	}
	for _, s := range q.Statuses {
		m.Statuses = append(m.Statuses, protocol.OrchestrationStatus(s))
	}
	return m
}

func queryOf(m *protocol.QueryRequest) store.Query {
	return store.Query{
		TopLevel:    m.GetTopLevel(),
		Prefix:      m.GetPrefix(),
		Names:       m.GetNames(),
		Statuses:    statusesOf(m.GetStatuses()),
		CreatedFrom: timeOf(m.GetCreatedFrom()),
		CreatedTo:   timeOf(m.GetCreatedTo()),
		Tags:        m.GetTags(),
		Newest:      m.GetNewest(),
		Limit:       int(m.GetLimit()),
		Token:       m.GetToken(),

		Parent:        m.GetParent(),
		CompletedFrom: timeOf(m.GetCompletedFrom()),
		CompletedTo:   timeOf(m.GetCompletedTo()),
	}
}

func statusesOf(list []protocol.OrchestrationStatus) (statuses []history.Status) {
	for _, s := range list {
		statuses = append(statuses, history.Status(s))
	}
	return statuses
}
