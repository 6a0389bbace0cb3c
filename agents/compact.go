package agents

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

const (
	// maxCompactions bounds how often a turn makes its conversation shorter: a provider
	// takes less than what the counter finds, but not by that much.
	maxCompactions = 4
	// maxSummaries bounds the summaries of one compaction.
	maxSummaries = 100
	// maxPushBacks bounds how often a provider that has a quota can put a turn off.
	maxPushBacks = 100
)

// compactInput is the input of a step that makes a view shorter.
type compactInput struct {
	Manifest durable.Ref `json:"manifest"`
	Head     memory.Head `json:"head"`
	View     memory.View `json:"view"`
	Limit    int         `json:"limit"` // tokens
}

// compactAnswer is what it comes to.
type compactAnswer struct {
	View memory.View `json:"view"`
	// More says that one summary was not enough, and Fits that the view is short enough.
	More    bool         `json:"more,omitempty"`
	Fits    bool         `json:"fits,omitempty"`
	Usage   models.Usage `json:"usage,omitzero"`
	Cost    models.Money `json:"cost,omitzero"`
	Unknown bool         `json:"unknown,omitempty"` // the cost is
}

// compactActivity leaves out old results, or asks a model for one summary. It is a
// step of its own, so that a summary that was paid for is not asked for again.
func (a *Agent) compactActivity(o *Options) durable.Definition {
	return step(a, compactPrefix+a.config.Name, func(ctx context.Context, in compactInput) (ans compactAnswer, err error) {
		load := func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }
		m, err := loadManifest(load, in.Manifest)
		if err != nil {
			return ans, err
		}
		plan, err := in.View.Plan(load, in.Head, memory.Limits{Tokens: in.Limit, Counter: a.config.Counter})
		if err != nil {
			return ans, err
		}
		if plan.Prompt == nil {
			return compactAnswer{View: plan.View, Fits: plan.Fits}, nil
		}
		resp, err := a.summarize(ctx, o, m, plan.Prompt)
		if err != nil {
			return ans, err
		}
		b, err := memory.Encode(plan.Summary(resp.Message.Content))
		if err != nil {
			return ans, err
		}
		ref, err := durable.Store(ctx, b)
		if err != nil {
			return ans, err
		}
		ans = compactAnswer{View: plan.With(ref), More: true, Usage: resp.Usage}
		if o.Prices != nil {
			ans.Cost, err = o.Prices.CostOf(summarizer(m), resp)
			ans.Unknown = err != nil
		}
		return ans, nil
	}, durable.Costly())
}

func summarizer(m Manifest) string {
	if m.Summarizer != "" {
		return m.Summarizer
	}
	return m.Model
}

// summarize asks a model for a summary.
func (a *Agent) summarize(ctx context.Context, o *Options, m Manifest, prompt []models.Message) (*models.Response, error) {
	name := summarizer(m)
	if o.Models == nil {
		return nil, durable.NonRetriable(fmt.Errorf("agent %s: this program has no models: set Options.Models", m.Agent))
	}
	model, err := o.Models(context.WithValue(ctx, tagsKey{}, m.Tags), name)
	if err != nil {
		return nil, durable.NonRetriable(fmt.Errorf("agent %s: %w", m.Agent, err))
	}
	req := &models.Request{Model: name, Agent: m.Agent, Messages: prompt}
	witness(ctx, "summary", m.Agent)
	ctx, end := startChatSpan(ctx, req)
	resp, err := models.Collect(model.Generate(ctx, req))
	end(resp, err)
	var me *models.Error
	switch {
	case errors.As(err, &me) && !me.Retryable():
		return nil, durable.NonRetriable(fmt.Errorf("agent %s: model %s, asked for a summary: %w", m.Agent, name, err))
	case err != nil:
		return nil, fmt.Errorf("agent %s: model %s, asked for a summary: %w", m.Agent, name, err)
	case resp.Finish == models.FinishContentFilter || resp.Message.Content == "":
		return nil, durable.NonRetriable(fmt.Errorf("agent %s: model %s gave no summary: its answer ended by %s", m.Agent, name, resp.Finish))
	}
	return resp, nil
}

// compact makes what the model is told short enough.
func (r *run) compact(limit int) error {
	for range maxSummaries {
		in := compactInput{Manifest: r.state.Manifest, Head: r.state.Head, View: r.state.View, Limit: limit}
		ans, err := durable.CallActivity[compactAnswer](r.ctx, compactPrefix+r.agent.config.Name, in, r.retry())
		if err != nil {
			return err
		}
		r.state.View = ans.View
		res := &r.state.Result
		res.Usage, res.Cost = res.Usage.Add(ans.Usage), res.Cost+ans.Cost
		if ans.Unknown {
			res.Unpriced++
		}
		switch {
		case ans.More:
			continue
		case !ans.Fits:
			return durable.NonRetriable(fmt.Errorf("agent %s: what its model must be told of the conversation has more than %d tokens, however much is left out", r.agent.config.Name, limit))
		}
		return nil
	}
	return durable.NonRetriable(fmt.Errorf("agent %s: the conversation is still too long after %d summaries", r.agent.config.Name, maxSummaries))
}
