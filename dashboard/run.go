package dashboard

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

func itoa(n int) string { return strconv.Itoa(n) }

// runView is the page of a run.
type runView struct {
	*instance
	To, API  string
	Took     string
	Of       *link
	Labels   []string // tags
	Note     string   // what it waits for
	Requests []question
	Failed   []cause

	In, Out, Custom *value

	Parts     []row
	AllParts  string // address of all, where there are more
	Execution string
	Others    []link // executions
	Events    []eventView
	First     string
	Next      string
	Counted   string // which events these are
}

// question is a request in short.
type question struct{ Text, To string }

// cause is a failure in a chain of them.
type cause struct {
	Type  string
	Text  value
	Stack *value
}

// eventView is an event in a table.
type eventView struct {
	Number   int
	Time     time.Time
	After    string // the instance was made
	Head     string
	Child    *link
	Data     *value
	Reason   *value
	Failed   []cause
	Messages []message
}

// message is a message of a conversation that an event refers to.
type message struct {
	Role  string
	Text  value
	Calls []string
}

func (c *call) runPage() error {
	q, err := c.query("id", "execution", "from")
	if err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if id == "" {
		id = q.Get("id")
	}
	from, err := q.from()
	if err != nil {
		return err
	}
	in, err := c.read(id)
	if err != nil {
		return err
	}
	events, err := c.part(id, q.Get("execution"), from, usualEvents)
	if err != nil {
		return err
	}
	v := &runView{instance: in, To: runAddress(c.hub, id), Took: took(in.listed), Execution: events.Execution, Note: noteOf(in)}
	v.API = apiRoot + "/" + escapeID(c.hub) + "/instances/" + escapeID(id)
	if in.Parent != "" {
		v.Of = &link{in.Parent, runAddress(c.hub, in.Parent)}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Tags)) {
		v.Labels = append(v.Labels, name+" = "+in.Tags[name])
	}
	if in.Waiting > 0 {
		list, err := agents.Inbox(c.ctx(), c.client, id, true)
		if err != nil {
			return err
		}
		for _, x := range list {
			v.Requests = append(v.Requests, question{scenario.Question(x), hubAddress(c.hub, "inbox", "run", id) + "#" + fragment(x.ID)})
		}
	}
	whole := func(of string) string { return hubAddress(c.hub, "value", "id", id, "of", of) }
	v.In, v.Out, v.Custom = valueOf(in.Input, whole("input")), valueOf(in.Output, whole("output")), valueOf(in.CustomStatus, whole("status"))
	v.Failed = causes(in.Failure, whole("failure"))
	for _, child := range in.Children {
		v.Parts = append(v.Parts, c.rowOf(child))
	}
	if in.MoreChildren {
		v.AllParts = hubAddress(c.hub, "runs", "parent", id)
	}
	c.history(v, events, from)
	title := in.Name
	if title == "" {
		title = id
	}
	c.render(http.StatusOK, "run", view{Title: title, Section: "runs", Body: v})
	return nil
}

// noteOf says what an instance waits for that its history does not show.
func noteOf(in *instance) string {
	switch {
	case in.RuntimeStatus == history.Suspended:
		return "It is suspended and goes on when it is resumed."
	case in.RuntimeStatus == history.Pending && !in.StartAt.IsZero():
		return "It starts at " + moment(in.StartAt) + "."
	case in.RuntimeStatus == history.Pending:
		return "It waits for a program that defines " + in.Name + "."
	}
	return ""
}

// history adds a part of the history to a run's page.
func (c *call) history(v *runView, p *part, from int) {
	id := v.ID
	execution := func(x string) string { // the current one has the shortest address
		if x == v.Executions[len(v.Executions)-1] {
			return ""
		}
		return x
	}
	if len(v.Executions) > 1 {
		for i, x := range v.Executions {
			text := fmt.Sprintf("%d of %d", i+1, len(v.Executions))
			to := runAddress(c.hub, id, "execution", execution(x)) + "#history"
			if x == p.Execution {
				to = ""
			}
			v.Others = append(v.Others, link{text, to})
		}
	}
	if from > 0 {
		v.First = runAddress(c.hub, id, "execution", execution(p.Execution)) + "#history"
	}
	if p.Next > 0 {
		v.Next = runAddress(c.hub, id, "execution", execution(p.Execution), "from", itoa(p.Next)) + "#history"
	}
	if len(p.Events) == 0 {
		return
	}
	if v.First != "" || v.Next != "" {
		v.Counted = fmt.Sprintf("Events %d to %d", p.Events[0].Number, p.Events[len(p.Events)-1].Number)
	}
	seen := map[history.Hash]bool{}
	room := mostBytes
	for _, at := range p.Events {
		v.Events = append(v.Events, c.eventOf(at, v.Started, seen, &room))
	}
}

// eventOf makes an event's row. room is how many bytes of messages the page still takes.
func (c *call) eventOf(at scenario.Line, began time.Time, seen map[history.Hash]bool, room *int) eventView {
	ev := at.Event
	whole := func(of string) string {
		return hubAddress(c.hub, "value", "id", at.Instance, "execution", at.Execution, "event", itoa(at.Number), "of", of)
	}
	bare := *ev
	bare.Data, bare.DataRef, bare.Failure, bare.Reason = nil, history.Hash{}, nil, ""
	v := eventView{
		Number: at.Number, Time: ev.Time, After: span(ev.Time.Sub(began)), Head: history.Describe(&bare),
		Data: valueOf(ev.Data, whole("data")), Failed: causes(ev.Failure, whole("failure")),
	}
	if ev.Kind == history.GenericEvent {
		v.Head = ev.Kind.String()
	}
	if ev.Reason != "" {
		v.Reason = textOf(ev.Reason, whole("reason"))
	}
	if ev.Kind == history.ChildCreated {
		v.Child = &link{ev.Target, runAddress(c.hub, ev.Target)}
	}
	if *room <= 0 {
		return v
	}
	for _, m := range scenario.Messages(c.ctx(), c.client, ev, seen) {
		*room -= len(m.Content)
		v.Messages = append(v.Messages, c.messageOf(m))
	}
	return v
}

func (c *call) messageOf(m scenario.Message) message {
	shown := message{Role: string(m.Role), Text: *textOf(m.Content, hubAddress(c.hub, "value", "payload", m.Ref.Hash.String()))}
	for _, x := range m.ToolCalls {
		shown.Calls = append(shown.Calls, line(x.Name+" "+unescaped(x.Arguments), 400))
	}
	return shown
}

// causes is a failure and what caused it.
func causes(f *history.Failure, whole string) (list []cause) {
	const most = 20
	for ; f != nil && len(list) < most; f = f.Cause {
		one := cause{Type: line(f.Type, 200), Text: *textOf(f.Message, whole)}
		if f.Stack != "" {
			one.Stack = textOf(f.Stack, whole)
		}
		list = append(list, one)
	}
	return list
}

// wholeValue gives one value of a run, of an event, or of a conversation, as text that no browser takes for anything
// else.
func (c *call) wholeValue() error {
	q, err := c.query("id", "execution", "event", "of", "payload")
	if err != nil {
		return err
	}
	p, err := c.pick(q)
	if err != nil {
		return err
	}
	if p == nil {
		return missing("there is no such value; the page of the run links to those there are")
	}
	head := c.w.Header()
	head.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	if utf8.Valid(p) {
		head.Set("Content-Type", "text/plain; charset=utf-8")
		head.Set("Content-Disposition", `inline; filename="value.txt"`)
	} else {
		head.Set("Content-Type", "application/octet-stream")
		head.Set("Content-Disposition", `attachment; filename="value.bin"`)
	}
	_, _ = c.w.Write(p) // the caller may have gone
	return nil
}

// pick finds the value that a query names.
func (c *call) pick(q query) (history.Payload, error) {
	id, of := q.Get("id"), q.Get("of")
	if s := q.Get("payload"); s != "" {
		var r durable.Ref
		if err := r.Hash.UnmarshalText([]byte(s)); err != nil {
			return nil, invalid("payload is %q: %v", s, err)
		}
		return c.client.Load(c.ctx(), r)
	}
	if s := q.Get("event"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, invalid("event is %q; give the number of an event", s)
		}
		ev, err := c.event(id, q.Get("execution"), n)
		if err != nil {
			return nil, err
		}
		switch {
		case of == "data":
			return ev.Data, nil
		case of == "reason" && ev.Reason != "":
			return history.Payload(ev.Reason), nil
		case of == "failure":
			return failureText(ev.Failure)
		}
		return nil, invalid("of is %q; an event has data, reason and failure", of)
	}
	s, err := c.client.Get(c.ctx(), id)
	if err != nil {
		return nil, err
	}
	switch of {
	case "input":
		return s.Input, nil
	case "output":
		return s.Output, nil
	case "status":
		return s.CustomStatus, nil
	case "failure":
		return failureText(s.Failure)
	}
	return nil, invalid("of is %q; an instance has input, output, status and failure", of)
}

// failureText is a failure with all that is known of it.
func failureText(f *history.Failure) (history.Payload, error) {
	if f == nil {
		return nil, nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(f)
	return history.Payload(b.String()), err
}

// fragment is the name of a request's place on the page of the inbox.
func fragment(id string) string { return "request-" + escapeID(id) }
