package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what one tool brings.
const (
	maxDescription = 16 << 10
	maxSchema      = 256 << 10
	maxToolName    = 256
)

// How long a list is good. Whoever runs a tool may ask for it by its set each time.
const (
	listAge  = time.Minute      // of a server that says when it changes, or that is busy
	quietAge = 10 * time.Second // of another one
)

// listed is what a server has listed.
type listed struct {
	from    *session
	at      time.Time
	tools   []tools.Tool
	skipped []Skipped
	remote  map[string]string // names: ours to the server's
}

// Tools lists the server's tools, all pages of them, in its order. A list is kept for a minute at most, and until the
// server tells of a change; of a server that does not tell of changes for ten seconds.
//
// It implements tools.Toolset. The tools that could not be used are not among them, see [Server.Skipped]; a call of
// one that the server has since removed is an error for the model.
func (s *Server) Tools(ctx context.Context) ([]tools.Tool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ConnectTimeout+s.opts.ListTimeout)
	defer cancel()
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, s.failed("list tools", ctx.Err())
	}
	for n := 1; ; n++ {
		c, err := s.connected(ctx)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		l := s.list
		s.mu.Unlock()
		if l.good(c) {
			return slices.Clone(l.tools), nil
		}
		c.stale.Store(false) // before: a change while it is listed counts
		l, err = s.collect(ctx, c)
		if err == nil {
			s.mu.Lock()
			s.list = l
			s.mu.Unlock()
			return slices.Clone(l.tools), nil
		}
		c.stale.Store(true)
		if unusable := (*listError)(nil); !errors.As(err, &unusable) && s.ctx.Err() == nil {
			slow := errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil
			if !slow || c.calls.Load() == 0 { // one that is busy is not cut off in the middle of its work
				s.drop(c)
			}
			if n < tries && !slow {
				continue
			}
		}
		if s.ctx.Err() != nil {
			err = errClosed
		}
		return nil, s.failed("list tools", err)
	}
}

// good reports whether the list need not be asked for again.
func (l *listed) good(c *session) bool {
	if l == nil || l.from != c || c.stale.Load() {
		return false
	}
	if c.announce || c.calls.Load() > 0 {
		return time.Since(l.at) < listAge
	}
	return time.Since(l.at) < quietAge
}

// Skipped gives what could not be used when the tools were last listed, in the server's order: tools, and names in
// the options that are none of the server's.
func (s *Server) Skipped() []Skipped {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		return nil
	}
	return slices.Clone(s.list.skipped)
}

// RemoteName gives the server's name of a tool that was listed, and whether there is one.
func (s *Server) RemoteName(tool string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		return "", false
	}
	name, ok := s.list.remote[tool]
	return name, ok
}

// listError is about what the server lists: asking again does not help.
type listError struct{ text string }

func (e *listError) Error() string { return e.text }

// collect lists all pages.
func (s *Server) collect(ctx context.Context, c *session) (*listed, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ListTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	l := &listed{from: c, at: time.Now(), remote: map[string]string{}}
	seen := map[string]bool{"": true} // cursors
	names := map[string]bool{}
	size := 0
	for cursor := ""; ; {
		page, err := c.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tools {
			if t == nil {
				continue
			}
			if names[t.Name] {
				l.skip(t.Name, "the server lists it twice")
				continue
			}
			names[t.Name] = true
			if size += s.add(l, t); size > s.opts.MaxMessage {
				return nil, &listError{fmt.Sprintf("its list of tools is longer than %d bytes (see Options.MaxMessage)", s.opts.MaxMessage)}
			}
		}
		if len(names)+len(l.skipped) > s.opts.MaxTools {
			return nil, &listError{fmt.Sprintf("it lists more than %d tools (see Options.MaxTools)", s.opts.MaxTools)}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
		if seen[cursor] || len(cursor) > 64<<10 || len(seen) > s.opts.MaxTools {
			return nil, &listError{fmt.Sprintf("its list of tools does not end after %d pages", len(seen))}
		}
		seen[cursor] = true
	}
	for _, name := range s.unknown(names) {
		l.skip(name, "the options name it, and the server does not list it")
	}
	for _, sk := range l.skipped {
		s.log.Warn("tool left out", "tool", sk.Tool, "reason", sk.Reason)
	}
	return l, nil
}

// unknown gives the names in the options that the server has no tool of.
func (s *Server) unknown(listed map[string]bool) []string {
	named := map[string]bool{}
	for _, name := range s.opts.Only {
		named[name] = true
	}
	for name := range s.opts.Effects {
		named[name] = true
	}
	for name := range s.opts.Approvals {
		named[name] = name != "*"
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if named[name] && !listed[name] {
			list = append(list, name)
		}
	}
	return list
}

func (l *listed) skip(tool, reason string) {
	l.skipped = append(l.skipped, Skipped{Tool: clip(tool, maxToolName), Reason: clip(reason, 1<<10)})
}

// add takes a tool of the server up, or says why not. It gives how long its description is.
func (s *Server) add(l *listed, t *sdk.Tool) (size int) {
	schema, err := json.Marshal(t.InputSchema)
	size = len(t.Name) + len(t.Description) + len(schema)
	if len(s.opts.Only) > 0 && !slices.Contains(s.opts.Only, t.Name) {
		return size
	}
	if err == nil {
		schema, err = usable(t.InputSchema, schema)
	}
	var tool tools.Tool
	if err == nil {
		tool, err = s.tool(t, schema)
	}
	if err != nil {
		l.skip(t.Name, err.Error())
		return size
	}
	if other, ok := l.remote[tool.Name()]; ok {
		l.skip(t.Name, fmt.Sprintf("its name would be %s, which %s has", tool.Name(), other))
		return size
	}
	l.remote[tool.Name()] = t.Name
	l.tools = append(l.tools, tool)
	return size
}

// tool makes a tool of the server one of ours.
func (s *Server) tool(t *sdk.Tool, schema json.RawMessage) (tool tools.Tool, err error) {
	defer func() { // the schema is the server's, and goes through libraries
		if v := recover(); v != nil {
			err = fmt.Errorf("its schema cannot be used: %v", v)
		}
	}()
	if t.Name == "" || len(t.Name) > maxToolName {
		return tools.Tool{}, fmt.Errorf("its name has %d bytes: there must be some, and at most %d", len(t.Name), maxToolName)
	}
	r := &remote{server: s, name: t.Name, local: localName(s.opts.Prefix, t.Name), effect: s.effect(t)}
	opts := []tools.Option{effects[r.effect](), tools.MaxResult(s.opts.MaxResult)}
	if s.opts.CallTimeout > 0 {
		opts = append(opts, tools.Timeout(s.opts.CallTimeout))
	}
	need, ok := s.opts.Approvals[t.Name]
	if !ok {
		need, ok = s.opts.Approvals["*"]
	}
	if ok {
		opts = append(opts, tools.NeedsApproval(need))
	}
	return tools.Raw(r.local, clip(strings.ToValidUTF8(t.Description, "\uFFFD"), maxDescription), schema, r.call, opts...)
}

var effects = map[tools.Effect]func() tools.Option{
	tools.EffectUnsafe: tools.Unsafe, tools.EffectPure: tools.Pure, tools.EffectIdempotent: tools.Idempotent,
}

// effect decides what repeating a call of the tool does.
func (s *Server) effect(t *sdk.Tool) tools.Effect {
	if e, ok := s.opts.Effects[t.Name]; ok {
		return e
	}
	switch a := t.Annotations; {
	case a == nil || !s.opts.TrustAnnotations:
		return tools.EffectUnsafe
	case a.ReadOnlyHint:
		return tools.EffectPure
	case a.IdempotentHint:
		return tools.EffectIdempotent
	}
	return tools.EffectUnsafe
}

// localName makes a name that model APIs take: the prefix and the server's name, or what is left of that and a piece
// of its hash.
func localName(prefix, name string) string {
	if local := prefix + name; validName.MatchString(local) {
		return local
	}
	readable := strings.Map(func(r rune) rune {
		if r < 0x80 && validName.MatchString(string(r)) {
			return r
		}
		return '_'
	}, name)
	sum := sha256.Sum256([]byte(name))
	hash := "_" + hex.EncodeToString(sum[:])[:8]
	return prefix + readable[:min(len(readable), 64-len(prefix)-len(hash))] + hash
}
