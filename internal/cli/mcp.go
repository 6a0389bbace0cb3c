package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents/mcpserver"
	"github.com/agentrun-dev/agentrun/scenario"
)

type mcpFlags struct {
	http, program string
	live          bool
}

func (a *app) mcpCommand() *cobra.Command {
	var f mcpFlags
	c := &cobra.Command{
		Use:   "mcp [PATH]",
		Short: "Serve agents as tools of the Model Context Protocol",
		Long: `Serve agents as tools to clients of the Model Context Protocol, such as editors:
the agents of a program, and the team of a scenario. PATH is as for "agentrun run".

The client starts this command and speaks with it by standard input and output.
With --http, any number of clients come to /mcp at an address of this machine.

Each call of a tool is a run. It goes on if the client or this process ends, and is
listed, shown, steered and resumed as others are. Requests to people wait in the inbox.

A store belongs to one process at a time. Where clients start this command several
times, give each a --store of its own.`,
		Example: `  agentrun mcp examples/incident
  agentrun mcp examples/hello --live --store sqlite:editor.db
  agentrun mcp scenario.yaml --http 127.0.0.1:8090`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && a.ownsDefinitions() {
				return nil
			}
			return exactly("the PATH of a scenario or program")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			return a.mcp(c.Context(), path, f)
		},
	}
	c.Flags().StringVar(&f.http, "http", "", "`ADDRESS` of this machine to serve over HTTP, in place of standard input and output; port 0 is any that is free")
	c.Flags().BoolVar(&f.live, "live", false, "ask real models, which may cost money")
	c.Flags().StringVar(&f.program, "program", "", "`DIR` of the Go program that has PATH's agents")
	return c
}

func (a *app) mcp(ctx context.Context, path string, f mcpFlags) error {
	if !a.ownsDefinitions() {
		if dir := programFor(path, f.program); dir != "" {
			return a.become(ctx, dir)
		}
	}
	lis, err := listenHere(ctx, f.http)
	if err != nil {
		return err
	}
	if lis != nil {
		defer lis.Close()
	}
	sc, tags, err := a.loadServed(path, f.live)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, scenario.Options{Scenario: sc, Live: f.live, Tags: tags})
	if err != nil {
		return err
	}
	return a.with(s, func() error {
		list, err := a.served(s, sc)
		if err != nil {
			return err
		}
		server, err := mcpserver.New(s.Runtime, mcpserver.Options{Version: version(), Tags: tags}, list...)
		if err != nil {
			return usage(err)
		}
		if lis != nil {
			return a.mcpHTTP(ctx, lis, server)
		}
		defer server.Close()
		return server.Serve(ctx, os.Stdin, os.Stdout)
	})
}

// loadServed reads the scenario at path, if there is one, with the tags of its runs. A
// program has none to have.
func (a *app) loadServed(path string, live bool) (*scenario.Scenario, map[string]string, error) {
	tags := map[string]string{}
	if path != "" && (!isProgram(path) || hasYAML(path)) {
		sc, err := a.load(path)
		if err != nil {
			return nil, nil, err
		}
		tags, err = a.tags(sc, live)
		return sc, tags, err
	}
	if live {
		tags[scenario.TagLive] = "true"
	}
	if a.dir == "" {
		return nil, tags, nil
	}
	var err error
	tags[scenario.TagProgram], err = portable(a.dir)
	return nil, tags, err
}

// served are the program's agents and the scenario's team.
func (a *app) served(s *scenario.Session, sc *scenario.Scenario) (list []mcpserver.Tool, err error) {
	has := map[string]bool{}
	for _, agent := range a.program.Agents {
		has[agent.Name()] = true
		list = append(list, mcpserver.Agent(agent))
	}
	switch {
	case sc == nil:
	case s.Team() != nil && has[sc.Name]:
		return nil, usagef("both the scenario %s and an agent of the program are named %s; rename one", sc.Path(), sc.Name)
	case s.Team() != nil:
		description := sc.Description
		if description == "" {
			description = "Ask the team " + sc.Name + "."
		}
		list = append(list, mcpserver.Orchestration(sc.Name, description, s.Team()))
	case sc.Team.Agent != "" && !has[sc.Team.Agent]:
		list = append(list, mcpserver.Agent(s.Agent(sc.Team.Agent)))
	}
	if len(list) == 0 {
		return nil, usagef("there is no agent to serve: the team is an orchestration, which says nothing of its input")
	}
	return list, nil
}

// listenHere listens on an address of this machine; nil where none is given.
func listenHere(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, setupf("--http: %w", err)
	}
	if at, ok := lis.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return nil, errors.Join(usagef("--http %s: give an address of this machine alone, such as 127.0.0.1:8090: nobody is asked who he is", address), lis.Close())
	}
	return lis, nil
}

// mcpReady is what is known of a server that is there.
type mcpReady struct {
	Ready bool   `json:"ready"`
	URL   string `json:"url"`
	Store string `json:"store"`
	PID   int    `json:"pid"`
}

// mcpHTTP serves until ctx ends.
func (a *app) mcpHTTP(ctx context.Context, lis net.Listener, server *mcpserver.Server) error {
	mux := http.NewServeMux()
	mux.Handle("/mcp", server)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(lis) }()
	r := mcpReady{true, "http://" + lis.Addr().String() + "/mcp", a.store, os.Getpid()}
	err := a.printMCPReady(r)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	return errors.Join(err, server.Close(), h.Close())
}

func (a *app) printMCPReady(r mcpReady) error {
	if a.format != formatTable {
		return a.printJSON(r)
	}
	return a.printText(fmt.Sprintf("ready: %s\n  store: %s\n  stop:  Ctrl-C, or kill %d", r.URL, r.Store, r.PID))
}
