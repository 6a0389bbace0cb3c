package scenario

import (
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// Toolset is where agents of a scenario have tools from that the program does not offer: exactly one
// of Files, Shell, HTTP and MCP is set. A folder in it is relative to the scenario's directory and
// stays in it, unless Outside is set. Secrets are the names of environment variables.
type Toolset struct {
	// Files are the tools for files below a folder, see package filetool.
	Files *FileTools `yaml:"files"`
	// Shell is a tool that runs programs of a list, see package shelltool. It has the toolset's name.
	Shell *ShellTool `yaml:"shell"`
	// HTTP is a tool that gets URLs, see package httptool. It has the toolset's name.
	HTTP *HTTPTool `yaml:"http"`
	// MCP are the tools of a server that speaks the Model Context Protocol, see package mcp.
	MCP *MCPServer `yaml:"mcp"`

	// Only, if there are any, are the tools to take. Here, and in Effects and Approvals, names are
	// without the prefix.
	Only []string `yaml:"only"`
	// Prefix is put before the names of the tools.
	Prefix string `yaml:"prefix"`
	// Effects say what calling a tool again does: unsafe, idempotent or pure.
	Effects map[string]string `yaml:"effects"`
	// Approvals say which tools need a person's approval; the one under "*" is for all others.
	Approvals map[string]tools.Approval `yaml:"approvals"`
	// Outside allows a folder that is absolute, or outside of the scenario's directory.
	Outside bool `yaml:"outside"`
}

// FileTools are the tools for files below a folder.
type FileTools struct {
	// Root is the folder, which is there.
	Root string `yaml:"root"`
	// ReadOnly leaves out the tools that change anything.
	ReadOnly bool `yaml:"readOnly"`
	// Allow are patterns of the files that may be seen and used; empty: all.
	Allow []string `yaml:"allow"`
}

// ShellTool runs programs without a shell.
type ShellTool struct {
	// Programs may be run. They are looked for in PATH. There is at least one.
	Programs []string `yaml:"programs"`
	// Dir is the working directory; "": the scenario's.
	Dir string `yaml:"dir"`
	// Env are the names of the environment variables that the programs see.
	Env []string `yaml:"env"`
	// Timeout is how long a program may run; 0: a minute.
	Timeout time.Duration `yaml:"timeout"`
}

// HTTPTool gets URLs.
type HTTPTool struct {
	// Hosts may be asked: api.example.com, *.example.com, api.example.com:8443. There is at least one.
	Hosts []string `yaml:"hosts"`
	// Secrets are headers, and the environment variables that hold their values.
	Secrets map[string]string `yaml:"secrets"`
}

// MCPServer is a server that is started or asked over HTTP: one of Command and URL is set.
type MCPServer struct {
	// Command is a program, looked for in PATH, and its arguments.
	Command []string `yaml:"command"`
	// Dir is where it runs; "": the scenario's directory.
	Dir string `yaml:"dir"`
	// Env are the names of the environment variables that it sees, beside PATH, HOME and the like.
	Env []string `yaml:"env"`
	// URL is the endpoint of a server over streamable HTTP.
	URL string `yaml:"url"`
	// Secrets are headers, and the environment variables that hold their values.
	Secrets map[string]string `yaml:"secrets"`
	// Trust believes what the server says of its tools' effects.
	Trust bool `yaml:"trust"`
}

var (
	variableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	prefixPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{0,32}$`)
	programName   = regexp.MustCompile(`^[a-zA-Z0-9_.+-]+$`)

	effects = map[string]tools.Effect{"unsafe": tools.EffectUnsafe, "idempotent": tools.EffectIdempotent, "pure": tools.EffectPure}
)

// toolset checks one of the scenario's toolsets.
func (c checker) toolset(name string) {
	t := c.Toolsets[name]
	at := func(path ...any) []any { return append([]any{"toolsets", name}, path...) }
	if !agentPattern.MatchString(name) {
		c.at("the toolset name %s must match %s; use letters, digits, _ and -", []any{quote(name), agentPattern}, at()...)
	}
	var set []string
	for _, key := range []string{"files", "shell", "http", "mcp"} {
		if c.places.has(at(key)...) {
			set = append(set, key)
		}
	}
	if len(set) != 1 {
		if at := c.places.find(at()...); !at.spoiled() {
			c.add(at.position, "the toolset %s must have one of files, shell, http and mcp", quote(name))
		}
		return
	}
	switch {
	case t.Files != nil:
		if t.Files.Root == "" {
			c.at("the files have no root; add root: with a folder, . for the scenario's", nil, at("files", "root")...)
		}
		c.folder(t.Files.Root, t.Outside, at("files", "root")...)
	case t.Shell != nil:
		c.shell(t, at)
	case t.HTTP != nil:
		if len(t.HTTP.Hosts) == 0 {
			c.at("there are no hosts; add hosts: with those that may be asked", nil, at("http", "hosts")...)
		}
		c.variables(t.HTTP.Secrets, at("http", "secrets")...)
	case t.MCP != nil:
		c.mcp(t, at)
	}
	c.names(t.Only, at("only")...)
	if !prefixPattern.MatchString(t.Prefix) {
		c.at("the prefix %s must match %s", []any{quote(t.Prefix), prefixPattern}, at("prefix")...)
	}
	for tool, effect := range t.Effects {
		if _, ok := effects[effect]; !ok {
			c.at("the effect %s is not known; use unsafe, idempotent or pure", []any{quote(effect)}, at("effects", tool)...)
		}
	}
	for tool, a := range t.Approvals {
		if a.Needed < 0 {
			c.at("needed must be at least 1", nil, at("approvals", tool, "needed")...)
		}
	}
}

func (c checker) shell(t Toolset, at func(...any) []any) {
	if len(t.Shell.Programs) == 0 {
		c.at("there are no programs; add programs: with those that may be run", nil, at("shell", "programs")...)
	}
	for i, program := range t.Shell.Programs {
		if !programName.MatchString(program) {
			c.at("the program %s must be a name, which is looked for in PATH, not a path or a command line", []any{quote(program)}, at("shell", "programs", i)...)
		}
	}
	c.folder(t.Shell.Dir, t.Outside, at("shell", "dir")...)
	c.variableNames(t.Shell.Env, at("shell", "env")...)
}

func (c checker) mcp(t Toolset, at func(...any) []any) {
	m := t.MCP
	has := func(key string) bool { return c.places.has(at("mcp", key)...) }
	switch {
	case has("command") == has("url"):
		c.at("an MCP server has either command: or url:", nil, at("mcp")...)
	case has("command"):
		if len(m.Command) == 0 || m.Command[0] == "" {
			c.empty(at("mcp", "command")...)
		}
		if has("secrets") {
			c.at("secrets are the headers of a url; give a command its variables by env:", nil, at("mcp", "secrets")...)
		}
	default:
		if u, err := url.Parse(m.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.at("the url is not one of http or https", nil, at("mcp", "url")...) // it may hold a key
		} else if u.User != nil {
			c.at("the url has a password; put it into an environment variable and name that in secrets:", nil, at("mcp", "url")...)
		}
		for _, key := range []string{"dir", "env"} {
			if has(key) {
				c.at("%s is for a command; remove it", []any{key}, at("mcp", key)...)
			}
		}
	}
	c.folder(m.Dir, t.Outside, at("mcp", "dir")...)
	c.variableNames(m.Env, at("mcp", "env")...)
	c.variables(m.Secrets, at("mcp", "secrets")...)
}

// folder checks that a folder is in the scenario's directory, as far as its name tells.
func (c checker) folder(dir string, outside bool, path ...any) {
	if dir != "" && !outside && !filepath.IsLocal(filepath.FromSlash(dir)) {
		c.at("the folder %s is not in the scenario's directory; move it there, or add outside: true to the toolset", []any{quote(dir)}, path...)
	}
}

// variableNames checks the names of environment variables. What is none may be a secret.
func (c checker) variableNames(names []string, path ...any) {
	for i, name := range names {
		if !variableName.MatchString(name) {
			c.at("an element is not the name of an environment variable; values do not belong into a scenario", nil, append(slices.Clone(path), i)...)
		}
	}
}

func (c checker) variables(secrets map[string]string, path ...any) {
	for header, name := range secrets {
		if !variableName.MatchString(name) {
			c.at("the secret of header %s is not the name of an environment variable; put its value into one", []any{quote(header)}, append(slices.Clone(path), header)...)
		}
	}
}

// knowsTools says that the names of all tools of an agent are known before it runs.
func (a *Agent) knowsTools() bool { return len(a.Toolsets) == 0 }

// ownTool checks a name that must be among the agent's tools.
func (c checker) ownTool(i int, tool string, path ...any) {
	if a := &c.Agents[i]; a.knowsTools() && tool != "" && !slices.Contains(a.Tools, tool) {
		c.at("the agent has no tool %s; %s", []any{quote(tool), choice("tools", a.Tools)}, path...)
	}
}

// toolsetNames checks the toolsets that an agent names.
func (c checker) toolsetNames(i int) {
	c.names(c.Agents[i].Toolsets, "agents", i, "toolsets")
	for j, name := range c.Agents[i].Toolsets {
		if _, ok := c.Toolsets[name]; !ok && name != "" {
			c.at("unknown toolset %s; %s", []any{quote(name), choice("toolsets", slices.Collect(maps.Keys(c.Toolsets)))}, "agents", i, "toolsets", j)
		}
	}
}

// settings checks what an agent's model is asked with, and how it is run.
func (c checker) settings(i int) {
	a := &c.Agents[i]
	for _, n := range []struct {
		key   string
		value int
	}{{"maxTurns", a.MaxTurns}, {"maxTokens", a.MaxTokens}, {"maxContext", a.MaxContext}, {"window", a.Window}} {
		if n.value < 1 && c.places.has("agents", i, n.key) {
			c.at("%s must be at least 1", []any{n.key}, "agents", i, n.key)
		}
	}
	if t := a.Temperature; t != nil && !(*t >= 0 && *t <= 2) {
		c.at("the temperature is %v; write a number from 0 to 2", []any{*t}, "agents", i, "temperature")
	}
	if p := a.TopP; p != nil && !(*p >= 0 && *p <= 1) {
		c.at("topP is %v; write a number from 0 to 1", []any{*p}, "agents", i, "topP")
	}
	for _, s := range []struct{ key, value string }{{"toolChoice", a.ToolChoice}, {"reasoningEffort", a.ReasoningEffort}, {"summarizer", a.Summarizer}} {
		if strings.TrimSpace(s.value) == "" && c.places.has("agents", i, s.key) {
			c.empty("agents", i, s.key)
		}
	}
	if !slices.Contains([]string{"auto", "none", "required"}, a.ToolChoice) {
		c.ownTool(i, a.ToolChoice, "agents", i, "toolChoice")
	}
	c.names(a.StopTools, "agents", i, "stopTools")
	for j, tool := range a.StopTools {
		c.ownTool(i, tool, "agents", i, "stopTools", j)
	}
	if c.places.has("agents", i, "onMaxTurns") && a.OnMaxTurns != "fail" && a.OnMaxTurns != "summary" {
		c.at("onMaxTurns is %s; use fail or summary", []any{quote(a.OnMaxTurns)}, "agents", i, "onMaxTurns")
	}
}
