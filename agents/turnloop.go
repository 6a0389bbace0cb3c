package agents

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// turn asks the model once and does what it asks for.
func (r *run) turn() (done bool, err error) {
	before, err := r.before()
	if err != nil {
		return false, err
	}
	if before.Stop {
		return true, r.stopped(StopWhen)
	}
	ans, err := r.chat(before)
	if err != nil {
		return false, err
	}
	res := &r.state.Result
	res.Turns++
	res.Usage = res.Usage.Add(ans.Usage)
	if ans.Cost != nil {
		res.Cost += *ans.Cost
	}
	if ans.Unpriced {
		res.Unpriced++
	}
	msg, err := memory.Message(r.ctx.Load, ans.Message)
	if err != nil {
		return false, err
	}
	if len(ans.Calls) == 0 {
		return r.answer(ans, msg)
	}
	return r.callTools(ans, msg)
}

// chat makes the model call of a turn, and the checks of the input that run beside
// the first one.
func (r *run) chat(before beforeAnswer) (chatAnswer, error) {
	var check *durable.Task[guarded]
	if r.state.Result.Turns == 0 && r.manifest.besideInput() {
		check = durable.Go(r.ctx, func(ctx *durable.Context) (guarded, error) {
			return r.guard(ctx, OnInput, guardInput{Message: r.state.Input}, true)
		})
	}
	ans, err := r.ask(before, check)
	if check == nil {
		return ans, err
	}
	g, failed := check.Await()
	if g.blocked != "" {
		failed = r.blocked(OnInput, g.blocked)
	}
	if failed != nil {
		return ans, errors.Join(failed, r.takeBackInput())
	}
	return ans, err
}

// takeBackInput redacts what the user said, since it did not pass: the next run in the
// conversation must not be told it unchecked. This run's history has it.
func (r *run) takeBackInput() error {
	_, err := memory.Redact.Call(r.ctx.WithoutCancel(), r.conversation,
		memory.Redaction{At: []int{r.inputAt}, By: r.agent.config.Name, Reason: "it has not passed the guardrails on the input"})
	return err
}

// ask makes the model call: when its quota allows, again when people want it or its
// provider was asked too often, and of a shorter view when the conversation is too long.
func (r *run) ask(before beforeAnswer, check *durable.Task[guarded]) (ans chatAnswer, err error) {
	in := chatInput{
		Head: r.state.Head, Turn: r.state.Result.Turns + 1,
		Instructions: before.Instructions, Tools: before.Tools, Last: r.state.Last, Results: len(r.state.Results) > 0,
		Free: r.state.Result.ToolCalls > 0 && !r.manifest.KeepToolChoice,
	}
	for compactions, pushed := 0, 0; ; {
		leave, err := waitQuota(r.ctx, r.manifest.Quota, r.manifest.Model, estimateTurn(r.state.Took, r.manifest.Params))
		if err != nil {
			return ans, err
		}
		in.Manifest, in.View = r.state.Manifest, r.state.View
		chat := durable.StartActivity[chatAnswer](r.ctx, chatPrefix+r.agent.config.Name, in, r.retry())
		if r.steered(chat, check) {
			chat.Cancel()
			continue
		}
		ans, err = chat.Await()
		var long *tooLongError
		var back *pushedBackError
		switch {
		case errors.As(err, &long) && compactions < maxCompactions:
			compactions++
			err = r.compact(long.Limit)
		case errors.As(err, &back) && pushed < maxPushBacks:
			pushed++
			err = pushQuota(r.ctx, leave, back.For)
		case err != nil:
			return ans, err
		default:
			return ans, r.asked(leave, ans)
		}
		if err != nil {
			return ans, err
		}
	}
}

// asked notes what an answer brings beside the message.
func (r *run) asked(leave reservation, ans chatAnswer) error {
	r.state.Took = ans.Usage
	if err := settleQuota(r.ctx, leave, ans.Usage); err != nil {
		return err
	}
	if ans.Manifest.IsZero() {
		return nil
	}
	r.state.Manifest = ans.Manifest
	err := r.loadManifest()
	r.state.View.Others, r.state.View.Window = r.manifest.Others, r.manifest.Window
	return err
}

// answer takes a message without calls: the end, unless it is a structured answer
// that does not fit.
func (r *run) answer(ans chatAnswer, msg models.Message) (done bool, err error) {
	name := r.agent.config.Name
	empty := strings.TrimSpace(msg.Content) == "" // models refuse such a message in a conversation
	final := ans.Finish != models.FinishContentFilter && !empty && ans.Problem == ""
	if final {
		if ans.Message, msg, err = r.guardOutput(ans.Message, msg); err != nil {
			return false, err
		}
	}
	if !empty {
		if err := r.appendOwn(ans.Message); err != nil {
			return false, err
		}
	}
	switch {
	case ans.Finish == models.FinishContentFilter:
		return false, r.withheld()
	case empty:
		return false, durable.NonRetriable(fmt.Errorf("agent %s: the model's answer was cut off at the token limit before any text: allow it more tokens", name))
	case final:
		r.state.Result.Text, r.state.Result.Cut = msg.Content, ans.Finish == models.FinishLength
		return true, nil
	case r.state.Repairs >= r.manifest.MaxRepairs:
		return false, durable.NonRetriable(fmt.Errorf("agent %s: after %d corrections the answer still does not fit: %s", name, r.state.Repairs, ans.Problem))
	}
	r.state.Repairs++
	return false, r.say(models.UserMessage(ans.Problem))
}

// withheld is the failure of a run whose model was kept from answering.
func (r *run) withheld() error {
	return durable.NonRetriable(fmt.Errorf("agent %s: the model's answer was withheld by a content filter", r.agent.config.Name))
}
