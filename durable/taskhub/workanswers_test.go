package taskhub_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// items connects a worker without a connection between, for tests under a clock of their own.
func items(t *testing.T, w *taskhub.Workers, m *protocol.GetWorkItemsRequest) <-chan *protocol.WorkItem {
	ctx, cancel := context.WithCancel(context.Background())
	out := make(chan *protocol.WorkItem)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Stream(ctx, m, func(item *protocol.WorkItem) error {
			if item.GetHealthPing() != nil {
				return nil
			}
			select {
			case out <- item:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return out
}

// TestAbandon gives work that comes back again and again out again: at once, then after a delay
// that doubles up to 30 s, and after an answer at once again.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkers(t, taskhub.WorkersOptions{})
		got := items(t, w, &protocol.GetWorkItemsRequest{})
		turn := offerTurn(w, "a", nil, started("a", ""))
		turn.again = func(*engine.Turn) bool { return len(turn.done) < 2 }
		other := offerCall(w, "b", 1)
		delays := []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
			1600 * time.Millisecond, 3200 * time.Millisecond, 6400 * time.Millisecond, 12800 * time.Millisecond, 25600 * time.Millisecond, 30 * time.Second, 30 * time.Second}
		var item *protocol.WorkItem
		for range 2 {
			if x := <-got; x.GetOrchestratorRequest() != nil {
				item = x
			}
		}
		for i, want := range delays {
			begin := time.Now()
			// Each way back counts: that of a bad answer as that of none (the third one would fail
			// the orchestration).
			if i != 1 && i != 4 {
				if err := w.Abandon(t.Context(), item.CompletionToken); err != nil {
					t.Fatal(err)
				}
			} else {
				err := w.CompleteTurn(t.Context(), &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken, Actions: []*protocol.OrchestratorAction{{}}})
				wantCode(t, "a bad answer", err, codes.InvalidArgument)
			}
			item = <-got
			if d := time.Since(begin); d != want {
				t.Errorf("return %d: it came again after %v, want %v", i, d, want)
			}
		}
		if err := w.CompleteTurn(t.Context(), &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken}); err != nil {
			t.Fatal(err)
		}
		item = <-got
		begin := time.Now()
		if err := w.Abandon(t.Context(), item.CompletionToken); err != nil {
			t.Fatal(err)
		}
		if <-got; time.Since(begin) != 0 {
			t.Errorf("after an answer the delay is %v", time.Since(begin))
		}
		if len(other.answers()) != 0 {
			t.Error("the other work was answered")
		}
	})
}

// TestParts has answers that come in several messages.
func TestParts(t *testing.T) {
	part := func(index int32, actions ...*protocol.OrchestratorAction) *protocol.OrchestratorResponse {
		return partOf(index, true, actions...)
	}
	last := func(index int32, actions ...*protocol.OrchestratorAction) *protocol.OrchestratorResponse {
		return partOf(index, false, actions...)
	}
	unnumbered := part(0)
	//lint:ignore SA1019 two SDKs send answers in parts
	unnumbered.ChunkIndex = nil
	for _, c := range []struct {
		name string
		sent []*protocol.OrchestratorResponse
		code codes.Code // of the last
		want string
	}{
		{"in order", []*protocol.OrchestratorResponse{part(0, schedule(1, "a")), part(1, schedule(2, "b")), last(2, schedule(3, "c"))}, codes.OK,
			"TaskScheduled 1 a;TaskScheduled 2 b;TaskScheduled 3 c;"},
		{"repeated", []*protocol.OrchestratorResponse{part(0, schedule(1, "a")), part(0, schedule(1, "a")), part(1), part(0, schedule(1, "a")), last(2)}, codes.OK, "TaskScheduled 1 a;"},
		{"alone", []*protocol.OrchestratorResponse{last(0, schedule(1, "a"))}, codes.OK, "TaskScheduled 1 a;"},
		{"a gap", []*protocol.OrchestratorResponse{part(0), part(2)}, codes.InvalidArgument, ""},
		{"negative", []*protocol.OrchestratorResponse{part(-1)}, codes.InvalidArgument, ""},
		{"not from the first", []*protocol.OrchestratorResponse{last(1)}, codes.InvalidArgument, ""},
		{"the last one twice with another index", []*protocol.OrchestratorResponse{part(0), part(1), last(1)}, codes.InvalidArgument, ""},
		{"without an index", []*protocol.OrchestratorResponse{unnumbered}, codes.InvalidArgument, ""},
		{"the same action in two", []*protocol.OrchestratorResponse{part(0, schedule(1, "a")), last(1, schedule(1, "a"))}, codes.InvalidArgument, ""},
		{"too much", []*protocol.OrchestratorResponse{part(0, schedule(1, strings.Repeat("x", 600))), part(1, schedule(2, strings.Repeat("x", 600)))}, codes.InvalidArgument, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorkers(t, taskhub.WorkersOptions{MaxResponse: 1000})
			got := items(t, w, &protocol.GetWorkItemsRequest{})
			turn := offerTurn(w, "a", nil, started("a", ""))
			item := <-got
			for i, m := range c.sent {
				m.CompletionToken = item.CompletionToken
				want := codes.OK
				if i == len(c.sent)-1 {
					want = c.code
				}
				wantCode(t, "part "+string(rune('0'+i)), w.CompleteTurn(t.Context(), m), want)
			}
			done := turn.answers()
			if (len(done) > 0) != (c.code == codes.OK) || len(done) > 0 && kindsOf(done[0].Actions) != c.want {
				t.Errorf("it was answered with %+v, want %s", done, c.want)
			}
			if c.code != codes.OK {
				if again := <-got; again.CompletionToken == item.CompletionToken {
					t.Error("the item came with the same token again")
				}
			}
			if _, _, _, partial := w.Remembered(); partial != 0 {
				t.Errorf("%d bytes of answers are left", partial)
			}
		})
	}
}

// TestPartsTogether bounds what all incomplete answers have together, and forgets those of a worker
// that goes.
func TestPartsTogether(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{MaxResponse: 1000})
	sdk := connectWorker(t, broken{}, w)
	one := work(t, sdk, &protocol.GetWorkItemsRequest{})
	var err error
	for i := range 6 {
		offerTurn(w, string(rune('a'+i)), nil, started("a", ""))
		m := partOf(0, true, schedule(1, strings.Repeat("x", 800)))
		m.CompletionToken = one.next().CompletionToken
		if _, err = sdk.CompleteOrchestratorTask(t.Context(), m); err != nil {
			break
		}
	}
	wantCode(t, "too many incomplete answers", err, codes.ResourceExhausted)
	one.lose(w, 0)
	if _, _, _, partial := w.Remembered(); partial != 0 {
		t.Errorf("%d bytes of answers are left", partial)
	}
}

func entity(m *protocol.SendEntityMessageAction) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: 1, OrchestratorActionType: &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: m}}
}

func signal(target string) *protocol.OrchestratorAction {
	return entity(&protocol.SendEntityMessageAction{EntityMessageType: &protocol.SendEntityMessageAction_EntityOperationSignaled{
		EntityOperationSignaled: &protocol.EntityOperationSignaledEvent{Operation: "op", TargetInstanceId: wrapperspb.String(target)}}})
}

func lock(section string, set ...string) *protocol.OrchestratorAction {
	return entity(&protocol.SendEntityMessageAction{EntityMessageType: &protocol.SendEntityMessageAction_EntityLockRequested{
		EntityLockRequested: &protocol.EntityLockRequestedEvent{CriticalSectionId: section, LockSet: set}}})
}

// TestBadTurns refuses answers that no SDK sends, tells why, and gives the item out again.
func TestBadTurns(t *testing.T) {
	timer := func(at *timestamppb.Timestamp) *protocol.OrchestratorAction {
		return &protocol.OrchestratorAction{Id: 1, OrchestratorActionType: &protocol.OrchestratorAction_CreateTimer{CreateTimer: &protocol.CreateTimerAction{FireAt: at}}}
	}
	as := func(s protocol.OrchestrationStatus, carry ...*protocol.HistoryEvent) *protocol.OrchestratorAction {
		return complete(1, &protocol.CompleteOrchestrationAction{OrchestrationStatus: s, CarryoverEvents: carry})
	}
	for text, actions := range map[string][]*protocol.OrchestratorAction{
		"no kind that is known":      {{Id: 1}},
		"message to an entity":       {entity(&protocol.SendEntityMessageAction{})},
		"negative":                   {schedule(-1, "a")},
		"several actions have the":   {schedule(1, "a"), schedule(1, "b")},
		"several actions complete":   {as(1), complete(2, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 1})},
		"an activity has no name":    {schedule(1, "")},
		"a sub-orchestration has no": {{OrchestratorActionType: &protocol.OrchestratorAction_CreateSubOrchestration{}}},
		"a timer has no time":        {timer(nil)},
		"the time of a timer":        {timer(&timestamppb.Timestamp{Seconds: 1 << 60})},
		"sent to no instance":        {{OrchestratorActionType: &protocol.OrchestratorAction_SendEvent{}}},
		"no instance is named":       {{OrchestratorActionType: &protocol.OrchestratorAction_TerminateOrchestration{}}},
		"cannot rewind":              {{OrchestratorActionType: &protocol.OrchestratorAction_RewindOrchestration{}}},
		"is not an entity id":        {signal("counter")},
		"looks like @name@key":       {lock("x", "@a@b", "@c")},
		"length":                     {signal("@a@" + strings.Repeat("x", 100))},
		"a lock is requested of no":  {lock("x")},
		"has no id":                  {lock("", "@a@b")},
		"cannot end as running":      {as(0)},
		"cannot end as status(99)":   {as(99)},
		"only raised events":         {as(2, &protocol.HistoryEvent{EventType: &protocol.HistoryEvent_TimerFired{}})},
		"it has no kind":             {as(2, &protocol.HistoryEvent{})},
		"carried over event 0":       {as(2, nil)},
	} {
		t.Run(text, func(t *testing.T) {
			w := newWorkers(t, taskhub.WorkersOptions{})
			got := items(t, w, &protocol.GetWorkItemsRequest{})
			turn := offerTurn(w, "a", nil, started("a", ""))
			err := w.CompleteTurn(t.Context(), &protocol.OrchestratorResponse{CompletionToken: (<-got).CompletionToken, Actions: actions})
			if wantCode(t, "the answer", err, codes.InvalidArgument); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("it says %v", err)
			}
			again := <-got
			if len(turn.answers()) > 0 {
				t.Error("it was taken")
			}
			for last := false; ; last = true { // until it is clear that no worker knows better
				err := w.CompleteTurn(t.Context(), &protocol.OrchestratorResponse{CompletionToken: again.CompletionToken, Actions: actions})
				if last {
					wantCode(t, "the last answer", err, codes.OK)
					break
				}
				wantCode(t, "the second answer", err, codes.InvalidArgument)
				again = <-got
			}
			answers := turn.answers()
			if len(answers) != 1 || len(answers[0].Actions) != 1 || answers[0].Actions[0].Failure == nil || !strings.Contains(answers[0].Actions[0].Failure.Message, text) {
				t.Errorf("the orchestration ends with %+v", answers)
			}
		})
	}
	w := newWorkers(t, taskhub.WorkersOptions{})
	got := items(t, w, &protocol.GetWorkItemsRequest{})
	offerTurn(w, "a", nil, started("a", ""))
	m := &protocol.OrchestratorResponse{CompletionToken: (<-got).CompletionToken, NumEventsProcessed: wrapperspb.Int32(1)}
	wantCode(t, "an answer to one event of two", w.CompleteTurn(t.Context(), m), codes.InvalidArgument)
	m = &protocol.OrchestratorResponse{CompletionToken: (<-got).CompletionToken, NumEventsProcessed: wrapperspb.Int32(2)}
	wantCode(t, "an answer to two events of two", w.CompleteTurn(t.Context(), m), codes.OK)
}

// TestCompletions reads each way in which an orchestration ends, and every action.
func TestCompletions(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	got := items(t, w, &protocol.GetWorkItemsRequest{})
	answer := func(m *protocol.OrchestratorResponse) *engine.Turn {
		t.Helper()
		turn := offerTurn(w, "a", nil, started("a", ""))
		m.CompletionToken = (<-got).CompletionToken
		if err := w.CompleteTurn(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return turn.answers()[0]
	}
	end := func(a *protocol.CompleteOrchestrationAction) *engine.Turn {
		t.Helper()
		return answer(&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{complete(3, a)}})
	}
	turn := end(&protocol.CompleteOrchestrationAction{OrchestrationStatus: 3, FailureDetails: &protocol.TaskFailureDetails{ErrorType: "A", InnerFailure: &protocol.TaskFailureDetails{ErrorType: "B"}}})
	if f := turn.Actions[0].Failure; f.Type != "A" || f.Cause.Type != "B" {
		t.Errorf("the failure is %+v", f)
	}
	turn = end(&protocol.CompleteOrchestrationAction{OrchestrationStatus: 3, Details: wrapperspb.String("why")})
	if f := turn.Actions[0].Failure; f == nil || f.Message != "why" {
		t.Errorf("the failure is %+v", f)
	}
	turn = end(&protocol.CompleteOrchestrationAction{OrchestrationStatus: 5, Result: wrapperspb.String("")})
	if ev := turn.Actions[0]; ev.Status != history.Terminated || ev.Data == nil || turn.CustomStatus != nil {
		t.Errorf("the end is %+v", ev)
	}
	turn = end(&protocol.CompleteOrchestrationAction{OrchestrationStatus: 2, Result: wrapperspb.String("next"), NewVersion: wrapperspb.String("2"),
		CarryoverEvents: []*protocol.HistoryEvent{{EventId: 7, EventType: &protocol.HistoryEvent_EventRaised{EventRaised: &protocol.EventRaisedEvent{Name: "e", Input: wrapperspb.String("d")}}}}})
	if c := turn.Carryover; turn.NewVersion != "2" || len(c) != 1 || c[0].ID != -1 || c[0].Name != "e" || !c[0].Time.Equal(clock) || string(c[0].Data) != "d" {
		t.Errorf("it continues with %+v, %+v", turn, c)
	}
	at := timestamppb.New(clock)
	turn = answer(&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{
		schedule(0, "act"),
		{Id: 1, OrchestratorActionType: &protocol.OrchestratorAction_CreateSubOrchestration{CreateSubOrchestration: &protocol.CreateSubOrchestrationAction{Name: "child", InstanceId: "c", Version: wrapperspb.String("1")}}},
		{Id: 2, OrchestratorActionType: &protocol.OrchestratorAction_CreateTimer{CreateTimer: &protocol.CreateTimerAction{FireAt: at}}},
		{Id: 3, OrchestratorActionType: &protocol.OrchestratorAction_SendEvent{SendEvent: &protocol.SendEventAction{Instance: &protocol.OrchestrationInstance{InstanceId: "t"}, Name: "e"}}},
		{Id: 4, OrchestratorActionType: &protocol.OrchestratorAction_TerminateOrchestration{TerminateOrchestration: &protocol.TerminateOrchestrationAction{InstanceId: "x", Recurse: true, Reason: wrapperspb.String("r")}}},
		{Id: 5, OrchestratorActionType: signal("@Name@Key").OrchestratorActionType},
		{Id: 6, OrchestratorActionType: &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: &protocol.SendEntityMessageAction{EntityMessageType: &protocol.SendEntityMessageAction_EntityOperationCalled{
			EntityOperationCalled: &protocol.EntityOperationCalledEvent{RequestId: "r", Operation: "op", TargetInstanceId: wrapperspb.String("@n@k")}}}}},
		{Id: 7, OrchestratorActionType: lock("s", "@B@k", "@a@k").OrchestratorActionType},
		{Id: 8, OrchestratorActionType: &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: &protocol.SendEntityMessageAction{EntityMessageType: &protocol.SendEntityMessageAction_EntityUnlockSent{
			EntityUnlockSent: &protocol.EntityUnlockSentEvent{CriticalSectionId: "s", TargetInstanceId: wrapperspb.String("@a@k")}}}}},
	}})
	const want = "TaskScheduled 0 act;SubOrchestrationInstanceCreated 1 child;TimerCreated 2 ;EventSent 3 e;ExecutionTerminated 4 ;" +
		"EntityOperationSignaled 5 op;EntityOperationCalled 6 op;EntityLockRequested 7 ;EntityUnlockSent 8 ;"
	if got := kindsOf(turn.Actions); got != want {
		t.Errorf("the actions are\n%s, want\n%s", got, want)
	}
	a := turn.Actions
	if a[1].Target != "c" || a[1].Version != "1" || !a[2].FireAt.Equal(clock) || a[3].Target != "t" || a[4].Target != "x" || !a[4].Recurse || string(a[4].Data) != "r" ||
		a[5].Target != "@name@Key" || a[6].Request != "r" || strings.Join(a[7].LockSet, " ") != "@b@k @a@k" || a[8].Target != "@a@k" {
		t.Errorf("the actions are %+v", a)
	}
}
