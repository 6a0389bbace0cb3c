package taskhub

import (
	"context"
	"crypto/rand"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// flight is an item that was given to a worker. Its fields below mu belong to Workers.mu.
type flight struct {
	token   string
	kind    worklist.Kind
	subject subject
	id      flightID
	work    engine.Work
	release func() bool // gives the work back to the engine; false: it was over

	turn   *engine.Turn // what the work is, by its kind
	events int          // in the turn, as the worker knows it
	call   *engine.Call
	batch  *engine.EntityBatch
	ops    int // of the batch that were given to the worker

	stream *workStream // nil: it has ended
	state  flightState
	before flightState   // while it lands: the state before
	landed chan struct{} // while it lands: closed when it is no longer
	err    error         // after that: what came of it
	parts  parts
}

// flightState is where a flight is. One that has ended is in no map.
type flightState int

const (
	inHand  flightState = iota // a worker's
	lost                       // the worker's connection has ended, and the work was given back
	landing                    // the engine takes the answer
)

// flightID is how an answer without a token names its item.
type flightID struct {
	kind     worklist.Kind
	instance string
	task     int32 // of a call
}

// launch makes an item one of the worker's, unless Drain has begun, which would not wait for it.
func (w *Workers) launch(f *flight, s *workStream) bool {
	f.token = rand.Text()
	f.stream = s
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered != nil {
		return false
	}
	w.tokens[f.token] = f
	w.byID[f.id] = f
	s.flights[f] = struct{}{}
	return true
}

// begun forgets the earlier worker of what another has now: it would answer in vain.
func (w *Workers) begun(s subject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, ok := w.orphans.drop(s); ok {
		w.forget(f)
	}
}

// forget drops what is known of a flight; w.mu is held.
func (w *Workers) forget(f *flight) {
	if f.state == landing {
		return // who lands it does
	}
	delete(w.tokens, f.token)
	if _, awaited := w.awaited[f]; awaited {
		if delete(w.awaited, f); len(w.awaited) == 0 {
			close(w.answered)
		}
	}
	if w.byID[f.id] == f {
		delete(w.byID, f.id)
	}
	w.dropParts(f)
}

// end ends a flight and makes room for another; w.mu is held.
func (w *Workers) end(f *flight) {
	f.state = inHand
	w.forget(f)
	if o, _ := w.orphans.get(f.subject); o == f {
		w.orphans.drop(f.subject)
	}
	if f.stream != nil {
		delete(f.stream.flights, f)
		f.stream.sink.Done(f.kind)
	}
}

// abandonStream gives back what a worker had whose connection has ended. Its answers are still
// taken, as long as no other worker has begun. Once Drain has begun the worker keeps what it has: it
// was the server that ended the connection, and a stream that has not yet ended must not take it.
func (w *Workers) abandonStream(s *workStream) {
	w.mu.Lock()
	var back []*flight
	for f := range s.flights {
		f.stream = nil
		if f.state == inHand && w.answered == nil {
			w.orphan(f)
			back = append(back, f)
		}
	}
	clear(s.flights)
	delete(w.streams, s)
	w.mu.Unlock()
	for _, f := range back {
		w.letGo(f)
	}
}

// letGo gives back the work of a flight that is lost, without w.mu. What the engine does not want
// any more nobody begins, and no answer counts for it: then it is forgotten.
func (w *Workers) letGo(f *flight) {
	if f.release() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if o, _ := w.orphans.get(f.subject); o == f {
		w.orphans.drop(f.subject)
	}
	w.forget(f)
}

// orphan remembers a flight whose work is given back; w.mu is held.
func (w *Workers) orphan(f *flight) {
	f.state = lost
	w.dropParts(f)
	if old, ok := w.orphans.drop(f.subject); ok {
		w.forget(old)
	}
	w.orphans.put(f.subject, f, 1)
}

// kindNames are the kinds as people read them.
var kindNames = [worklist.Kinds]string{worklist.Orchestration: "orchestration", worklist.Activity: "activity", worklist.Entity: "entity"}

// errAgain lets an item come to a worker once more, which is no error of the one that answered.
var errAgain = errors.New("the item is to be given out again")

// land takes an answer: apply brings it to the engine. An answer to what is unknown, or no longer
// this worker's, is none, and no error. Of several at once the first counts, and all get its
// outcome. What is invalid gives the item back.
func (w *Workers) land(ctx context.Context, id flightID, token string, apply func(*flight) error) error {
	for {
		f, landed, err := w.approach(id, token)
		if err != nil || f == nil {
			return err
		}
		if landed == nil {
			err = errKind(f.kind, id.kind)
			if err == nil {
				err = apply(f)
			}
			return w.settle(f, err)
		}
		select {
		case <-landed:
			w.mu.Lock()
			err = f.err
			w.mu.Unlock()
			if !errors.Is(err, errPart) { // else this may be the next part
				return err
			}
		case <-ctx.Done():
			return toStatus(context.Cause(ctx))
		}
	}
}

// approach gives the flight that an answer is for; nil if there is none (any more). The caller
// lands it, unless somebody does already: then landed is closed when that is over.
func (w *Workers) approach(id flightID, token string) (f *flight, landed <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return nil, nil, toStatus(ErrEnding)
	}
	if f = w.tokens[token]; token == "" {
		f = w.byID[id]
	}
	if f == nil || f.state == landing {
		if f != nil {
			landed = f.landed
		}
		return f, landed, nil
	}
	f.state, f.before, f.landed = landing, f.state, make(chan struct{})
	return f, nil, nil
}

func errKind(item, answer worklist.Kind) error {
	if item == answer {
		return nil
	}
	return invalid("the completion token is that of %s work, the answer is to %s work", kindNames[item], kindNames[answer])
}

// settle ends a landing, and gives what the worker is told of it.
func (w *Workers) settle(f *flight, err error) error {
	release := false
	w.mu.Lock()
	switch {
	case err == nil:
		w.notes.drop(f.subject)
		w.end(f)
	case errors.Is(err, engine.ErrStale):
		err = nil
		w.end(f)
	case errors.Is(err, errAgain):
		err = nil
		release = w.comesBack(f)
	case errors.Is(err, engine.ErrInvalid), status.Code(err) == codes.ResourceExhausted:
		release = w.comesBack(f)
	default: // it was only a part, or the worker may say it again
		if w.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = ErrEnding
		}
		release = w.stays(f)
	}
	if !errors.Is(err, errPart) {
		err = toStatus(err)
	}
	f.err = err
	close(f.landed)
	w.mu.Unlock()
	if release {
		w.letGo(f)
	}
	if errors.Is(err, errPart) {
		return nil
	}
	return err
}

// comesBack ends a flight whose work is to be given out again, and tells whether the caller has to
// release it; w.mu is held.
func (w *Workers) comesBack(f *flight) (release bool) {
	w.returned(f.subject)
	w.end(f)
	return f.before == inHand
}

// stays lets a flight go on whose landing came to nothing, and tells whether the caller has to
// release it, because its worker has gone meanwhile; w.mu is held.
func (w *Workers) stays(f *flight) (release bool) {
	if f.before == inHand && f.stream == nil {
		w.orphan(f)
		return true
	}
	f.state = f.before
	if o, _ := w.orphans.get(f.subject); f.state == lost && o != f {
		w.forget(f) // another has begun
	}
	return false
}
