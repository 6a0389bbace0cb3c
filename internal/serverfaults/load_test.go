//go:build linux || darwin

package serverfaults

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// patience is how long a load may take.
const patience = 45 * time.Second

// load starts walks, all at once, and waits until they have ended.
func (r *rig) load(n int) {
	ctx, cancel := context.WithTimeoutCause(r.t.Context(), patience, errors.New("it takes too long"))
	defer cancel()
	var all sync.WaitGroup
	for range n {
		i := r.walks
		r.walks++
		all.Go(func() {
			if err := r.walk(ctx, i); err != nil {
				r.find("%s: %v (%v)", walkID(i), err, context.Cause(ctx))
			}
		})
	}
	all.Wait()
}

// walk starts a walk, raises its events, each until that is acknowledged, and waits for its end.
func (r *rig) walk(ctx context.Context, i int) error {
	id := walkID(i)
	err := again(ctx, func() error {
		_, err := r.hub.StartInstance(ctx, &protocol.CreateInstanceRequest{InstanceId: id, Name: walkName, Input: wrapperspb.String(strconv.Itoa(i))})
		if status.Code(err) == codes.AlreadyExists { // the last try came through
			return nil
		}
		return err
	})
	for value := range events {
		if err == nil {
			err = again(ctx, func() error {
				_, err := r.hub.RaiseEvent(ctx, &protocol.RaiseEventRequest{InstanceId: id, Name: eventName, Input: wrapperspb.String(strconv.Itoa(value))})
				return err
			})
		}
	}
	if err != nil {
		return err
	}
	return again(ctx, func() error {
		m, err := r.hub.WaitForInstanceCompletion(ctx, &protocol.GetInstanceRequest{InstanceId: id, GetInputsAndOutputs: true})
		if err != nil {
			return err
		}
		s := m.GetOrchestrationState()
		if s.GetOrchestrationStatus() != protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED || s.GetOutput().GetValue() != strconv.Itoa(walkResult) {
			r.find("%s: it ended as %v with %q, not with %d: %v", id, s.GetOrchestrationStatus(), s.GetOutput().GetValue(), walkResult, s.GetFailureDetails())
		}
		return nil
	})
}

// again calls until it is not the connection that fails.
func again(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil || !gone(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
