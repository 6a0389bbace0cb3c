package taskhub

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// bounds keeps clients within a server's limits.
type bounds struct {
	Limits
	mu    sync.Mutex
	waits map[string]int // open, by connection; none is 0
}

// roomFor is what gRPC may receive beyond the limit of a message, so that most of those that are
// too large are refused with words that help.
const roomFor = 2

func (b *bounds) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		if err := b.checkSize(m, info.FullMethod); err != nil {
			return nil, toStatus(err)
		}
	}
	switch info.FullMethod {
	case protocol.TaskHubSidecarService_WaitForInstanceStart_FullMethodName, protocol.TaskHubSidecarService_WaitForInstanceCompletion_FullMethodName:
		end, err := b.wait(ctx)
		if err != nil {
			return nil, toStatus(err)
		}
		defer end()
	}
	return handle(ctx, req)
}

// checkSize refuses a request that is too large, or that a payload in it makes so. What workers
// answer has no limit here: it is the answer to something, and refusing it would have the work done
// again, for ever.
func (b *bounds) checkSize(m proto.Message, method string) error {
	size := proto.Size(m)
	if size > b.Message {
		return fmt.Errorf("%w: the message has %d bytes, and the server takes %d; raise that with: agentrun serve --max-message", ErrLimit, size, b.Message)
	}
	if b.Payload <= 0 || size <= b.Payload || methods[method].role == "worker" {
		return nil
	}
	if field, n := largest(m.ProtoReflect()); n > b.Payload {
		return fmt.Errorf("%w: %s has %d bytes, and a payload can have %d; raise that with: agentrun serve --max-payload", ErrLimit, field, n, b.Payload)
	}
	return nil
}

// largest gives the largest payload of a request, which are its optional texts.
func largest(m protoreflect.Message) (field string, n int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.MessageKind || f.IsList() || f.IsMap() {
			return true
		}
		if text, ok := v.Message().Interface().(*wrapperspb.StringValue); ok && len(text.GetValue()) > n {
			field, n = string(f.Name()), len(text.GetValue())
		}
		return true
	})
	return field, n
}

// wait counts one wait more of the call's connection, until end.
func (b *bounds) wait(ctx context.Context) (end func(), err error) {
	conn := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		conn = p.Addr.String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waits[conn] >= b.Waits {
		return nil, fmt.Errorf("%w: this client waits for %d instances already; raise that with: agentrun serve --max-waits", ErrLimit, b.Waits)
	}
	b.waits[conn]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.waits[conn]--; b.waits[conn] == 0 {
			delete(b.waits, conn)
		}
	}, nil
}

// recovered makes a handler's panic an error with the status INTERNAL.
func (s *Server) recovered(method string, err *error) {
	x := recover()
	if x == nil {
		return
	}
	s.options.Logger.Error("a call panicked", "method", method, "panic", x, "stack", stack())
	*err = toStatus(fmt.Errorf("%s failed by a fault in the server; its log says more", method[strings.LastIndex(method, "/")+1:]))
}

func (s *Server) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer s.recovered(info.FullMethod, &err)
	return handle(ctx, req)
}

// recoverStream also ends, when the server does, the streams that are not of a hub: they would last
// as long as their clients like.
func (s *Server) recoverStream(srv any, out grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer s.recovered(info.FullMethod, &err)
	if methods[info.FullMethod].open {
		ctx, stop := s.whileServing(out.Context())
		defer stop()
		out = &streamIn{out, ctx}
	}
	return handle(srv, out)
}
