package agents

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// ErrMaxTurns is wrapped by the failure of a run that used up its turns. Like the other
// errors of runs, it is found by errors.Is where the agents are defined, and elsewhere
// only in the text.
var ErrMaxTurns = errors.New("the agent used up its turns")

// MaxTurnsAction is what happens to a run that has used up its turns.
type MaxTurnsAction string

// What happens at MaxTurns.
const (
	// MaxTurnsFail fails the run with [ErrMaxTurns].
	MaxTurnsFail MaxTurnsAction = "fail"
	// MaxTurnsSummary asks the model once more, without tools, for what it has.
	MaxTurnsSummary MaxTurnsAction = "summary"
	// MaxTurnsHandOver lets the Successor go on in the same conversation.
	MaxTurnsHandOver MaxTurnsAction = "hand_over"
)

// lastWords is what a model is told before a last turn.
const lastWords = "You cannot call tools any more. Answer now with what you have: say what is done, what is not, and what comes next."

// maxLast is how often a model is told again that it has to answer.
const maxLast = 3

// takeOver is what a successor is told.
const takeOver = "The agent before you has used up its turns. Go on from here and finish the task."

// maxTurns ends a run that has used up its turns.
func (r *run) maxTurns() error {
	switch r.manifest.OnMaxTurns {
	case MaxTurnsSummary:
		return r.summary(StopMaxTurns)
	case MaxTurnsHandOver:
		return r.handOver()
	}
	return durable.NonRetriable(fmt.Errorf("%w: agent %s may take %d", ErrMaxTurns, r.agent.config.Name, r.manifest.MaxTurns))
}

// summary asks the model for a last answer.
func (r *run) summary(why StopReason) error {
	if err := r.say(models.UserMessage(lastWords)); err != nil {
		return err
	}
	r.state.Last = true
	for range 1 + maxLast {
		done, err := r.turn()
		if err != nil || done {
			r.state.Result.Stop = why
			return err
		}
	}
	return durable.NonRetriable(fmt.Errorf("agent %s: its model went on calling tools in place of a last answer", r.agent.config.Name))
}

// handOver lets the successor go on, and takes its result for the run's.
func (r *run) handOver() error {
	// A step of its own, since programs differ in what they have, and a replay must not.
	_, err := durable.CallActivity[beforeAnswer](r.ctx, beforePrefix+r.agent.config.Name, beforeInput{Successor: r.manifest.Successor}, r.retry())
	if err != nil {
		return err
	}
	got, err := durable.CallOrchestration[Result](r.ctx, agentPrefix+r.manifest.Successor,
		runInput{Input: takeOver, Conversation: r.conversation, overrides: overrides{Others: memory.OthersCalls}}, durable.WithTags(map[string]string{RunTag: r.runID()}))
	if err != nil {
		return fmt.Errorf("agent %s has handed over: %w", r.agent.config.Name, err)
	}
	res := &r.state.Result
	res.Cut = got.Cut
	res.Turns += got.Turns
	res.ToolCalls += got.ToolCalls
	res.Usage = res.Usage.Add(got.Usage)
	res.Cost += got.Cost
	res.Unpriced += got.Unpriced
	return r.end(got.Text, StopMaxTurns)
}

// hasSuccessor finds out whether the program has whom a run is to be handed over to.
func (a *Agent) hasSuccessor(name string) error {
	if next := a.config.Successor; next == nil || next.Name() != name {
		return durable.NonRetriable(fmt.Errorf("agent %s hands over to %s, which this program does not say any more", a.config.Name, name))
	}
	return nil
}

// stopped ends a run with the text that it has.
func (r *run) stopped(why StopReason) error {
	text, err := r.lastText()
	if err != nil {
		return err
	}
	return r.end(text, why)
}

// lastText is the last text of the run's model; "" if there is none near the end.
func (r *run) lastText() (text string, err error) {
	for m, err := range memory.Read(r.ctx.Load, r.state.Head, r.state.Head.Length-2*models.MaxToolCalls) {
		if err != nil {
			return "", err
		}
		if m.Role == models.RoleAssistant && strings.TrimSpace(m.Content) != "" {
			text = m.Content
		}
	}
	return text, nil
}
