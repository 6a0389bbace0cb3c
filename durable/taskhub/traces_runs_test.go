package taskhub_test

import (
	"testing"
	"time"
)

// TestTraceRuns has the protocol of what orchestrations do.
func TestTraceRuns(t *testing.T) {
	traced(t, "chain", func(tr *trace) {
		tr.work("w", ``)
		tr.say("An activity, a timer and a child, one after the other: 12 events.")
		tr.call("StartInstance", `instanceId:"c" name:"chain" input:{value:"\"x\""}`)
		tr.turn("c", `actions:{id:1 scheduleTask:{name:"hello" input:{value:"\"a\""}}}`)
		tr.did("hello", `result:{value:"\"b\""}`)
		tr.turn("c", `actions:{id:2 createTimer:{fireAt:@20}}`)
		tr.wait(20 * time.Second)
		tr.turn("c", `actions:{id:3 createSubOrchestration:{instanceId:"kid" name:"child" version:{value:"2.0"} input:{value:"1"}}}`)
		tr.end("kid", "1", "2")
		tr.end("c", "4", "done")
		tr.history(`instanceId:"c"`)
	})
	traced(t, "fan_out", func(tr *trace) {
		tr.work("w", ``)
		tr.say("Answers that come while a worker has the turn are in the next one, in their order. A timer of the past fires at once.")
		tr.call("StartInstance", `name:"fan" input:{}`)
		tr.turn("id#1", `actions:{id:0 scheduleTask:{name:"a" tags:{key:"k" value:"v"}}} actions:{id:1 scheduleTask:{name:"b" version:{value:"1"}}}
			actions:{id:2 scheduleTask:{name:"c"}} actions:{id:3 createTimer:{fireAt:{seconds:1}}}`)
		tr.did("c", `result:{}`)
		tr.did("a", ``)
		tr.did("b", `failureDetails:{errorType:"E" errorMessage:"no"}`)
		tr.turn("id#1", ``)
		tr.turn("id#1", `actions:{id:4 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED}}`)
	})
	traced(t, "events", func(tr *trace) {
		tr.say("Events of before the first turn are in it, in their order.")
		tr.call("StartInstance", `instanceId:"e" name:"waits"`)
		tr.call("RaiseEvent", `instanceId:"e" name:"First" input:{value:"1"}`)
		tr.call("RaiseEvent", `instanceId:"e" name:"second"`)
		tr.work("w", ``)
		tr.turn("e", ``)
		tr.call("RaiseEvent", `instanceId:"e" name:"third" input:{value:""}`)
		tr.call("RaiseEvent", `instanceId:"e" name:"fourth" input:{value:"null"}`)
		tr.turn("e", ``)
		tr.end("e", "1", "")
		tr.say("What has ended takes no more, what is unknown is refused.")
		tr.call("RaiseEvent", `instanceId:"e" name:"late"`)
		tr.call("RaiseEvent", `instanceId:"missing" name:"late"`)
		tr.call("GetInstance", `instanceId:"missing"`)
	})
	traced(t, "continue_as_new", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"n" name:"loop" version:{value:"1"} input:{value:"0"} tags:{key:"k" value:"v"}`)
		tr.turn("n", `actions:{id:1 scheduleTask:{name:"late"}} actions:{id:2 createTimer:{fireAt:@30}} customStatus:{value:"\"s\""}`)
		tr.call("RaiseEvent", `instanceId:"n" name:"Go" input:{value:"1"}`)
		tr.call("RaiseEvent", `instanceId:"n" name:"meanwhile" input:{value:"2"}`)
		tr.say("What it carries over comes before what came meanwhile; the old execution's answers go nowhere.")
		tr.turn("n", `actions:{id:3 createSubOrchestration:{instanceId:"kid" name:"child"}}
			actions:{id:4 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_CONTINUED_AS_NEW result:{value:"1"} newVersion:{value:"2"}
			carryoverEvents:{eventId:-1 timestamp:@3 eventRaised:{name:"go" input:{value:"1"}}}}}`)
		tr.did("late", `result:{value:"too late"}`)
		tr.end("kid", "1", "")
		tr.wait(40 * time.Second)
		tr.end("n", "1", "end")
	})
	traced(t, "children", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"taken" name:"other"`)
		tr.call("StartInstance", `instanceId:"p" name:"parent"`)
		tr.say("The id of a live instance fails the child; one without an id gets one.")
		tr.turn("p", `actions:{id:1 createSubOrchestration:{instanceId:"taken" name:"child"}} actions:{id:2 createSubOrchestration:{name:"child"}}
			actions:{id:3 createSubOrchestration:{instanceId:"retried" name:"child" tags:{key:"k" value:"v"}}}`)
		tr.turn("retried", `actions:{id:1 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED failureDetails:{errorType:"E" errorMessage:"once"}}}`)
		tr.turn("p", ``)
		tr.say("A child that has ended is replaced by one of the same id.")
		tr.turn("p", `actions:{id:4 createSubOrchestration:{instanceId:"retried" name:"child"}}`)
		tr.end("retried", "1", "twice")
		tr.turn("p", ``)
		tr.say("A child that is terminated has failed.")
		tr.call("TerminateInstance", `instanceId:"id#2:0002" output:{value:"\"why\""}`)
		tr.end("p", "5", "")
	})
	traced(t, "failures", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"p" name:"parent"`)
		tr.turn("p", `actions:{id:1 createSubOrchestration:{instanceId:"kid" name:"child"}}`)
		tr.turn("kid", `actions:{id:1 scheduleTask:{name:"fails"}}`)
		const failure = `failureDetails:{errorType:"Outer" errorMessage:"o" stackTrace:{value:"at x"} isNonRetriable:true properties:{key:"n" value:{number_value:1.5}}
			properties:{key:"l" value:{list_value:{values:{string_value:"x"} values:{null_value:NULL_VALUE}}}}
			innerFailure:{errorType:"Middle" errorMessage:"m" innerFailure:{errorType:"Inner" errorMessage:"" stackTrace:{value:""}}}}`
		tr.did("fails", failure)
		tr.turn("kid", `actions:{id:2 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED `+failure+`}}`)
		tr.turn("p", `actions:{id:2 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED result:{value:"partial"} `+failure+`}}`)
		tr.say("A failure is shown also without inputs and outputs.")
		tr.call("GetInstance", `instanceId:"p"`)
		tr.call("WaitForInstanceCompletion", `instanceId:"p" getInputsAndOutputs:true`)
	})
	traced(t, "custom_status", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"s" name:"says"`)
		tr.turn("s", `customStatus:{value:"\"one\""} actions:{id:1 scheduleTask:{name:"a"}}`)
		tr.did("a", ``)
		tr.say("Absent, it stays; empty, it is empty.")
		tr.turn("s", `actions:{id:2 scheduleTask:{name:"a"}}`)
		tr.did("a", ``)
		tr.turn("s", `customStatus:{value:""} actions:{id:3 scheduleTask:{name:"a"}}`)
		tr.call("GetInstance", `instanceId:"s"`)
		tr.did("a", ``)
		tr.turn("s", `customStatus:{value:"\"last\""} actions:{id:4 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED result:{value:""}}}`)
		tr.call("QueryInstances", `query:{instanceIdPrefix:{value:"s"}}`)
	})
	traced(t, "send_event", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"from" name:"sends"`)
		tr.call("StartInstance", `instanceId:"to" name:"gets"`)
		tr.turn("to", ``)
		tr.say("An event to an instance that is not there goes nowhere.")
		tr.turn("from", `actions:{id:1 sendEvent:{instance:{instanceId:"to"} name:"Hello" data:{value:"1"}}} actions:{id:2 sendEvent:{instance:{instanceId:"nobody"} name:"Hello"}}`)
		tr.end("to", "1", "")
		tr.call("StartInstance", `instanceId:"victim" name:"gets"`)
		tr.turn("victim", `actions:{id:1 createSubOrchestration:{instanceId:"kid" name:"gets"}}`)
		tr.call("RaiseEvent", `instanceId:"from" name:"e"`)
		tr.say("An orchestration terminates another, with its children, and goes on: that is no event.")
		tr.turn("from", `actions:{id:3 terminateOrchestration:{instanceId:"victim" reason:{value:"\"why\""} recurse:true}} actions:{id:4 terminateOrchestration:{instanceId:"nobody"}}
			actions:{id:5 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED}}`)
	})
}
