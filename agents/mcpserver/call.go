package mcpserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// RunMeta is the name in a result's _meta under which the client is told the id of the run.
const RunMeta = "agentrun/run"

// Tags of a run that a client has started.
const (
	toolTag      = "mcp.tool"
	argumentsTag = "mcp.arguments" // their digest
)

// call answers a call of a tool with the result of its run.
func (s *Server) call(ctx context.Context, t Tool, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errEnding) })()
	if connection, ok := ctx.Value(connectionKey{}).(context.Context); ok {
		defer context.AfterFunc(connection, func() { cancel(errEnding) })()
	}
	arguments := string(r.Params.Arguments)
	id, err := s.runID(r, t.Name(), arguments)
	if err != nil {
		return failure("", err), nil
	}
	leave := s.enter(id)
	defer leave(ctx)
	progress := s.follow(ctx, id, r)
	defer progress.stop()
	joined, err := s.start(ctx, t, id, arguments)
	if err != nil {
		return failure("", err), nil
	}
	if joined {
		progress.asked(ctx)
	}
	state, err := s.rt.Client().Wait(ctx, id)
	progress.stop()
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errEnding):
		return failure(id, fmt.Errorf("%w: run %s goes on, and the same call with its idempotency key gets its result", errEnding, id)), nil
	case err != nil:
		return failure(id, err), nil
	}
	if err := state.Err(); err != nil {
		return failure(id, fmt.Errorf("run %s: %w", id, err)), nil
	}
	ans, err := t.finish(state)
	if err != nil {
		return failure(id, err), nil
	}
	res := &sdk.CallToolResult{Meta: sdk.Meta{RunMeta: id}, Content: []sdk.Content{&sdk.TextContent{Text: ans.text}}}
	if ans.structured != nil {
		res.StructuredContent = ans.structured
	}
	return res, nil
}

var errEnding = errors.New("the server ends")

// failure is an error that the client's model is shown.
func failure(id string, err error) *sdk.CallToolResult {
	res := &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: tools.ErrorResult(err).Content}}}
	if id != "" {
		res.Meta = sdk.Meta{RunMeta: id}
	}
	return res
}

// start begins the run, or joins the one that an earlier call has begun.
func (s *Server) start(ctx context.Context, t Tool, id, arguments string) (joined bool, err error) {
	tags := map[string]string{toolTag: t.Name(), argumentsTag: tools.Digest(arguments)}
	_, err = t.shape.Call(
		context.WithValue(ctx, startingKey{}, starting{s.rt.Client(), []durable.CallOption{durable.WithInstanceID(id), durable.WithTags(s.opts.Tags), durable.WithTags(tags)}}),
		tools.Call{Key: id, Arguments: arguments})
	if !errors.Is(err, durable.ErrExists) {
		return false, err
	}
	old, err := s.rt.Client().Get(ctx, id)
	if err != nil {
		return false, err
	}
	if old.Tags[toolTag] != tags[toolTag] || old.Tags[argumentsTag] != tags[argumentsTag] {
		return false, errors.New("this idempotency key belongs to a call with other arguments: a new call needs a new key")
	}
	return true, nil
}

// runID is the id of the run that a call is about: the same for the same call.
func (s *Server) runID(r *sdk.CallToolRequest, tool, arguments string) (string, error) {
	caller, request := "", ""
	if e := r.Extra; e != nil {
		if e.TokenInfo != nil {
			caller = e.TokenInfo.UserID
		}
		if s.opts.Caller != nil {
			caller += "\x00" + s.opts.Caller(e.Header)
		}
		request = e.Header.Get(requestHeader)
	}
	parts := []string{"random", rand.Text()}
	switch key := r.Params.Meta[mcp.KeyMeta].(type) {
	case nil:
		if session := r.Session.ID(); session != "" && request != "" {
			parts = []string{"request", session, request, tools.Digest(arguments)}
		}
	case string:
		if key == "" || len(key) > 1<<10 {
			return "", fmt.Errorf("the idempotency key has %d bytes: there must be some, and at most 1024", len(key))
		}
		parts = []string{"key", key}
	default:
		return "", errors.New("the idempotency key is not a string")
	}
	b, err := json.Marshal(append([]string{caller, tool}, parts...)) // so that no two lists are the same bytes
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return "mcp-" + hex.EncodeToString(sum[:16]), nil
}

// enter counts a call that waits for a run. When the last one leaves because its client has cancelled it, the run is
// cancelled too.
func (s *Server) enter(id string) (leave func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[id]++
	return func(ctx context.Context) {
		s.mu.Lock()
		s.waiting[id]--
		last := s.waiting[id] == 0
		if last {
			delete(s.waiting, id)
		}
		s.mu.Unlock()
		// A connection that breaks ends ctx too, but with another cause.
		if !last || s.opts.LeaveRunning || ctx.Err() == nil || !errors.Is(context.Cause(ctx), context.Canceled) {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := s.rt.Client().Cancel(ctx, id, "the MCP client cancelled its request"); err != nil {
			s.opts.Logger.Warn("cancel a run", "run", id, "error", err)
		}
	}
}

// requestHeader carries a request's id from its body to its handler. It is set here whatever the client says.
const requestHeader = "Agentrun-Request-Id"

// numbered notes the ids of requests, which the protocol's library keeps to itself.
func numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(requestHeader)
		if r.Method == http.MethodPost && r.Body != nil {
			body, err := io.ReadAll(io.LimitReader(r.Body, sdk.DefaultMaxRequestBodyBytes))
			var m struct {
				ID json.RawMessage `json:"id"`
			}
			if err == nil && json.Unmarshal(body, &m) == nil && len(m.ID) > 0 && len(m.ID) <= 1<<10 && !bytes.ContainsAny(m.ID, "\r\n") {
				r.Header.Set(requestHeader, string(m.ID))
			}
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		}
		next.ServeHTTP(w, r)
	})
}
