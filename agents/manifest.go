package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Manifest is everything of an agent that decides what its model is told and what
// steps a run takes. A run stores it in its first step and keeps to it, unless
// [Config].OnDeploy says otherwise: a deploy in the middle of a run does not change
// the run.
type Manifest struct {
	Agent        string               `json:"agent"`
	Instructions string               `json:"instructions,omitempty"`
	Prompt       *PromptRef           `json:"prompt,omitempty"` // that the instructions are of
	Model        string               `json:"model"`
	Params       models.Params        `json:"params,omitzero"`
	Tools        []ManifestTool       `json:"tools,omitempty"`
	Output       *models.OutputSchema `json:"output,omitempty"`
	Window       int                  `json:"window,omitempty"`
	MaxContext   int                  `json:"maxContext,omitempty"`
	Summarizer   string               `json:"summarizer,omitempty"`
	Others       memory.Others        `json:"others,omitempty"`
	Quota        bool                 `json:"quota,omitempty"` // the model has one

	Retry          ManifestRetry       `json:"retry,omitzero"`
	MaxTurns       int                 `json:"maxTurns,omitempty"`
	MaxRepairs     int                 `json:"maxRepairs,omitempty"`
	OnMaxTurns     MaxTurnsAction      `json:"onMaxTurns,omitempty"`
	Successor      string              `json:"successor,omitempty"` // an agent's name
	StopTools      []string            `json:"stopTools,omitempty"`
	Sequential     bool                `json:"sequential,omitempty"`
	KeepToolChoice bool                `json:"keepToolChoice,omitempty"`
	UndoOnFailure  bool                `json:"undoOnFailure,omitempty"`
	Guardrails     []ManifestGuardrail `json:"guardrails,omitempty"`
	Before         BeforeTurn          `json:"before,omitzero"`
	StartHook      bool                `json:"startHook,omitempty"`
	EndHook        bool                `json:"endHook,omitempty"`

	// Tags are those of the run that begin with "agentrun.": where it comes from, and
	// so which models answer it, in whatever process it goes on.
	Tags map[string]string `json:"tags,omitempty"`
	// Asked is what the run's caller asked for in the place of the agent's.
	Asked *overrides `json:"asked,omitempty"`
}

// BeforeTurn says what the agent's functions are asked for before each turn.
type BeforeTurn struct {
	Instructions bool `json:"instructions,omitempty"`
	Tools        bool `json:"tools,omitempty"`
	Stop         bool `json:"stop,omitempty"`
}

// ManifestRetry is [Config].Retry without its function: what a replay needs to find the
// same attempts.
type ManifestRetry struct {
	MaxAttempts   int           `json:"maxAttempts,omitempty"`
	FirstInterval time.Duration `json:"firstInterval,omitempty"`
	Backoff       float64       `json:"backoff,omitempty"`
	MaxInterval   time.Duration `json:"maxInterval,omitempty"`
	Timeout       time.Duration `json:"timeout,omitempty"`
}

// retry is how the run's steps are tried again.
func (r *run) retry() durable.CallOption {
	m := r.manifest.Retry
	return durable.WithRetry(durable.RetryPolicy{
		MaxAttempts: m.MaxAttempts, FirstInterval: m.FirstInterval, Backoff: m.Backoff, MaxInterval: m.MaxInterval,
		Timeout: m.Timeout,
	})
}

// PromptRef names a prompt as it was when the run began.
type PromptRef struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Hash    string `json:"hash"`
}

// ManifestTool is a tool as the model knows it, and what repeating it would do.
type ManifestTool struct {
	models.ToolSpec
	Effect tools.Effect `json:"effect"`
	// Toolset is the name of the set that gave it; "": the agent's own.
	Toolset string `json:"toolset,omitempty"`
}

// tool finds a tool of the manifest; nil: there is none.
func (m *Manifest) tool(name string) *ManifestTool {
	if i := slices.IndexFunc(m.Tools, func(t ManifestTool) bool { return t.Name == name }); i >= 0 {
		return &m.Tools[i]
	}
	return nil
}

// Manifest gives the agent's manifest as the code has it now, with the instructions
// and tools that do not depend on a run.
func (a *Agent) Manifest() Manifest {
	c := &a.config
	m := Manifest{
		Agent: c.Name, Instructions: c.Instructions, Model: c.Model, Params: c.Params,
		Output: c.Output.schema(), Window: c.Window,
		MaxContext: c.MaxContext, Summarizer: c.Summarizer, Others: c.Others,
		Retry:    ManifestRetry{c.Retry.MaxAttempts, c.Retry.FirstInterval, c.Retry.Backoff, c.Retry.MaxInterval, c.Retry.Timeout},
		MaxTurns: c.MaxTurns, MaxRepairs: c.MaxRepairs, OnMaxTurns: c.OnMaxTurns,
		StopTools: c.StopTools, Sequential: c.Sequential, KeepToolChoice: c.KeepToolChoice,
		UndoOnFailure: c.UndoOnFailure,
		Before:        BeforeTurn{c.InstructionsFunc != nil, c.Enabled != nil, c.StopWhen != nil},
	}
	if c.Successor != nil {
		m.Successor = c.Successor.Name()
	}
	if p := c.Prompt; p != nil {
		m.Prompt = &PromptRef{p.Name(), p.Version(), p.Hash()}
	}
	for _, t := range c.Tools {
		m.Tools = append(m.Tools, manifestTool(t, ""))
	}
	for _, g := range c.Guardrails {
		m.Guardrails = append(m.Guardrails, g.manifest())
	}
	return m
}

func manifestTool(t tools.Tool, set string) ManifestTool {
	return ManifestTool{models.ToolSpec{Name: t.Name(), Description: t.Description(), Schema: t.Schema()}, t.Effect(), set}
}

// manifest makes the manifest of one run; was is the one that it has.
func (a *Agent) manifest(ctx context.Context, o *Options, asked overrides, tags map[string]string, was *Manifest) (m Manifest, err error) {
	m = a.Manifest()
	m.Tags = tags
	m.StartHook = a.config.Hooks.RunStart != nil || o.Hooks.RunStart != nil
	m.EndHook = a.config.Hooks.RunEnd != nil || o.Hooks.RunEnd != nil
	if err := a.addToolsets(ctx, &m, was); err != nil {
		return m, err
	}
	if p := a.config.Prompt; p != nil && asked.Instructions == nil {
		if m.Instructions, err = p.Render(a.config.vars(asked.Vars)); err != nil {
			return m, durable.NonRetriable(fmt.Errorf("prompt %s: %w", p.Name(), err))
		}
	} else if p == nil && len(asked.Vars) > 0 {
		return m, durable.NonRetriable(errors.New("it was given variables, and has no prompt"))
	}
	if err := m.override(asked); err != nil {
		return m, durable.NonRetriable(err)
	}
	_, m.Quota = o.Quotas[m.Model]
	return m, nil
}

// vars are the values for the prompt: the agent's, and over them those of one run.
func (c *Config) vars(asked map[string]any) map[string]any {
	all := maps.Clone(c.Vars)
	if all == nil {
		return asked
	}
	maps.Copy(all, asked)
	return all
}

// override puts what the caller asked for in the place of the agent's.
func (m *Manifest) override(o overrides) error {
	if o.Output != nil {
		m.Output = o.Output
	}
	if o.Model != "" {
		m.Model = o.Model
	}
	if o.Instructions != nil {
		m.Instructions, m.Prompt, m.Before.Instructions = *o.Instructions, nil, false
	}
	if o.Params != nil {
		m.Params = *o.Params
	}
	if o.MaxTurns > 0 {
		m.MaxTurns = o.MaxTurns
	}
	if o.Others != "" {
		m.Others = o.Others
	}
	if o.Tools != nil {
		for _, name := range *o.Tools {
			if m.tool(name) == nil {
				return errors.New(unknownTool(name, m.Tools))
			}
		}
		m.Tools = slices.DeleteFunc(m.Tools, func(t ManifestTool) bool { return !slices.Contains(*o.Tools, t.Name) })
	}
	if o.Model != "" || o.Instructions != nil || o.Params != nil || o.MaxTurns > 0 || o.Tools != nil || o.Vars != nil || o.Output != nil || o.Others != "" {
		m.Asked = &o
	}
	return nil
}

type manifestInput struct {
	overrides
	Tags map[string]string `json:"tags,omitempty"`
}

// ownTags are the tags of a run that are agentrun's, but for the run's id.
func ownTags(all map[string]string) map[string]string {
	var own map[string]string
	for k, v := range all {
		if strings.HasPrefix(k, "agentrun.") && k != RunTag {
			if own == nil {
				own = map[string]string{}
			}
			own[k] = v
		}
	}
	return own
}

type tagsKey struct{}

// RunTags gives, to [Options.Models], the run's tags that begin with "agentrun.".
// The caller must not change the map.
func RunTags(ctx context.Context) map[string]string {
	tags, _ := ctx.Value(tagsKey{}).(map[string]string)
	return tags
}

// manifestActivity stores the manifest. It is a step of its own, so that a replay
// by newer code finds the manifest that the run began with.
func (a *Agent) manifestActivity(o *Options) durable.Definition {
	return step(a, manifestPrefix+a.config.Name, func(ctx context.Context, in manifestInput) (durable.Ref, error) {
		m, err := a.manifest(ctx, o, in.overrides, in.Tags, nil)
		if err != nil {
			return durable.Ref{}, fmt.Errorf("agent %s: %w", a.config.Name, err)
		}
		return storeManifest(ctx, m)
	}, durable.Pure())
}

func storeManifest(ctx context.Context, m Manifest) (durable.Ref, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return durable.Ref{}, fmt.Errorf("manifest of agent %s: %w", m.Agent, err)
	}
	return durable.Store(ctx, b)
}

func loadManifest(load memory.Loader, r durable.Ref) (m Manifest, err error) {
	b, err := load(r)
	if err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("manifest %s: %w", r.Hash, err)
	}
	return m, nil
}
