package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
)

// DeployAction is what a run under way does in a program whose agent has another
// manifest than the run began with.
type DeployAction string

// What a run does after a deploy. The program that goes on with the run decides.
const (
	// Pin keeps to the run's own manifest. It fails by the name of a tool, a guardrail
	// or a function that the manifest has and the program does not. A hook that is gone
	// is not called any more.
	Pin DeployAction = "pin"
	// Adopt takes the new manifest from the next turn on.
	Adopt DeployAction = "adopt"
	// Fail ends the run with [ErrManifestChanged].
	Fail DeployAction = "fail"
)

// ErrManifestChanged is wrapped by the failure of a run that was not to go on
// with a changed agent.
var ErrManifestChanged = errors.New("the agent has changed since the run began")

// deployed compares a run's manifest with what the program would begin it with now.
// It gives the manifest to go on with, and its reference where that is another one.
func (a *Agent) deployed(ctx context.Context, o *Options, m Manifest) (Manifest, durable.Ref, error) {
	if a.config.OnDeploy == Pin {
		if gone := a.gone(m); len(gone) > 0 {
			return m, durable.Ref{}, durable.NonRetriable(a.lost(gone...))
		}
		return m, durable.Ref{}, nil
	}
	var asked overrides
	if m.Asked != nil {
		asked = *m.Asked
	}
	now, err := a.manifest(ctx, o, asked, m.Tags, &m)
	if err != nil {
		return m, durable.Ref{}, fmt.Errorf("agent %s: %w", m.Agent, err)
	}
	if changed := changes(m, now); len(changed) == 0 {
		return m, durable.Ref{}, nil
	} else if a.config.OnDeploy == Fail {
		return m, durable.Ref{}, durable.NonRetriable(fmt.Errorf("agent %s: %w: %s", m.Agent, ErrManifestChanged, strings.Join(changed, ", ")))
	}
	ref, err := storeManifest(ctx, now)
	return now, ref, err
}

// gone lists what a pinned manifest has and this program does not: tools of the
// agent's own, guardrails, functions. Of the tools of toolsets the call finds out: a
// server that is away may come back.
func (a *Agent) gone(m Manifest) (what []string) {
	for _, t := range m.Tools {
		if _, ok := a.tools[t.Name]; !ok && t.Toolset == "" {
			what = append(what, "tool "+t.Name)
		}
	}
	for _, g := range m.Guardrails {
		if a.guards[g.Name] == nil {
			what = append(what, "guardrail "+g.Name)
		}
	}
	c := &a.config
	for _, f := range []struct {
		name string
		gone bool
	}{
		{"InstructionsFunc", m.Before.Instructions && c.InstructionsFunc == nil},
		{"Enabled", m.Before.Tools && c.Enabled == nil},
		{"StopWhen", m.Before.Stop && c.StopWhen == nil},
	} {
		if f.gone {
			what = append(what, f.name)
		}
	}
	return what
}

// lost is the failure of a run that cannot keep to its manifest.
func (a *Agent) lost(what ...string) error {
	return fmt.Errorf("agent %s: the run keeps to the manifest that it began with, and this program has no longer its %s", a.config.Name, strings.Join(what, ", "))
}

// changes names the parts in which two manifests differ, by their JSON names; of
// tools, which.
func changes(old, now Manifest) (names []string) {
	a, b := fields(old), fields(now)
	for _, k := range sortedKeys(a, b) {
		switch {
		case string(a[k]) == string(b[k]):
		case k == "tools":
			names = append(names, toolChanges(old.Tools, now.Tools))
		default:
			names = append(names, k)
		}
	}
	return names
}

// toolChanges names the tools that differ, or says that their order does.
func toolChanges(old, now []ManifestTool) string {
	was, is := byName(old), byName(now)
	var diff []string
	for _, name := range sortedKeys(was, is) {
		a, before := was[name]
		b, after := is[name]
		switch {
		case !after:
			diff = append(diff, name+" is gone")
		case !before:
			diff = append(diff, name+" is new")
		case a.Effect != b.Effect:
			diff = append(diff, fmt.Sprintf("%s is %s and was %s", name, b.Effect, a.Effect))
		case a.Description != b.Description || string(a.Schema) != string(b.Schema) || a.Toolset != b.Toolset:
			diff = append(diff, name+" is described otherwise")
		}
	}
	if len(diff) == 0 {
		return "tools (their order)"
	}
	return "tools (" + strings.Join(diff, ", ") + ")"
}

func byName(list []ManifestTool) map[string]ManifestTool {
	m := map[string]ManifestTool{}
	for _, t := range list {
		m[t.Name] = t
	}
	return m
}

func fields(m Manifest) (f map[string]json.RawMessage) {
	m.Asked = nil // what was asked is in the rest
	b, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil { // it came out of JSON, or is about to be refused by storeManifest
		return nil
	}
	return f
}

// Changed names the parts of a run's manifest, by their JSON names, that the program
// would not give it any more. What only a run knows counts as unchanged: rendered
// instructions as long as their prompt is the same, and the tools of toolsets.
func (a *Agent) Changed(m Manifest) []string {
	now := a.Manifest()
	now.Tags, now.StartHook, now.EndHook, now.Quota = m.Tags, m.StartHook, m.EndHook, m.Quota
	if now.Prompt != nil {
		now.Instructions = m.Instructions
	}
	for _, t := range m.Tools {
		if t.Toolset != "" {
			now.Tools = append(now.Tools, t)
		}
	}
	if m.Asked != nil && now.override(*m.Asked) != nil {
		return []string{"tools"}
	}
	return changes(m, now)
}

// Broken says why the program could not go on with a run of the agent that has this
// manifest: what it is pinned to is gone, or OnDeploy is Fail and something changed.
// It is "" where the program can.
func (a *Agent) Broken(m Manifest) string {
	switch a.config.OnDeploy {
	case Pin:
		gone := a.gone(m)
		if m.Successor != "" && a.hasSuccessor(m.Successor) != nil { // it may end before it comes to that
			gone = append(gone, "successor "+m.Successor)
		}
		if len(gone) > 0 {
			return "it keeps to its manifest, and of that is gone: " + strings.Join(gone, ", ")
		}
	case Fail:
		if changed := a.Changed(m); len(changed) > 0 {
			return "it has changed: " + strings.Join(changed, ", ")
		}
	}
	return ""
}

// ReadManifest reads the manifest of a run from the recorded result of its first step,
// the activity "manifest:" and the agent's name.
func ReadManifest(load memory.Loader, result json.RawMessage) (Manifest, error) {
	var r durable.Ref
	if err := json.Unmarshal(result, &r); err != nil {
		return Manifest{}, fmt.Errorf("the result of the step that makes the manifest: %w", err)
	}
	return loadManifest(load, r)
}
