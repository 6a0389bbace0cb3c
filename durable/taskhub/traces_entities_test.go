package taskhub_test

import (
	"testing"
	"time"
)

// TestTraceEntities has the protocol of entities.
func TestTraceEntities(t *testing.T) {
	const (
		first   = "00000000-0000-4000-8000-000000000001"
		second  = "00000000-0000-4000-8000-000000000002"
		section = "00000000-0000-4000-8000-000000000003"
		other   = "00000000-0000-4000-8000-000000000004"
	)
	traced(t, "entity_operations", func(tr *trace) {
		tr.work("w", ``)
		tr.say("A signal makes the entity; the name of its kind has no case, its key has.")
		tr.call("SignalEntity", `instanceId:"@Count@K" name:"Add" input:{value:"1"} requestId:"`+first+`"`)
		tr.call("GetEntity", `instanceId:"@count@K" includeState:true`)
		tr.say("What comes while a batch runs is in the next one. Fewer results than operations: the rest comes first.")
		tr.call("SignalEntity", `instanceId:"@count@K" name:"add" input:{value:"2"}`)
		tr.call("StartInstance", `instanceId:"o" name:"calls"`)
		tr.turn("o", `actions:{id:1 sendEntityMessage:{entityOperationSignaled:{requestId:"`+second+`" operation:"add" targetInstanceId:{value:"@count@K"}}}}
			actions:{id:2 sendEntityMessage:{entityOperationCalled:{requestId:"`+first+`" operation:"get" input:{value:""} parentInstanceId:{value:"o"} targetInstanceId:{value:"@count@K"}}}}`)
		tr.batch("@count@K", `results:{success:{result:{value:"unasked"}}} entityState:{value:"1"}`)
		tr.batch("@count@K", `results:{success:{}} results:{failure:{failureDetails:{errorType:"E" errorMessage:"no"}}} entityState:{value:"3"}`)
		tr.batch("@count@K", `results:{success:{result:{value:"3"}}} operationInfos:{requestId:"`+first+`"} entityState:{value:"3"}`)
		tr.say("A call that fails, in a batch that deletes the state.")
		tr.turn("o", `actions:{id:3 sendEntityMessage:{entityOperationCalled:{requestId:"`+second+`" operation:"fail" targetInstanceId:{value:"@count@K"}}}}`)
		tr.batch("@count@K", `results:{failure:{failureDetails:{errorType:"E" errorMessage:"no" innerFailure:{errorType:"F"}}}}`)
		tr.call("GetEntity", `instanceId:"@count@K"`)
		tr.end("o", "4", "")
		tr.call("QueryEntities", `query:{includeTransient:true}`)
		tr.call("CleanEntityStorage", `removeEmptyEntities:true releaseOrphanedLocks:true`)
	})
	traced(t, "entity_times", func(tr *trace) {
		tr.work("w", ``)
		tr.say("A signal of later does not make the entity before.")
		tr.call("SignalEntity", `instanceId:"@count@k" name:"add" scheduledTime:@60`)
		tr.call("GetEntity", `instanceId:"@count@k"`)
		tr.wait(time.Minute)
		tr.say("What an entity causes: signals, now and later, and an orchestration; of one whose id is taken nothing.")
		tr.batch("@count@k", `results:{success:{}} entityState:{value:"1"} actions:{id:1 sendSignal:{instanceId:"@Count@b" name:"add" input:{value:"x"}}}
			actions:{id:2 sendSignal:{instanceId:"@count@b" name:"later" scheduledTime:@120}}
			actions:{id:3 startNewOrchestration:{instanceId:"new" name:"one" version:{value:"1"} input:{value:"in"}}} actions:{id:4 startNewOrchestration:{instanceId:"new" name:"two"}}
			actions:{id:5 startNewOrchestration:{name:"three" scheduledTime:@180}}`)
		tr.batch("@count@b", `results:{success:{}} entityState:{value:""}`)
		tr.wait(time.Minute)
		tr.batch("@count@b", `results:{success:{}} entityState:{value:""}`)
		tr.wait(time.Minute)
		tr.say("A batch that fails as a whole comes again, and then its operations fail.")
		tr.call("SignalEntity", `instanceId:"@count@k" name:"bad"`)
		for range 4 {
			tr.batch("@count@k", `failureDetails:{errorType:"E" errorMessage:"all"}`)
		}
		tr.call("GetEntity", `instanceId:"@count@k" includeState:true`)
	})
	traced(t, "entity_locks", func(tr *trace) {
		tr.work("w", ``)
		lock := func(section string) string {
			return `actions:{id:1 sendEntityMessage:{entityLockRequested:{criticalSectionId:"` + section + `" lockSet:"@count@a" lockSet:"@count@b" parentInstanceId:{value:"x"}}}}`
		}
		unlock := func(id, section, target string) string {
			return `actions:{id:` + id + ` sendEntityMessage:{entityUnlockSent:{criticalSectionId:"` + section + `" parentInstanceId:{value:"holder"} targetInstanceId:{value:"` + target + `"}}}}`
		}
		tr.call("StartInstance", `instanceId:"holder" name:"locks"`)
		tr.call("StartInstance", `instanceId:"next" name:"locks"`)
		tr.turn("holder", lock(section))
		tr.say("The second waits; so does the signal of a client.")
		tr.turn("next", lock(other))
		tr.call("SignalEntity", `instanceId:"@count@a" name:"add"`)
		tr.say("The holder's call is the only one that runs.")
		tr.turn("holder", `actions:{id:2 sendEntityMessage:{entityOperationCalled:{requestId:"`+first+`" operation:"get" targetInstanceId:{value:"@count@a"}}}}`)
		tr.batch("@count@a", `results:{success:{result:{value:"7"}}} entityState:{value:"7"}`)
		tr.say("One is unlocked, and then the other with a repetition.")
		tr.turn("holder", unlock("3", section, "@count@a"))
		tr.call("RaiseEvent", `instanceId:"holder" name:"e"`)
		tr.turn("holder", unlock("4", section, "@count@b")+unlock("5", section, "@count@b"))
		tr.say("The end of a holder frees what it has locked.")
		tr.end("next", "2", "")
		tr.batch("@count@a", `results:{success:{}} entityState:{value:"8"}`)
	})
}
