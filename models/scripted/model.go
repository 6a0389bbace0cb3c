package scripted

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

const providerName = "scripted"

// Script is a list of entries, the first of which that fits answers.
type Script []Entry

// Validate reports the first entry that is wrong, by its number from 1.
func (s Script) Validate() error {
	for i := range s {
		if err := s[i].Validate(); err != nil {
			return fmt.Errorf("script entry %d: %w", i+1, err)
		}
	}
	return nil
}

// Options change how a script is played, not what it answers.
type Options struct {
	// Latency returns how long an answer takes whose script says d. Nil means d.
	// [NoLatency] is for tests.
	Latency func(d time.Duration) time.Duration
	// OnCall, if set, is called once for each request before its answer begins; resp
	// is nil when the answer is an error. It serves as a witness of what was asked. It
	// is called by the goroutine that asks, by several at a time, and must not keep
	// or change what it is given.
	OnCall func(req *models.Request, resp *models.Response)
}

// NoLatency makes every answer come at once.
func NoLatency(time.Duration) time.Duration { return 0 }

// Model plays a script. It is safe for concurrent use.
type Model struct {
	script Script
	places []int // of plain entries: their number among those with the same agent
	opts   Options
}

// New returns a model that answers from entries. It panics if one of them is invalid,
// as that is a mistake in the program; use [Script.Model] for scripts that are input.
func New(entries ...Entry) *Model {
	m, err := Script(entries).Model(Options{})
	if err != nil {
		panic("scripted.New: " + err.Error())
	}
	return m
}

// Model returns a model that plays the script.
func (s Script) Model(opts Options) (*Model, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	m := &Model{script: slices.Clone(s), places: make([]int, len(s)), opts: opts}
	count := map[string]int{}
	for i := range s {
		if s[i].plain() {
			count[s[i].Agent]++
			m.places[i] = count[s[i].Agent]
		}
	}
	return m, nil
}

// Func returns a model whose answers are computed by f. What f leaves empty is filled
// in: role, reason to end, usage, ids of calls. If runs are to survive a restart, f
// must compute its answer from the request alone; f is called by several goroutines.
func Func(f func(*models.Request) (*models.Response, error)) models.Model {
	return funcModel(f)
}

type funcModel func(*models.Request) (*models.Response, error)

func (f funcModel) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return models.Checked(func(yield func(models.Event, error) bool) {
		if err := models.ContextError(ctx, providerName); err != nil {
			yield(models.Event{}, err)
			return
		}
		resp, err := f(req)
		if err == nil && resp == nil {
			err = &models.Error{Kind: models.KindNoAnswer, Provider: providerName, Message: "the function gave no answer"}
		}
		if err != nil {
			yield(models.Event{}, err)
			return
		}
		filled := *resp
		filled.Message.ToolCalls = slices.Clone(resp.Message.ToolCalls)
		complete(&filled, read(req))
		play(ctx, &filled, 0, yield)
	})
}

// Generate implements [models.Model].
func (m *Model) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return models.Checked(func(yield func(models.Event, error) bool) {
		if err := models.ContextError(ctx, providerName); err != nil {
			yield(models.Event{}, err)
			return
		}
		a := read(req)
		entry := m.find(a)
		var resp *models.Response
		if entry != nil && entry.Error == nil {
			resp = entry.response(a)
		}
		if m.opts.OnCall != nil {
			m.opts.OnCall(req, resp)
		}
		if entry == nil {
			yield(models.Event{}, m.noAnswer(a))
			return
		}
		latency := entry.Latency
		if m.opts.Latency != nil {
			latency = m.opts.Latency(latency)
		}
		if resp == nil {
			if pause(ctx, latency) {
				yield(models.Event{}, entry.failure())
			} else {
				yield(models.Event{}, models.ContextError(ctx, providerName))
			}
			return
		}
		play(ctx, resp, latency, yield)
	})
}

func (m *Model) find(a *asked) *Entry {
	for i := range m.script {
		if m.script[i].fits(a, m.places[i]) {
			return &m.script[i]
		}
	}
	return nil
}

// maxListed bounds how many entries an error lists.
const maxListed = 20

func (m *Model) noAnswer(a *asked) error {
	var have []string
	others := 0
	for i := range m.script {
		e := &m.script[i]
		switch {
		case e.Agent != "" && e.Agent != a.agent:
			others++
		case len(have) == maxListed:
			have = append(have, "…")
		case len(have) < maxListed:
			have = append(have, e.describe(m.places[i]))
		}
	}
	if len(have) == 0 {
		have = append(have, "no entry for this agent")
	}
	list := strings.Join(have, "; ")
	if others > 0 {
		list += fmt.Sprintf("; and %d for other agents (%s)", others, strings.Join(m.otherAgents(a.agent), ", "))
	}
	return &models.Error{Kind: models.KindNoAnswer, Provider: providerName,
		Message: fmt.Sprintf("the script has no answer for agent %q turn %d, whose last message is %s %q; it has: %s",
			a.agent, a.turn, a.lastRole, models.OneLine(a.last, 120), list)}
}

func (m *Model) otherAgents(agent string) []string {
	var names []string
	for _, e := range m.script {
		if e.Agent != "" && e.Agent != agent && !slices.Contains(names, e.Agent) && len(names) < maxListed {
			names = append(names, e.Agent)
		}
	}
	return names
}

// asked is what entries look at in a request.
type asked struct {
	req                *models.Request
	agent              string
	turn               int
	user, tool, system string
	lastRole           models.Role
	last               string
}

func read(req *models.Request) *asked {
	a := &asked{req: req, agent: req.Agent, turn: models.AssistantTurns(req.Messages) + 1}
	for _, m := range req.Messages {
		switch m.Role {
		case models.RoleUser:
			a.user = m.Content
		case models.RoleTool:
			a.tool = m.Content
		case models.RoleSystem:
			a.system += m.Content + "\n"
		}
		a.lastRole, a.last = m.Role, m.Content
	}
	return a
}

// response returns the entry's answer. The entry is valid and no failure.
func (e *Entry) response(a *asked) *models.Response {
	resp := &models.Response{Message: models.AssistantMessage(e.Text), Finish: e.Finish}
	if e.Output != nil {
		resp.Message.Content, _ = marshal(e.Output) // Validate did it once
	}
	for _, c := range e.Calls {
		arguments, _ := c.arguments() // as above
		resp.Message.ToolCalls = append(resp.Message.ToolCalls, models.ToolCall{ID: c.ID, Name: c.Tool, Arguments: arguments})
	}
	if e.Usage != nil {
		resp.Usage = *e.Usage
	}
	complete(resp, a)
	return resp
}

func (e *Entry) failure() error {
	f := e.Error
	message := f.Message
	if message == "" {
		message = "the script says so"
	}
	return &models.Error{Kind: f.Kind, Provider: providerName, Message: message, Status: f.Status, Code: f.Code, RetryAfter: f.RetryAfter}
}

// complete fills in what an answer leaves empty.
func complete(resp *models.Response, a *asked) {
	m := &resp.Message
	if m.Role == "" {
		m.Role = models.RoleAssistant
	}
	for i := range m.ToolCalls {
		if m.ToolCalls[i].ID == "" {
			m.ToolCalls[i].ID = fmt.Sprintf("call_%d_%d", a.turn, i+1)
		}
	}
	if resp.Finish == "" {
		resp.Finish = models.FinishStop
		if len(m.ToolCalls) > 0 {
			resp.Finish = models.FinishToolCalls
		}
	}
	if resp.Model == "" {
		resp.Model = a.req.Model
	}
	if resp.Usage == (models.Usage{}) {
		for _, in := range a.req.Messages {
			resp.Usage.InputTokens += tokens(&in)
		}
		resp.Usage.OutputTokens = tokens(m)
	}
}

// tokens guesses the tokens of a message: four bytes each.
func tokens(m *models.Message) int64 {
	n := len(m.Content)
	for _, c := range m.ToolCalls {
		n += len(c.Name) + len(c.Arguments)
	}
	return int64(n+3) / 4
}

// play yields the events of an answer over the time that it takes.
func play(ctx context.Context, resp *models.Response, latency time.Duration, yield func(models.Event, error) bool) {
	var events []models.Event
	for ev := range models.Stream(resp) {
		events = append(events, ev)
	}
	spent := time.Duration(0)
	for i, ev := range events {
		until := latency / time.Duration(len(events)) * time.Duration(i+1)
		if i == len(events)-1 {
			until = latency
		}
		if !pause(ctx, until-spent) {
			yield(models.Event{}, models.ContextError(ctx, providerName))
			return
		}
		spent = until
		if !yield(ev, nil) {
			return
		}
	}
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
