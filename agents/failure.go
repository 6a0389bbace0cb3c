package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// failures are the errors of a model turn that a run decides by, and those of runs that
// their callers can tell apart.
var failures = durable.Bundle(
	durable.ErrorValue("agentrun.MaxTurns", ErrMaxTurns),
	durable.ErrorValue("agentrun.Blocked", ErrBlocked),
	durable.ErrorValue("agentrun.ManifestChanged", ErrManifestChanged),
	durable.ErrorType[*tooLongError]("agentrun.TooLong"),
	durable.ErrorType[*pushedBackError]("agentrun.PushedBack"),
)

// tooLongError says that the conversation must be compacted before the model can be
// asked.
type tooLongError struct {
	Limit int `json:"limit"` // tokens that it may have
}

func (e *tooLongError) Error() string {
	return fmt.Sprintf("the conversation has more than %d tokens: it has to be compacted", e.Limit)
}

// pushedBackError says that the model's provider wants to be left alone for a time.
type pushedBackError struct {
	For time.Duration `json:"for"`
}

func (e *pushedBackError) Error() string {
	return fmt.Sprintf("the provider asks to come back in %s", e.For)
}

// fits finds out before a model is asked whether the conversation is within the
// agent's limit.
func (a *Agent) fits(m Manifest, req *models.Request) error {
	if m.MaxContext > 0 && a.tokens(req) > m.MaxContext {
		return durable.NonRetriable(&tooLongError{m.MaxContext})
	}
	return nil
}

// tokens counts those of the conversation, without the instructions.
func (a *Agent) tokens(req *models.Request) int {
	told := req.Messages
	if len(told) > 0 && told[0].Role == models.RoleSystem {
		told = told[1:]
	}
	return memory.Tokens(a.config.Counter, told...)
}

// modelFailure makes the error that is recorded: tried again where that can help.
func (a *Agent) modelFailure(m Manifest, req *models.Request, err error) error {
	var me *models.Error
	if !errors.As(err, &me) {
		return fmt.Errorf("agent %s: model %s: %w", m.Agent, m.Model, err)
	}
	switch {
	case me.Kind == models.KindContextLength:
		// The provider knows better than the counter. What it takes, it does not say.
		return durable.NonRetriable(fmt.Errorf("agent %s: model %s: %w: %w", m.Agent, m.Model, err, &tooLongError{a.tokens(req) * 2 / 3}))
	case me.Kind == models.KindRateLimit && me.RetryAfter > 0 && m.Quota:
		return durable.NonRetriable(fmt.Errorf("agent %s: model %s: %w: %w", m.Agent, m.Model, err, &pushedBackError{me.RetryAfter}))
	}
	err = fmt.Errorf("agent %s: model %s: %w", m.Agent, m.Model, err)
	if !me.Retryable() {
		return durable.NonRetriable(err)
	}
	return err
}
