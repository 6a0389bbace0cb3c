package agents

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// RunManifest gives the manifest that a run of an agent goes by, the one that it
// adopted last. false: it has none yet, or the instance is no run of an agent.
func RunManifest(ctx context.Context, c *durable.Client, instance string) (m Manifest, ok bool, err error) {
	var ref durable.Ref
	scheduled := map[int32]string{}
	for ev, err := range c.History(ctx, instance, "") {
		switch {
		case err != nil:
			return m, false, err
		case ev.Kind == history.ExecutionStarted && strings.HasPrefix(ev.Name, agentPrefix):
			var in runInput
			if json.Unmarshal(ev.Data, &in) == nil && in.State != nil {
				ref = in.State.Manifest
			}
		case ev.Kind == history.TaskScheduled && (strings.HasPrefix(ev.Name, manifestPrefix) || strings.HasPrefix(ev.Name, chatPrefix)):
			scheduled[ev.ID] = ev.Name
		case ev.Kind == history.TaskCompleted && scheduled[ev.Answers] != "":
			if now := manifestIn(scheduled[ev.Answers], ev.Data); !now.IsZero() {
				ref = now
			}
			delete(scheduled, ev.Answers)
		}
	}
	if ref.IsZero() {
		return m, false, nil
	}
	m, err = loadManifest(func(r durable.Ref) ([]byte, error) { return c.Load(ctx, r) }, ref)
	return m, err == nil, err
}

// manifestIn gives the manifest that a step's result has; zero: none.
func manifestIn(step string, result history.Payload) (r durable.Ref) {
	if strings.HasPrefix(step, manifestPrefix) {
		_ = json.Unmarshal(result, &r)
		return r
	}
	var ans chatAnswer
	_ = json.Unmarshal(result, &ans)
	return ans.Manifest
}
