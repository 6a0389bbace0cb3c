package taskhub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

// guard lets those calls through that have a token for them. What lasts (streams, waits) is ended
// when its token is revoked or expires: it looks again every second.
type guard struct {
	access Access
	log    *slog.Logger

	mu   sync.Mutex
	long map[*guarded]struct{} // calls under way that last
}

// guarded is a call that lasts.
type guarded struct {
	method string
	secret string
	hub    string
	end    context.CancelCauseFunc
}

// checkEvery is how often the tokens of calls that last are looked at.
const checkEvery = time.Second

// watch looks after calls that last, until ctx ends.
func (g *guard) watch(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.look()
		}
	}
}

// look ends the calls whose tokens do not allow them any more.
func (g *guard) look() {
	g.mu.Lock()
	calls := make([]*guarded, 0, len(g.long))
	for c := range g.long {
		calls = append(calls, c)
	}
	g.mu.Unlock()
	for _, c := range calls {
		if _, err := g.allow(c.method, c.secret, c.hub); err != nil && status.Code(err) != codes.Internal {
			c.end(err)
		}
	}
}

// admit gives the context in which a call may go on, or the status why it may not.
func (g *guard) admit(ctx context.Context, method string) (context.Context, *guarded, error) {
	if methods[method].open {
		return ctx, nil, nil
	}
	hub, err := hubOf(ctx)
	if err != nil && !methods[method].anyHub {
		hub = "" // no token is for it: who has none at all is told that first
	}
	secret := bearer(ctx)
	token, err := g.allow(method, secret, hub)
	if err != nil {
		return nil, nil, err
	}
	return access.NewContext(ctx, token), &guarded{method: method, secret: secret, hub: hub}, nil
}

// bearer gives the token of a call's header; "" if it has none.
func bearer(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return ""
	}
	scheme, secret, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// allow gives the token if it allows a call of the method in the hub, or the status why not.
func (g *guard) allow(method, secret, hub string) (access.Token, error) {
	n, known := methods[method]
	role := n.role
	if !known {
		role = access.Admin // for the text: nobody may
	}
	if role == "" {
		role = access.Reader
	}
	shown := hub
	if shown == "" {
		shown = DefaultHub
	}
	advice := fmt.Sprintf("agentrun token create --role %s --hub %s", role, shown)
	if secret == "" {
		return access.Token{}, status.Errorf(codes.Unauthenticated, "this server asks for a token: send the header \"authorization: Bearer TOKEN\"; one is made with: %s", advice)
	}
	token, err := g.access.Check(secret)
	switch {
	case errors.Is(err, access.ErrToken):
		return access.Token{}, status.Errorf(codes.Unauthenticated, "%v; another one is made with: %s", err, advice)
	case err != nil:
		g.log.Error("tokens cannot be checked, so every call is refused", "err", err)
		return access.Token{}, status.Error(codes.Internal, "the server cannot read its tokens; its log says why")
	case !known:
		return access.Token{}, status.Errorf(codes.PermissionDenied, "%s is for nobody", method)
	case n.role != "" && !token.Role.Includes(n.role):
		return access.Token{}, status.Errorf(codes.PermissionDenied, "%s needs the role %s, and token %s has the role %s; another one is made with: %s",
			path.Base(method), n.role, token.ID, token.Role, advice)
	case !n.anyHub && !token.Covers(hub):
		return access.Token{}, status.Errorf(codes.PermissionDenied, "token %s is for the task hub %s, and this call for %q; another one is made with: %s",
			token.ID, token.Hub, hub, advice)
	}
	return token, nil
}

// lasting makes a call that lasts end with its token. done tells what its error becomes.
func (g *guard) lasting(ctx context.Context, c *guarded) (_ context.Context, done func(error) error) {
	ctx, c.end = context.WithCancelCause(ctx)
	g.mu.Lock()
	g.long[c] = struct{}{}
	g.mu.Unlock()
	return ctx, func(err error) error {
		g.mu.Lock()
		delete(g.long, c)
		g.mu.Unlock()
		cause := context.Cause(ctx)
		c.end(nil)
		if _, refused := status.FromError(cause); cause != nil && refused {
			return cause
		}
		return err
	}
}

// unary is the guard of calls with one answer.
func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	ctx, call, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if call == nil || !methods[info.FullMethod].long {
		return handle(ctx, req)
	}
	ctx, done := g.lasting(ctx, call)
	resp, err := handle(ctx, req)
	if err = done(err); err != nil {
		return nil, err
	}
	return resp, nil
}

// stream is the guard of calls with a stream of answers.
func (g *guard) stream(srv any, out grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, call, err := g.admit(out.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if call == nil {
		return handle(srv, out)
	}
	ctx, done := g.lasting(ctx, call)
	return done(handle(srv, &streamIn{out, ctx}))
}

// streamIn is a stream in another context.
type streamIn struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *streamIn) Context() context.Context { return s.ctx }
