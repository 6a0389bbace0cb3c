package dashboard

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

// How much of a history is given at once: so many events, or so many bytes of their data and one
// event more.
const (
	usualEvents = 200
	mostEvents  = 1000
	mostBytes   = 4 << 20
)

// part is a part of an execution's history.
type part struct {
	Instance  string          `json:"instance"`
	Execution string          `json:"execution"`
	Events    []scenario.Line `json:"events"`
	Next      int             `json:"next,omitempty"` // number to go on from; 0 at the end
}

// part reads a history from an event on. Without an execution it is the current one's.
func (c *call) part(id, execution string, from, limit int) (*part, error) {
	execution, err := c.execution(id, execution)
	if err != nil {
		return nil, err
	}
	p := &part{Instance: id, Execution: execution, Events: []scenario.Line{}}
	number, size := 0, 0
	for ev, err := range c.client.History(c.ctx(), id, execution) {
		if err != nil {
			return nil, err
		}
		if number >= from {
			if len(p.Events) == limit || size > mostBytes {
				p.Next = number
				return p, nil
			}
			size += sizeOf(ev)
			p.Events = append(p.Events, scenario.Line{Address: history.Address{Instance: id, Execution: execution, Number: number}, Event: ev})
		}
		number++
	}
	return p, nil
}

// sizeOf is about what an event takes in memory beyond what every event takes.
func sizeOf(ev *history.Event) int {
	n := len(ev.Data) + len(ev.Raw) + len(ev.Reason)
	for f := ev.Failure; f != nil; f = f.Cause {
		n += len(f.Message) + len(f.Stack)
		for k, v := range f.Properties {
			n += len(k) + len(v)
		}
	}
	return n
}

// execution checks the id of an execution, and finds the current one's where it is "".
func (c *call) execution(id, execution string) (string, error) {
	all, err := c.client.Executions(c.ctx(), id)
	switch {
	case err != nil:
		return "", err
	case execution == "" && len(all) > 0:
		return all[len(all)-1], nil
	case !slices.Contains(all, execution):
		return "", missing("%s has no execution %q; its state lists those it has", id, execution)
	}
	return execution, nil
}

// from reads the number of the event that a part begins with.
func (q query) from() (int, error) {
	s := q.Get("from")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, invalid("from is %q; give the number of an event, which next has", s)
	}
	return n, nil
}

func (c *call) getHistory() error {
	q, err := c.query("execution", "from", "limit")
	if err != nil {
		return err
	}
	from, err := q.from()
	if err != nil {
		return err
	}
	limit, err := q.number("limit", usualEvents, mostEvents)
	if err != nil {
		return err
	}
	p, err := c.part(c.r.PathValue("id"), q.Get("execution"), from, limit)
	if err == nil {
		c.send(http.StatusOK, p)
	}
	return err
}

// event finds one event by its number.
func (c *call) event(id, execution string, number int) (*history.Event, error) {
	p, err := c.part(id, execution, number, 1)
	if err != nil {
		return nil, err
	}
	if len(p.Events) == 0 {
		return nil, missing("%s has no event %d; its history lists those it has", id, number)
	}
	return p.Events[0].Event, nil
}
