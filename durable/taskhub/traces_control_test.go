package taskhub_test

import (
	"testing"
	"time"
)

// TestTraceControl has the protocol of what clients do to instances.
func TestTraceControl(t *testing.T) {
	traced(t, "terminate", func(tr *trace) {
		tr.say("Before the first turn, with nobody there to run it.")
		tr.call("StartInstance", `instanceId:"early" name:"one"`)
		tr.call("TerminateInstance", `instanceId:"early" output:{value:"\"early\""}`)
		tr.work("w", ``)
		tr.say("Between turns: without recursion children go on, and what they answer goes nowhere.")
		tr.call("StartInstance", `instanceId:"p" name:"parent"`)
		tr.turn("p", `actions:{id:1 createSubOrchestration:{instanceId:"kid" name:"child"}} actions:{id:2 scheduleTask:{name:"act"}} actions:{id:3 createTimer:{fireAt:@60}}`)
		tr.call("TerminateInstance", `instanceId:"p"`)
		tr.did("act", `result:{value:"late"}`)
		tr.end("kid", "1", "")
		tr.say("While a worker has the turn: its answer comes too late.")
		tr.call("StartInstance", `instanceId:"busy" name:"one"`)
		tr.call("TerminateInstance", `instanceId:"busy" output:{value:""}`)
		tr.turn("busy", `actions:{id:1 scheduleTask:{name:"never"}}`)
		tr.say("What has ended stays as it is.")
		tr.call("TerminateInstance", `instanceId:"busy" output:{value:"again"}`)
		tr.call("TerminateInstance", `instanceId:"missing"`)
		tr.call("SkipGracefulOrchestrationTerminations", `instanceBatch:{instanceIds:"busy" instanceIds:"missing" instanceIds:"@one@two"}`)
	})
	traced(t, "terminate_recursive", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"p" name:"parent"`)
		tr.turn("p", `actions:{id:1 createSubOrchestration:{instanceId:"kid" name:"child"}} actions:{id:2 createSubOrchestration:{instanceId:"done" name:"child"}}`)
		tr.turn("kid", `actions:{id:1 createSubOrchestration:{instanceId:"grandkid" name:"child"}}`)
		tr.end("done", "1", "")
		tr.turn("p", ``)
		tr.call("TerminateInstance", `instanceId:"p" output:{value:"\"all\""} recursive:true`)
		tr.say("The worker that still has the youngest answers in vain.")
		tr.end("grandkid", "1", "")
	})
	traced(t, "suspend_resume", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"s" name:"one"`)
		tr.turn("s", `actions:{id:1 scheduleTask:{name:"act"}}`)
		tr.call("SuspendInstance", `instanceId:"s" reason:{value:"why"}`)
		tr.turn("s", ``)
		tr.say("What comes still goes to the worker, which keeps it to itself.")
		tr.did("act", `result:{value:"1"}`)
		tr.turn("s", ``)
		tr.call("RaiseEvent", `instanceId:"s" name:"e"`)
		tr.call("ResumeInstance", `instanceId:"s" reason:{value:"go"}`)
		tr.turn("s", ``)
		tr.turn("s", ``)
		tr.say("Suspended while it is terminated.")
		tr.call("SuspendInstance", `instanceId:"s"`)
		tr.turn("s", ``)
		tr.call("TerminateInstance", `instanceId:"s"`)
		tr.call("SuspendInstance", `instanceId:"s"`)
		tr.call("ResumeInstance", `instanceId:"s"`)
		tr.call("SuspendInstance", `instanceId:"missing"`)
		tr.call("ResumeInstance", `instanceId:"missing"`)
	})
	traced(t, "restart", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"r" name:"one" version:{value:"2"} input:{value:"in"} tags:{key:"k" value:"v"}`)
		tr.say("In place only after its end; with a new id at any time.")
		tr.call("RestartInstance", `instanceId:"r"`)
		tr.call("RestartInstance", `instanceId:"r" restartWithNewInstanceId:true`)
		tr.end("r", "1", "out")
		tr.call("RestartInstance", `instanceId:"r"`)
		tr.end("r", "1", "again")
		tr.call("RestartInstance", `instanceId:"missing"`)
	})
	traced(t, "rewind", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"p" name:"parent" input:{value:"in"}`)
		tr.turn("p", `actions:{id:1 scheduleTask:{name:"fine"}} actions:{id:2 createSubOrchestration:{instanceId:"kid" name:"child"}}`)
		tr.did("fine", `result:{value:"1"}`)
		tr.turn("kid", `actions:{id:1 scheduleTask:{name:"broken"}}`)
		tr.turn("p", ``)
		tr.call("RewindInstance", `instanceId:"p"`)
		tr.did("broken", `failureDetails:{errorType:"E" errorMessage:"no"}`)
		tr.turn("kid", `actions:{id:2 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED failureDetails:{errorType:"E" errorMessage:"kid"}}}`)
		tr.turn("p", `actions:{id:3 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED failureDetails:{errorType:"E" errorMessage:"p"}}}`)
		tr.say("The history without what failed; the child likewise, with its parent's new execution.")
		tr.call("RewindInstance", `instanceId:"p" reason:{value:"repaired"}`)
		tr.turn("kid", `actions:{id:1 scheduleTask:{name:"broken"}}`)
		tr.turn("p", ``)
		tr.did("broken", `result:{value:"2"}`)
		tr.end("kid", "2", "2")
		tr.end("p", "3", "done")
		tr.call("RewindInstance", `instanceId:"p"`)
		tr.call("RewindInstance", `instanceId:"missing"`)
	})
	traced(t, "purge", func(tr *trace) {
		tr.work("w", ``)
		for _, id := range []string{"a", "b", "p"} {
			tr.call("StartInstance", `instanceId:"`+id+`" name:"one"`)
		}
		tr.call("PurgeInstances", `instanceId:"a"`)
		tr.end("a", "1", "")
		tr.turn("b", `actions:{id:1 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_FAILED failureDetails:{errorType:"E"}}}`)
		tr.turn("p", `actions:{id:1 createSubOrchestration:{instanceId:"kid" name:"child"}}`)
		tr.turn("kid", `actions:{id:1 createSubOrchestration:{instanceId:"grandkid" name:"child"}}`)
		tr.end("grandkid", "1", "")
		tr.end("kid", "2", "")
		tr.end("p", "2", "")
		tr.call("ListInstanceIds", `pageSize:2`)
		tr.call("PurgeInstances", `purgeInstanceFilter:{runtimeStatus:ORCHESTRATION_STATUS_FAILED}`)
		tr.call("PurgeInstances", `instanceBatch:{instanceIds:"a" instanceIds:"b" instanceIds:"missing"}`)
		tr.call("PurgeInstances", `instanceId:"p" recursive:true isOrchestration:true`)
		tr.say("An entity.")
		tr.call("SignalEntity", `instanceId:"@count@k" name:"add"`)
		tr.batch("@count@k", `results:{success:{}} entityState:{value:"1"}`)
		tr.call("PurgeInstances", `instanceId:"@count@k"`)
	})
}

// TestTraceWork has the protocol of how workers get work and answer.
func TestTraceWork(t *testing.T) {
	traced(t, "abandon", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"a" name:"one"`)
		tr.say("Given back, it comes again at once, then after a delay, built anew.")
		tr.call("AbandonTaskOrchestratorWorkItem", `completionToken:"token#1"`)
		tr.call("RaiseEvent", `instanceId:"a" name:"e"`)
		tr.call("AbandonTaskOrchestratorWorkItem", `completionToken:"token#2"`)
		tr.call("AbandonTaskOrchestratorWorkItem", `completionToken:"token#2"`)
		tr.say("Tokens that are of no item any more, or of none at all, are ignored; one of another kind is refused.")
		tr.call("CompleteOrchestratorTask", `instanceId:"a" completionToken:"token#1" actions:{id:1 scheduleTask:{name:"stale"}}`)
		tr.call("CompleteOrchestratorTask", `instanceId:"a" completionToken:"nonsense" actions:{id:1 scheduleTask:{name:"stale"}}`)
		tr.call("CompleteActivityTask", `instanceId:"a" completionToken:"token#3"`)
		tr.wait(time.Minute)
	})
	traced(t, "numbers", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"n" name:"one"`)
		tr.call("StartInstance", `instanceId:"m" name:"one"`)
		tr.say("Numbers that cannot be: the turn is given out again, until it is clear that the answer stays as it is.")
		for range 3 {
			tr.turn("m", `actions:{id:-1 scheduleTask:{name:"act"}}`)
		}
		for _, ids := range [][]string{{"7", "7"}, {"2147483647"}} {
			actions := ""
			for _, id := range ids {
				actions += "actions:{id:" + id + ` scheduleTask:{name:"act"}}`
			}
			tr.turn("n", actions)
		}
		tr.say("An end without a number comes after all others; the largest number that an action can have leaves it one.")
		tr.turn("n", `actions:{id:-1 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED}} actions:{id:2147483646 sendEvent:{instance:{instanceId:"nobody"} name:"e"}}`)
	})
	traced(t, "lost_worker", func(tr *trace) {
		tr.work("v", ``)
		tr.call("StartInstance", `instanceId:"a" name:"one"`)
		tr.turn("a", `actions:{id:1 scheduleTask:{name:"act"}}`)
		tr.work("w", ``)
		tr.say("Another worker gets what the lost one had, and only its answer counts.")
		tr.lose("v")
		tr.call("CompleteActivityTask", `instanceId:"a" taskId:1 completionToken:"token#2" result:{value:"late"}`)
		tr.call("CompleteActivityTask", `instanceId:"a" taskId:1 completionToken:"token#3" result:{value:"right"}`)
		tr.call("CompleteActivityTask", `instanceId:"a" taskId:1 completionToken:"token#3" result:{value:"twice"}`)
		tr.say("Nobody has taken it yet: then the lost one's answer counts.")
		tr.lose("w")
		tr.call("CompleteOrchestratorTask", `instanceId:"a" completionToken:"token#4" actions:{id:2 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED}}`)
	})
	traced(t, "chunks", func(tr *trace) {
		tr.work("w", ``)
		tr.call("StartInstance", `instanceId:"c" name:"one"`)
		tr.say("Parts are taken together when the last is there; one that is repeated counts once.")
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#1" isPartial:true chunkIndex:{} customStatus:{value:"s"} orchestrationTraceContext:{spanID:{value:"1"}} actions:{id:1 scheduleTask:{name:"a"}}`)
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#1" isPartial:true chunkIndex:{value:1} actions:{id:2 scheduleTask:{name:"b"}}`)
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#1" isPartial:true chunkIndex:{value:1} actions:{id:2 scheduleTask:{name:"b"}}`)
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#1" chunkIndex:{value:2} actions:{id:3 scheduleTask:{name:"c"}}`)
		tr.did("a", ``)
		tr.say("Parts of a turn that is given back are forgotten.")
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#5" isPartial:true chunkIndex:{} actions:{id:4 scheduleTask:{name:"never"}}`)
		tr.call("AbandonTaskOrchestratorWorkItem", `completionToken:"token#5"`)
		tr.call("CompleteOrchestratorTask", `instanceId:"c" completionToken:"token#6" actions:{id:4 completeOrchestration:{orchestrationStatus:ORCHESTRATION_STATUS_COMPLETED}}`)
	})
	traced(t, "long_history", func(tr *trace) {
		tr.work("w", `capabilities:WORKER_CAPABILITY_HISTORY_STREAMING`)
		tr.call("StartInstance", `instanceId:"h" name:"one"`)
		in := make([]byte, 700<<10)
		for i := range in {
			in[i] = 'x'
		}
		for id := range 2 {
			tr.turn("h", `actions:{id:`+string(rune('1'+id))+` scheduleTask:{name:"act" input:{value:"`+string(in)+`"}}}`)
			tr.did("act", ``)
		}
		tr.say("The worker fetches what is not in the item.")
		tr.history(`instanceId:"h" executionId:{value:"id#1"} forWorkItemProcessing:true`)
		tr.say("One that wants it inline gets it so.")
		tr.turn("h", `requiresHistory:true`)
		tr.end("h", "3", "")
		tr.history(`instanceId:"missing"`)
		tr.history(`instanceId:"missing" forWorkItemProcessing:true`)
	})
	traced(t, "trace_context", func(tr *trace) {
		tr.work("w", ``)
		const parent = `parentTraceContext:{traceParent:"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" traceState:{value:"k=v"}}`
		tr.call("StartInstance", `instanceId:"t" name:"one" `+parent)
		tr.turn("t", `orchestrationTraceContext:{spanID:{value:"00f067aa0ba902b7"} spanStartTime:@1} actions:{id:1 scheduleTask:{name:"act" `+parent+`}}
			actions:{id:2 createSubOrchestration:{instanceId:"kid" name:"child" `+parent+`}}`)
		tr.did("act", ``)
		tr.end("t", "3", "")
	})
}
