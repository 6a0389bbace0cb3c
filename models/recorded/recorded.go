// Package recorded is a model that answers from what an earlier run was told: a list
// of request hashes and their answers.
//
// It asks nobody and waits for nothing. A request is found by [models.Request.Hash],
// so any change to what an agent would ask (a word in its instructions, a tool's
// schema, its label) makes an answer go missing, which is the point: the error
// (models.KindNoAnswer) names agent, model and hash.
//
//	model := recorded.New([]recorded.Answer{{Hash: req.Hash(), Response: resp}})
package recorded

import (
	"context"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/models"
)

const providerName = "recorded"

// Answer is what was answered to the request with a hash.
type Answer struct {
	Hash     string          `json:"hash"`
	Response models.Response `json:"response"`
}

// Model answers from a recording. It is safe for concurrent use.
type Model struct {
	answers map[string]*models.Response
}

// New returns a model that knows the answers. If a hash is listed more than once, the
// first answer stands for all: which occurrence a request is cannot be known without
// counting, and a resumed run would count differently.
func New(answers []Answer) *Model {
	m := &Model{answers: make(map[string]*models.Response, len(answers))}
	for i := range answers {
		if _, ok := m.answers[answers[i].Hash]; !ok {
			resp := answers[i].Response
			m.answers[answers[i].Hash] = &resp
		}
	}
	return m
}

// Len returns the number of different requests that have an answer.
func (m *Model) Len() int { return len(m.answers) }

// Generate implements [models.Model].
func (m *Model) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return models.Checked(func(yield func(models.Event, error) bool) {
		hash := req.Hash()
		resp, ok := m.answers[hash]
		if !ok {
			yield(models.Event{}, &models.Error{Kind: models.KindNoAnswer, Provider: providerName,
				Message: fmt.Sprintf("the recording has no answer for agent %q, model %q, turn %d (request %s; %d requests recorded)",
					req.Agent, req.Model, models.AssistantTurns(req.Messages)+1, hash, len(m.answers))})
			return
		}
		for ev, err := range models.Stream(resp) {
			if stop := models.ContextError(ctx, providerName); stop != nil {
				yield(models.Event{}, stop)
				return
			}
			if !yield(ev, err) {
				return
			}
		}
	})
}
