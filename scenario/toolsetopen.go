package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/filetool"
	"github.com/agentrun-dev/agentrun/tools/httptool"
	"github.com/agentrun-dev/agentrun/tools/mcp"
	"github.com/agentrun-dev/agentrun/tools/shelltool"
)

// opened are the toolsets of a scenario, and what must be closed with them.
type opened struct {
	sets    map[string]tools.Toolset
	closers []io.Closer
}

// Close closes them.
func (o *opened) Close() error {
	var errs []error
	for _, c := range o.closers {
		errs = append(errs, c.Close())
	}
	o.closers = nil
	return errors.Join(errs...)
}

// openToolsets opens the toolsets that agents of the scenario use. A server is not
// started before it is asked for its tools.
func (s *Scenario) openToolsets() (*opened, error) {
	o := &opened{sets: map[string]tools.Toolset{}}
	p := &problems{file: s.path}
	for _, name := range slices.Sorted(maps.Keys(s.Toolsets)) {
		if !slices.ContainsFunc(s.Agents, func(a Agent) bool { return slices.Contains(a.Toolsets, name) }) {
			continue
		}
		set, err := s.openToolset(o, name)
		if err != nil {
			p.add(s.places.find("toolsets", name).position, "%v", err)
			continue
		}
		o.sets[name] = set
	}
	if err := p.err(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func (s *Scenario) openToolset(o *opened, name string) (tools.Toolset, error) {
	t := s.Toolsets[name]
	switch {
	case t.Files != nil:
		root, err := s.folder(t.Files.Root, t.Outside)
		if err != nil {
			return nil, fmt.Errorf("toolset %s: %w", name, err)
		}
		set, err := filetool.Open(name, filetool.Config{Root: root, Allow: t.Files.Allow, ReadOnly: t.Files.ReadOnly})
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, set)
		return t.shape(set), nil
	case t.Shell != nil:
		return s.openShell(name, t)
	case t.HTTP != nil:
		return openHTTP(name, t)
	}
	return s.openMCP(o, name, t)
}

func (s *Scenario) openShell(name string, t Toolset) (tools.Toolset, error) {
	dir, err := s.folder(t.Shell.Dir, t.Outside)
	if err != nil {
		return nil, fmt.Errorf("toolset %s: %w", name, err)
	}
	c := shelltool.Config{Programs: map[string]shelltool.Program{}, Dir: dir, Env: t.Shell.Env, Timeout: t.Shell.Timeout}
	for _, program := range t.Shell.Programs {
		c.Programs[program] = shelltool.Program{}
	}
	tool, err := shelltool.New(name, "Run a program, without a shell, and see its output and exit code.", c)
	if err != nil {
		return nil, err
	}
	return t.shape(tools.Static(name, tool)), nil
}

func openHTTP(name string, t Toolset) (tools.Toolset, error) {
	schema := []byte(`{"type":"object","properties":{"url":{"type":"string","description":"The whole URL, with https://"}},"required":["url"],"additionalProperties":false}`)
	r := httptool.Request{Method: http.MethodGet, URL: "{url}", Hosts: t.HTTP.Hosts, Secrets: map[string]httptool.Secret{}}
	for header, variable := range t.HTTP.Secrets {
		r.Secrets[header] = httptool.Env(variable)
	}
	tool, err := httptool.Raw(name, fmt.Sprintf("Get what is at a URL of %s.", clip(t.HTTP.Hosts, 10)), schema, r)
	if err != nil {
		return nil, err
	}
	return t.shape(tools.Static(name, tool)), nil
}

func (s *Scenario) openMCP(o *opened, name string, t Toolset) (tools.Toolset, error) {
	via, err := s.transport(t)
	if err != nil {
		return nil, fmt.Errorf("toolset %s: %w", name, err)
	}
	options := mcp.Options{
		Prefix: t.Prefix, Only: t.Only, TrustAnnotations: t.MCP.Trust, Approvals: t.Approvals, Effects: map[string]tools.Effect{},
		OnProgress: func(ctx context.Context, p mcp.Progress) { tools.Progress(ctx, progressText(p)) },
	}
	for tool, effect := range t.Effects {
		options.Effects[tool] = effects[effect]
	}
	server, err := mcp.Open(name, via, options)
	if err != nil {
		return nil, err
	}
	o.closers = append(o.closers, server)
	return server, nil
}

// progressText is what an MCP server says of a call under way.
func progressText(p mcp.Progress) string {
	switch {
	case p.Message != "":
		return p.Message
	case p.Total > 0:
		return fmt.Sprintf("%g of %g", p.Done, p.Total)
	}
	return fmt.Sprintf("%g", p.Done)
}

func (s *Scenario) transport(t Toolset) (mcp.Transport, error) {
	m := t.MCP
	if m.URL != "" {
		headers := map[string]string{}
		for header, variable := range m.Secrets {
			value, err := secret(variable)
			if err != nil {
				return nil, err
			}
			headers[header] = value
		}
		return mcp.HTTP(m.URL, headers), nil
	}
	dir, err := s.folder(m.Dir, t.Outside)
	if err != nil {
		return nil, err
	}
	via := mcp.Stdio(m.Command[0], m.Command[1:]...)
	via.Dir = dir
	for _, variable := range m.Env {
		value, err := secret(variable)
		if err != nil {
			return nil, err
		}
		via.Env = append(via.Env, variable+"="+value)
	}
	return via, nil
}

func secret(variable string) (string, error) {
	value := os.Getenv(variable)
	if value == "" {
		return "", fmt.Errorf("the environment variable %s is not set", variable)
	}
	return value, nil
}

// folder gives the absolute path of a folder that a toolset names. No link on the way
// leads out of the scenario's directory, unless outside allows it.
func (s *Scenario) folder(name string, outside bool) (string, error) {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		if !outside {
			return "", fmt.Errorf("the folder %s is not in the scenario's directory", name)
		}
		return name, nil
	}
	base, err := filepath.Abs(s.Dir())
	if err != nil {
		return "", err
	}
	if outside {
		return filepath.Join(base, name), nil
	}
	if base, err = filepath.EvalSymlinks(base); err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(base, name))
	if err != nil {
		return "", fmt.Errorf("the folder %s: %w", name, err)
	}
	if rel, err := filepath.Rel(base, real); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("the folder %s is a link out of the scenario's directory; name where it leads, and add outside: true", name)
	}
	return real, nil
}

// shape makes the tools of a set what the scenario says of them.
func (t *Toolset) shape(set tools.Toolset) tools.Toolset {
	if len(t.Only) > 0 {
		set = tools.Filter(set, func(tool tools.Tool) bool { return slices.Contains(t.Only, tool.Name()) })
	}
	set = tools.WithOptions(set, func(tool tools.Tool) (opts []tools.Option) {
		switch t.Effects[tool.Name()] {
		case "pure":
			opts = append(opts, tools.Pure())
		case "idempotent":
			opts = append(opts, tools.Idempotent())
		case "unsafe":
			opts = append(opts, tools.Unsafe())
		}
		a, ok := t.Approvals[tool.Name()]
		if !ok {
			a, ok = t.Approvals["*"]
		}
		if ok {
			opts = append(opts, tools.NeedsApproval(a))
		}
		return opts
	})
	if t.Prefix != "" {
		set = tools.Prefix(set, t.Prefix)
	}
	return set
}
