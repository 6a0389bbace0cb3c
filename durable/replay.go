package durable

import (
	"fmt"
	"iter"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// NonDeterminism is the failure type of an orchestration whose code, replayed,
// took another step than its history has.
const NonDeterminism = "NonDeterminismError"

// replayState is the part of an executor that compares what the body does with
// what it did.
type replayState struct {
	number   int              // events read so far
	recorded []*history.Event // actions of the turn that is being replayed
	at       []int            // their places in the history
	matched  int
	lastID   int32
	diverged *history.Difference // the first one

	// After a rewind (history.Event.Lineage) actions are missing where they were
	// taken, since their failures were taken out with them. They come later in the
	// history, or were not done again yet.
	rewound bool
	owed    []*history.Event // in the order in which the code took them
	// anyVersion: the version of the child that is about to be started is only its
	// definition's, which may have another one since.
	anyVersion bool
	patches    map[string]bool // what Patched has answered
}

// replayPast runs the body through its committed history, turn by turn.
func (x *executor) replayPast(past iter.Seq2[*history.Event, error]) error {
	x.replaying = true
	defer func() { x.replaying = false }()
	r := &x.replay
	r.lastID = history.FromOutside
	var news []*history.Event
	play := func() {
		if len(news) > 0 && x.fault == nil {
			x.playTurn(news)
		}
		news, r.recorded, r.at, r.matched = news[:0], r.recorded[:0], r.at[:0], 0
	}
	for ev, err := range past {
		if err != nil {
			return err
		}
		switch ev.Kind {
		case history.OrchestratorStarted:
			play()
		case history.ExecutionStarted:
			r.rewound = ev.Lineage != ""
		}
		if ev.ID == history.FromOutside {
			news = append(news, ev)
		} else {
			r.recorded, r.at = append(r.recorded, ev), append(r.at, r.number)
			r.lastID = max(r.lastID, ev.ID)
		}
		r.number++
	}
	play()
	return nil
}

// playTurn runs the body through one recorded turn and compares.
func (x *executor) playTurn(news []*history.Event) {
	r := &x.replay
	for _, ev := range news {
		if ev.Kind == history.ExecutionTerminated {
			return // the engine ended it and ran none of its code
		}
	}
	x.settleOwed()
	x.step(news)
	if x.fault == nil && x.finished && !(r.rewound && r.matched == len(r.recorded)) {
		x.matches(x.ending())
	}
	if x.fault == nil && r.matched < len(r.recorded) {
		x.diverge(r.recorded[r.matched], nil, r.at[r.matched])
	}
}

// matches compares an action of the body with the one that was recorded; on a
// difference it sets the fault.
func (x *executor) matches(did *history.Event) bool {
	r := &x.replay
	if r.rewound && (r.matched == len(r.recorded) || r.recorded[r.matched].ID > did.ID) {
		did.Time = x.now
		r.owed = append(r.owed, did)
		return true
	}
	if r.matched == len(r.recorded) {
		x.diverge(nil, did, r.number)
		return false
	}
	was, at := r.recorded[r.matched], r.at[r.matched]
	r.matched++
	if r.anyVersion && did.Kind == history.ChildCreated && was.Kind == history.ChildCreated {
		did.Version = was.Version
	}
	if _, _, _, same := history.Compare(was, did); !same {
		x.diverge(was, did, at)
		return false
	}
	did.Request = was.Request // the answer in the history is for this one
	did.Terms = was.Terms     // those that it was scheduled with, whatever the code says today
	return true
}

// settleOwed finds, among what was recorded of a turn, actions that the code took
// in an earlier one.
func (x *executor) settleOwed() {
	r := &x.replay
	for i := 0; i < len(r.recorded) && x.fault == nil; i++ {
		was, at := r.recorded[i], r.at[i]
		n := slices.IndexFunc(r.owed, func(did *history.Event) bool { return did.ID == was.ID })
		if n < 0 {
			continue
		}
		did := r.owed[n]
		if _, _, _, same := history.Compare(was, did); !same {
			x.diverge(was, did, at)
			return
		}
		did.Request, did.Terms = was.Request, was.Terms
		r.owed = slices.Delete(r.owed, n, n+1)
		r.recorded, r.at = slices.Delete(r.recorded, i, i+1), slices.Delete(r.at, i, i+1)
		i--
	}
}

// doAgain takes the actions that a rewind took out and that the history does not
// have since. The times that bound them begin now.
func (x *executor) doAgain() {
	for _, did := range x.replay.owed {
		if t := did.Terms; t != nil && !t.Deadline.IsZero() {
			again := *t
			again.Deadline = t.Deadline.Add(x.turn.New[0].Time.Sub(did.Time))
			did.Terms = &again
		}
		did.Trace = x.span.context(x)
		x.actions = append(x.actions, did)
	}
	x.replay.owed = nil
}

// diverge notes the first difference between the history and the code.
func (x *executor) diverge(was, did *history.Event, number int) {
	d := &history.Difference{
		Address: history.Address{Instance: x.instance.ID, Execution: x.turn.Instance.Execution, Number: number},
		Event:   was, Did: did,
	}
	if was != nil && did != nil {
		d.Field, d.Want, d.Got, _ = history.Compare(was, did)
	}
	x.replay.diverged = d
	x.fault = &history.Failure{Type: NonDeterminism, NonRetriable: true, Message: fmt.Sprint(d.Error(),
		"; the code must take the same steps as before: put the old code back and rewind the instance, or start a new one")}
}
