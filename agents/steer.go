package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// steerEvent is the name of the event by which people steer a run.
const steerEvent = "agentrun.steer"

// command is what they want.
type command struct {
	Do      string          `json:"do"` // one of the words below
	Message *models.Message `json:"message,omitempty"`
	Summary bool            `json:"summary,omitempty"`
	By      string          `json:"by,omitempty"`
}

const (
	doSay    = "say"
	doPause  = "pause"
	doResume = "resume"
	doStop   = "stop"
	doRetry  = "retry"
)

// Say puts a message into a run under way. Its model is told before its next turn; a
// run whose model was about to be done goes on because of it, unless it has no turn left
// and would fail. input is as for
// [Agent.Call]. Of several, the order is that in which they arrive.
//
// Like the others that steer a run, it returns when the wish is on disk, and fails for
// a run that has ended. A run in the act of ending may ignore it.
func Say(ctx context.Context, c *durable.Client, run string, input any) error {
	in, _, err := prepare(input, nil)
	if err != nil {
		return err
	}
	m := in.message()
	return steer(ctx, c, run, command{Do: doSay, Message: &m})
}

// Pause holds a run before its next turn, until [Resume]. A turn under way is taken to
// its end, its tool calls included. The run's custom status says that it is paused.
// What is edited, redacted or pinned in its conversation meanwhile counts when it goes on.
func Pause(ctx context.Context, c *durable.Client, run string) error {
	return steer(ctx, c, run, command{Do: doPause})
}

// Resume lets a paused run go on.
func Resume(ctx context.Context, c *durable.Client, run string) error {
	return steer(ctx, c, run, command{Do: doResume})
}

// StopAfterTurn ends a run after the turn that is under way: with a last turn, without
// tools, for a summary, or with the text that it has. Its Result says [StopAsked].
// durable.Client.Cancel ends one at once.
func StopAfterTurn(ctx context.Context, c *durable.Client, run string, summary bool) error {
	return steer(ctx, c, run, command{Do: doStop, Summary: summary})
}

// RetryTurn gives up the model call that is under way, and makes it again: for one that
// hangs, or goes astray. It does nothing while no model is asked.
func RetryTurn(ctx context.Context, c *durable.Client, run string) error {
	return steer(ctx, c, run, command{Do: doRetry})
}

// ErrEnded is wrapped by what those who steer a run are told when it has ended.
var ErrEnded = errors.New("the run has ended")

func steer(ctx context.Context, c *durable.Client, run string, cmd command) error {
	s, err := c.Get(ctx, run)
	switch {
	case err != nil:
		return err
	case s.Status.Ended():
		return fmt.Errorf("%w: %s is %s", ErrEnded, run, s.Status)
	case s.Status == history.Suspended && cmd.Do == doResume:
		return fmt.Errorf("run %s is suspended, not paused: resume it as an instance", run)
	}
	return c.RaiseEvent(ctx, run, steerEvent, cmd)
}

// wishes is what a run was asked for and has not acted on yet.
type wishes struct {
	Paused bool `json:"paused,omitempty"`
	Stop   bool `json:"stop,omitempty"`
	// Summary says to ask the model for one before the end.
	Summary bool `json:"summary,omitempty"`
	retry   bool
}

// take notes a command.
func (r *run) take(cmd command) error {
	w := &r.state.Wishes
	switch cmd.Do {
	case doSay:
		if cmd.Message == nil {
			break
		}
		ref, err := r.store(*cmd.Message)
		if err != nil {
			return err
		}
		r.state.Unsaid = append(r.state.Unsaid, ref)
	case doPause:
		w.Paused = true
	case doResume:
		w.Paused = false
	case doStop:
		w.Stop, w.Summary, w.Paused = true, cmd.Summary, false
	case doRetry:
		w.retry = true
	}
	return nil
}

// boundary is called between turns: it does what the run was asked for meanwhile. It
// reports whether the model has something new to answer.
func (r *run) boundary() (said bool, err error) {
	if err := r.takeAll(); err != nil {
		return false, err
	}
	paused := r.state.Wishes.Paused
	if paused {
		r.ctx.SetCustomStatus(map[string]string{"state": "paused"})
	}
	for r.state.Wishes.Paused && r.ctx.Err() == nil {
		cmd, err := durable.WaitForEvent[command](r.ctx, steerEvent).Await()
		if err != nil {
			continue // as above, or the run is cancelled
		}
		if err := r.take(cmd); err != nil {
			return said, err
		}
	}
	if paused {
		r.ctx.SetCustomStatus(struct{}{}) // nil would leave it as it is
		if err := r.ctx.Err(); err != nil {
			return false, err
		}
	}
	r.state.Wishes.retry = false // there is no model call to make again
	if said, err = r.sayAll(); err != nil || said || !paused || r.ctx.Err() != nil {
		return said, err
	}
	// What was edited, redacted or pinned while the run was held counts from now on.
	return false, r.append()
}

// sayAll puts what people have said into the conversation, and reports whether there
// was something.
func (r *run) sayAll() (said bool, err error) {
	for len(r.state.Unsaid) > 0 {
		ref, err := r.guardSaid(r.state.Unsaid[0])
		r.state.Unsaid = r.state.Unsaid[1:]
		if err == nil {
			err = r.append(ref)
		}
		if err != nil {
			return said, err
		}
		said = true
	}
	return said, nil
}

// keepUnsaid ends a run: what people said too late for its model is in the
// conversation all the same, for whoever goes on with it, unless a guardrail keeps it
// out.
func (r *run) keepUnsaid(cause error) error {
	for {
		err := r.takeAll()
		if err != nil || len(r.state.Unsaid) == 0 || r.conversation == "" { // it failed before it had one
			return cmp.Or(cause, err)
		}
		if _, err = r.sayAll(); err != nil && !errors.Is(err, ErrBlocked) {
			cause = cmp.Or(cause, err)
		}
	}
}

// takeAll notes the commands that have come.
func (r *run) takeAll() error {
	reader := durable.Events[command](r.ctx, steerEvent)
	for {
		cmd, ok, err := reader.TryReceive()
		switch {
		case !ok:
			return nil
		case err != nil:
			continue // not a command of ours: whoever sent it was told nothing either
		}
		if err := r.take(cmd); err != nil {
			return err
		}
	}
}

// steered waits for a model call, for those who steer it, and for the check beside it,
// if there is one. It reports whether the call is to be made again. A check that does
// not pass gives it up.
func (r *run) steered(chat *durable.Task[chatAnswer], check *durable.Task[guarded]) (again bool) {
	for {
		wish := durable.WaitForEvent[command](r.ctx, steerEvent)
		waits := []durable.Awaitable{chat, wish}
		if check != nil {
			waits = append(waits, check)
		}
		durable.Any(r.ctx, waits...)
		if !wish.Done() {
			wish.Cancel()
			if chat.Done() || check == nil {
				return false
			}
			if g, err := check.Await(); err != nil || g.blocked != "" {
				chat.Cancel()
				return false
			}
			check = nil
			continue
		}
		if cmd, err := wish.Await(); err == nil {
			_ = r.take(cmd)
		}
		switch {
		case chat.Done():
			r.state.Wishes.retry = false
			return false
		case r.ctx.Err() != nil:
			return false
		case r.state.Wishes.retry:
			r.state.Wishes.retry = false
			return true
		}
	}
}
