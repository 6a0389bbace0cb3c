package taskhub

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// protocolVersion is that of the whole conversation on the socket. It is raised by whoever changes
// it so that an older program would misunderstand: a field that has to be heeded, a method that is
// needed. Programs of different versions do not talk.
const protocolVersion = 2

// local is the service for our own programs: what the public protocol has no words for.
type local struct {
	protocol.UnimplementedLocalServer
	s *Server
}

// Handshake says who serves. It asks nothing of the hub, so its answer means that the process lives.
func (l *local) Handshake(context.Context, *protocol.HandshakeRequest) (*protocol.HandshakeResponse, error) {
	i := l.s.info
	return &protocol.HandshakeResponse{
		ProtocolVersion: protocolVersion,
		Pid:             int64(i.PID),
		Program:         i.Program,
		ProgramVersion:  i.Version,
		Since:           wrapTime(i.Since),
	}, nil
}

// Query lists instances.
func (l *local) Query(ctx context.Context, m *protocol.QueryRequest) (*protocol.QueryResponse, error) {
	hub, err := l.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	states, token, err := instances(ctx, hub, queryOf(m), m.GetData())
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.QueryResponse{Instances: states, Token: token}, nil
}

// Executions lists the executions of an instance.
func (l *local) Executions(ctx context.Context, m *protocol.ExecutionsRequest) (*protocol.ExecutionsResponse, error) {
	hub, err := l.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := hub.Executions(ctx, m.GetInstanceId())
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.ExecutionsResponse{ExecutionIds: ids}, nil
}

// History streams an execution's events.
func (l *local) History(m *protocol.HistoryRequest, out protocol.Local_HistoryServer) error {
	hub, err := l.s.hub(out.Context())
	if err != nil {
		return err
	}
	events, first := hub.History(out.Context(), m.GetInstanceId(), m.GetExecutionId()), m.GetFrom()
	if first > 0 {
		events = hub.HistoryFrom(out.Context(), m.GetInstanceId(), m.GetExecutionId(), int(min(first, math.MaxInt32)))
	}
	var rows, row []byte
	for ev, err := range events {
		if err != nil {
			return toStatus(err)
		}
		row = history.AppendRow(row[:0], ev)
		if len(rows)+len(row) > maxChunk && len(rows) > 0 {
			if err := out.Send(&protocol.HistoryRows{Rows: rows, First: first}); err != nil {
				return err
			}
			rows = nil // the message sent may still be in use
		}
		rows = append(rows, row...)
	}
	if len(rows) == 0 {
		return nil
	}
	return out.Send(&protocol.HistoryRows{Rows: rows, First: first})
}

// Payload streams a payload. An empty one is a stream without parts.
func (l *local) Payload(m *protocol.PayloadRequest, out protocol.Local_PayloadServer) error {
	var h history.Hash
	if len(m.GetHash()) != len(h) {
		return toStatus(fmt.Errorf("%w: a payload's hash has %d bytes, not %d", engine.ErrInvalid, len(h), len(m.GetHash())))
	}
	hub, err := l.s.hub(out.Context())
	if err != nil {
		return err
	}
	b, err := hub.Payload(out.Context(), history.Hash(m.GetHash()))
	if err != nil {
		return toStatus(err)
	}
	for part := range slices.Chunk(b, maxChunk) {
		if err := out.Send(&protocol.PayloadPart{Data: part}); err != nil {
			return err
		}
	}
	return nil
}
