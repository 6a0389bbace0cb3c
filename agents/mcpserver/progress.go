package mcpserver

import (
	"context"
	"fmt"
	"sync"

	"github.com/agentrun-dev/agentrun/agents"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// progress tells a client what happens in the run that it waits for.
type progress struct {
	server *Server
	run    string
	stop   func() // returns when nothing more will be said; may be called again
	tell   func(ctx context.Context, message string)
}

// follow begins to tell, if the client has asked for it.
func (s *Server) follow(ctx context.Context, id string, r *sdk.CallToolRequest) *progress {
	p := &progress{server: s, run: id, stop: func() {}}
	token := r.Params.GetProgressToken()
	if token == nil {
		return p
	}
	var mu sync.Mutex
	said := 0.0
	p.tell = func(ctx context.Context, message string) {
		mu.Lock()
		defer mu.Unlock()
		said++
		err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: said, Message: message})
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.Warn("tell of progress", "run", id, "error", err)
		}
	}
	f := s.rt.Stream().Follow(id) // before the run begins, to miss nothing
	ended, idle := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(idle)
		for {
			last := false
			select {
			case <-f.Ready():
			case <-ended:
				last = true
			}
			for _, ev := range f.Take() {
				if message := describe(ev); message != "" {
					p.tell(ctx, message)
				}
			}
			if last {
				return
			}
		}
	}()
	p.stop = sync.OnceFunc(func() {
		f.Stop()
		close(ended)
		<-idle
	})
	return p
}

// asked tells of requests that have been waiting since before the client came.
func (p *progress) asked(ctx context.Context) {
	if p.tell == nil {
		return
	}
	list, err := agents.Inbox(ctx, p.server.rt.Client(), p.run, true)
	if err != nil {
		return // it is told of new ones; the call's own errors say what is wrong
	}
	for _, a := range list {
		p.tell(ctx, waits(a.ID, a.Tool, a.Question))
	}
}

// waits says that people must decide.
func waits(id, tool, question string) string {
	about := ""
	if tool != "" {
		about = " about a call of " + tool
	}
	if question != "" {
		question = ": " + question
	}
	return fmt.Sprintf("waits for a decision%s, request %s%s", about, id, question)
}

// describe words an event for people; "" for those that say nothing to them.
func describe(ev agents.Event) string {
	switch ev.Kind {
	case agents.EventAgent:
		return ev.Agent + " begins"
	case agents.EventTurn:
		return fmt.Sprintf("%s: turn %d", ev.Agent, ev.Turn)
	case agents.EventTool:
		if ev.Undo {
			return fmt.Sprintf("%s takes back a call of %s", ev.Agent, ev.Tool)
		}
		return fmt.Sprintf("%s calls %s", ev.Agent, ev.Tool)
	case agents.EventResult:
		if ev.Error != "" {
			return fmt.Sprintf("%s: %s failed", ev.Agent, ev.Tool)
		}
		if ev.Undo {
			return fmt.Sprintf("%s: a call of %s is taken back", ev.Agent, ev.Tool)
		}
		return fmt.Sprintf("%s: %s is done", ev.Agent, ev.Tool)
	case agents.EventApproval:
		return waits(ev.Approval, ev.Tool, ev.Text)
	case agents.EventDecided:
		return "request " + ev.Approval + " is decided"
	case agents.EventAgentEnd:
		return ev.Agent + " is done"
	}
	return ""
}
