package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Manifest is everything of an agent that decides what its model is told. A run
// stores it in its first step and keeps to it: a deploy in the middle of a run
// does not change the run.
type Manifest struct {
	Agent        string               `json:"agent"`
	Instructions string               `json:"instructions,omitempty"`
	Model        string               `json:"model"`
	Params       models.Params        `json:"params,omitzero"`
	Tools        []ManifestTool       `json:"tools,omitempty"`
	Output       *models.OutputSchema `json:"output,omitempty"`
	Window       int                  `json:"window,omitempty"`
	// Tags are those of the run that begin with "agentrun.": where it comes from, and
	// so which models answer it, in whatever process it goes on.
	Tags map[string]string `json:"tags,omitempty"`
}

// ManifestTool is a tool as the model knows it, and what repeating it would do.
type ManifestTool struct {
	models.ToolSpec
	Effect tools.Effect `json:"effect"`
}

// Manifest gives the agent's manifest as the code has it now.
func (a *Agent) Manifest() Manifest {
	m := Manifest{
		Agent: a.config.Name, Instructions: a.config.Instructions, Model: a.config.Model, Params: a.config.Params,
		Output: a.config.Output.schema(), Window: a.config.Window,
	}
	for _, t := range a.config.Tools {
		m.Tools = append(m.Tools, ManifestTool{models.ToolSpec{Name: t.Name(), Description: t.Description(), Schema: t.Schema()}, t.Effect()})
	}
	return m
}

type manifestInput struct {
	Output *models.OutputSchema `json:"output,omitempty"`
	Tags   map[string]string    `json:"tags,omitempty"`
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
func (a *Agent) manifestActivity() durable.Definition {
	return durable.NewActivity("manifest:"+a.config.Name, func(ctx context.Context, in manifestInput) (durable.Ref, error) {
		m := a.Manifest()
		m.Tags = in.Tags
		if in.Output != nil {
			m.Output = in.Output
		}
		b, err := json.Marshal(m)
		if err != nil {
			return durable.Ref{}, fmt.Errorf("manifest of agent %s: %w", a.config.Name, err)
		}
		return durable.Store(ctx, b)
	}, durable.Pure())
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
