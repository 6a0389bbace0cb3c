package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
)

// progress prints what happens in a run, a line each:
//
//	1.2s  logs      turn 1
//	1.9s  logs      calls search_logs
//
// On a terminal the text that models write follows as it comes, line by line, so
// that agents who write at the same time stay apart. With -o jsonl each event is
// printed as an object too.
type progress struct {
	app   *app
	begun time.Time
	all   bool // with -o jsonl also print what is not recorded

	mu     sync.Mutex
	agents map[agentKey]time.Time // since when they work
	texts  map[textKey]*streamed
	here   map[string]bool // requests that were decided through this process
}

type (
	agentKey struct{ instance, agent string }
	textKey  struct {
		instance string
		turn     int
	}
)

// streamed is the text of a model's turn as far as it came.
type streamed struct {
	try    string
	length int
	line   string // not yet printed
	said   bool   // something was
}

func newProgress(a *app, begun time.Time) *progress {
	return &progress{app: a, begun: begun, agents: map[agentKey]time.Time{}, texts: map[textKey]*streamed{}, here: map[string]bool{}}
}

// event tells of one event.
func (p *progress) event(ev agents.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app.format == formatJSONL && (p.all || ev.Kind != agents.EventDelta && ev.Kind != agents.EventSuperseded && ev.Kind != agents.EventProgress) {
		_ = p.app.printJSON(ev) // the report at the end says if nobody reads
	}
	switch ev.Kind {
	case agents.EventDelta:
		p.delta(ev)
		return
	case agents.EventSuperseded:
		p.superseded(ev)
		return
	case agents.EventAnswer:
		p.endText(ev)
	}
	if text := p.text(ev); text != "" {
		p.line(ev.Time, ev.Agent, text)
	}
}

// text is what an event says; "" for those that nobody needs to see.
func (p *progress) text(ev agents.Event) string {
	failed := ""
	if ev.Error != "" {
		failed = oneLine(ev.Error, 300)
	}
	switch ev.Kind {
	case agents.EventAgent:
		p.agents[agentKey{ev.Instance, ev.Agent}] = ev.Time
		return "begins"
	case agents.EventTurn:
		if ev.Attempt > 1 {
			return fmt.Sprintf("turn %d, attempt %d", ev.Turn, ev.Attempt)
		}
		return fmt.Sprintf("turn %d", ev.Turn)
	case agents.EventAnswer:
		if failed != "" {
			return fmt.Sprintf("turn %d failed: %s", ev.Turn, failed)
		}
	case agents.EventTool:
		if ev.Undo {
			return "takes back a call of " + ev.Tool
		}
		return "calls " + ev.Tool
	case agents.EventProgress:
		return ev.Tool + prefixed(": ", oneLine(ev.Text, 300))
	case agents.EventResult:
		switch {
		case failed != "":
			return ev.Tool + ": " + failed
		case ev.Undo:
			return "a call of " + ev.Tool + " is taken back"
		}
		return ev.Tool + " answered"
	case agents.EventApproval:
		return "asks" + prefixed(" for ", ev.Tool) + prefixed(": ", oneLine(ev.Text, 300)) + p.app.term.dim("  ["+ev.Approval+"]")
	case agents.EventDecided:
		if !p.here[ev.Approval] {
			return "request " + ev.Approval + " was decided elsewhere"
		}
	case agents.EventSteered:
		return steerWords[ev.Text]
	case agents.EventAgentEnd:
		return p.agentEnd(ev, failed)
	}
	return ""
}

// steerWords say what an agent was asked for.
var steerWords = map[string]string{
	"say": "is told something", "pause": "is paused before its next turn", "resume": "goes on",
	"stop": "is stopped after this turn", "retry": "asks its model again",
}

func (p *progress) agentEnd(ev agents.Event, failed string) string {
	took := ""
	if since, ok := p.agents[agentKey{ev.Instance, ev.Agent}]; ok {
		took = " after " + seconds(ev.Time.Sub(since))
	}
	if failed != "" {
		return "failed" + took + ": " + failed
	}
	return "done" + took
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// seconds is a duration for people.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// agentWidth is how wide the column of agents is; longer names push theirs.
const agentWidth = 12

// line prints one line of progress.
func (p *progress) line(at time.Time, agent, text string) {
	// What was recorded before this process began happened at its beginning.
	since := seconds(max(0, at.Sub(p.begun)))
	p.app.term.printf("%s  %-*s  %s\n", p.app.term.dim(fmt.Sprintf("%8s", since)), agentWidth, agent, text)
}

// note prints a line that is about no agent.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(time.Now(), "", text)
}

// decidedHere notes that a request's decision went through this process.
func (p *progress) decidedHere(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here[id] = true
}

// lineWidth is how long a line of streamed text gets, in bytes.
const lineWidth = 96

// delta takes a piece of a model's text.
func (p *progress) delta(ev agents.Event) {
	if !p.app.term.isTerm {
		return
	}
	key := textKey{ev.Instance, ev.Turn}
	s := p.texts[key]
	if s != nil && ev.Try != s.try {
		p.superseded(ev)
		s = nil
	}
	if s == nil {
		s = &streamed{try: ev.Try}
		p.texts[key] = s
	}
	if ev.Offset+len(ev.Text) <= s.length {
		return
	}
	s.length = ev.Offset + len(ev.Text)
	p.write(s, ev.Agent, ev.Text)
}

// write prints the lines of a model's text that are whole.
func (p *progress) write(s *streamed, agent, text string) {
	s.line += text
	for {
		cut := strings.IndexByte(s.line, '\n')
		if cut < 0 && len(s.line) > lineWidth {
			cut = strings.LastIndexByte(s.line[:lineWidth], ' ')
		}
		if cut < 0 {
			return
		}
		p.said(agent, s.line[:cut])
		s.line, s.said = s.line[cut+1:], true
	}
}

// superseded forgets the text of a try that is void.
func (p *progress) superseded(ev agents.Event) {
	key := textKey{ev.Instance, ev.Turn}
	if s := p.texts[key]; s != nil && s.said {
		p.line(ev.Time, ev.Agent, fmt.Sprintf("turn %d begins anew: what it has written is void%s", ev.Turn, prefixed(": ", oneLine(ev.Error, 300))))
	}
	delete(p.texts, key)
}

// said prints a line of a model's text.
func (p *progress) said(agent, line string) {
	if line = strings.TrimSpace(printable(line)); line != "" {
		p.app.term.printf("%8s  %-*s  %s\n", "", agentWidth, agent, p.app.term.dim("│ "+line))
	}
}

// endText prints what is left of a turn's text, which is now recorded.
func (p *progress) endText(ev agents.Event) {
	key := textKey{ev.Instance, ev.Turn}
	s := p.texts[key]
	if p.app.term.isTerm && ev.Error == "" && len(ev.Text) > ev.Offset {
		if s == nil {
			s = &streamed{}
		}
		p.write(s, ev.Agent, ev.Text[ev.Offset:])
	}
	if s != nil && ev.Error == "" {
		p.said(ev.Agent, s.line)
	}
	delete(p.texts, key)
}
