package taskhub

import (
	"context"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// effectsPerPart is how many records or keys go into one part of a stream: none of them is large.
const effectsPerPart = 1000

// Effects streams what is known of an instance's effects outside.
func (l *local) Effects(m *protocol.EffectsRequest, out protocol.Local_EffectsServer) error {
	hub, err := l.s.hub(out.Context())
	if err != nil {
		return err
	}
	all, err := hub.OutsideEffects(out.Context(), m.GetInstanceId())
	if err != nil {
		return toStatus(err)
	}
	for some := range slices.Chunk(all.Records, effectsPerPart) {
		part := &protocol.EffectsPart{}
		for _, x := range some {
			part.Records = append(part.Records, &protocol.EffectRecord{
				ExecutionId: x.Execution, Task: x.Task, Activity: x.Activity, Key: x.Key,
				Intent: wrapTime(x.Intent), Receipt: wrapTime(x.Receipt), Failed: x.Failed, Running: x.Running,
			})
		}
		if err := out.Send(part); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(all.Keys, effectsPerPart) {
		part := &protocol.EffectsPart{}
		for _, k := range some {
			part.Keys = append(part.Keys, &protocol.ExecutionKeys{ExecutionId: k.Execution, Seed: k.Seed})
		}
		if err := out.Send(part); err != nil {
			return err
		}
	}
	return nil
}

// OutsideEffects tells what is known of an instance's effects outside.
func (r *Remote) OutsideEffects(ctx context.Context, id string) (*engine.Effects, error) {
	all := &engine.Effects{}
	for part, err := range stream(ctx, r, r.local.Effects, &protocol.EffectsRequest{InstanceId: id}) {
		if err != nil {
			return nil, err
		}
		for _, x := range part.GetRecords() {
			all.Records = append(all.Records, engine.EffectRecord{
				Execution: x.GetExecutionId(), Task: x.GetTask(), Activity: x.GetActivity(), Key: x.GetKey(),
				Intent: timeOf(x.GetIntent()), Receipt: timeOf(x.GetReceipt()), Failed: x.GetFailed(), Running: x.GetRunning(),
			})
		}
		for _, k := range part.GetKeys() {
			all.Keys = append(all.Keys, engine.Keys{Execution: k.GetExecutionId(), Seed: k.GetSeed()})
		}
	}
	return all, nil
}
