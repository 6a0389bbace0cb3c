package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
)

// Times of a stream of events.
const (
	// stillThere is how often a stream without events says that it is there, and how soon it ends
	// after its caller has lost the right to it.
	stillThere = 15 * time.Second
	// writeWithin is how long a caller may take to take an event.
	writeWithin = 30 * time.Second
)

// follow answers with the events of a run, as server-sent events, from the cursor on that the caller
// has seen last.
func (h *handler) follow(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c := &call{handler: h, w: w, r: r.WithContext(ctx), hub: r.PathValue("hub")}
	events, err := c.events()
	switch {
	case err != nil:
		c.fail(err)
	case events == nil:
		w.WriteHeader(http.StatusNoContent) // an EventSource does not come again
	default:
		next := make(chan told)
		go func() { // ends with ctx, and is waited for
			defer close(next)
			for ev, err := range events {
				select {
				case next <- told{ev, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		c.stream(next)
		cancel()
		for range next {
		}
	}
}

// events finds the run that the caller wants to follow; nil if it has ended and the caller has seen
// all of it.
func (c *call) events() (iter.Seq2[agents.Event, error], error) {
	whole := c.r
	ctx, cancel := context.WithTimeout(whole.Context(), c.Timeout)
	defer cancel()
	c.r = whole.WithContext(ctx)
	defer func() { c.r = whole }()
	if err := c.enter(Reader); err != nil {
		return nil, err
	}
	q, err := c.query("from")
	if err != nil {
		return nil, err
	}
	id, from := whole.PathValue("id"), agents.Cursor(q.Get("from"))
	if last := whole.Header.Get("Last-Event-ID"); last != "" {
		from = agents.Cursor(last) // it is later: an EventSource comes again with the same address
	}
	s, err := c.client.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	seen := s.Status.Ended()
	for _, err := range agents.Past(ctx, c.client, id, from) {
		if errors.Is(err, agents.ErrCursor) {
			return nil, invalid("%v", err)
		}
		if err != nil {
			return nil, err
		}
		seen = false
		break
	}
	if seen {
		return nil, nil
	}
	return agents.Follow(whole.Context(), c.client, id, from), nil
}

// told is an event, or the error with which they end.
type told struct {
	agents.Event
	err error
}

// stream sends the events until there are no more, the caller or its right to them is gone, or the
// server ends.
func (c *call) stream(next <-chan told) {
	head := c.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no") // a proxy would wait for more
	out := http.NewResponseController(c.w)
	tick := time.NewTicker(stillThere)
	defer tick.Stop()
	ok := c.write(out, ":\n\n")
	for ok {
		select {
		case m, more := <-next:
			if !more {
				return
			}
			ok = c.write(out, m.text(c))
		case <-tick.C:
			ok = c.write(out, ":\n\n") && c.authorize(c.hub, Reader) == nil
		case <-c.Ending:
			return
		case <-c.ctx().Done():
			return
		}
	}
}

// write sends text at once. False: the caller has gone, or does not read.
func (c *call) write(out *http.ResponseController, text string) bool {
	// Not every writer has deadlines, as that of a test has none.
	_ = out.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, err := io.WriteString(c.w, text); err != nil {
		return false
	}
	return out.Flush() == nil
}

// text is the message on the wire.
func (m *told) text(c *call) string {
	if m.err != nil {
		if c.ctx().Err() != nil {
			return ""
		}
		p := problemOf(m.err)
		c.Logger.Warn("a stream of events ended", "path", c.r.URL.Path, "error", m.err)
		return "event: problem\ndata: " + oneJSON(p) + "\n\n"
	}
	return fmt.Sprintf("id: %s\ndata: %s\n\n", m.Cursor, oneJSON(m.Event))
}

// oneJSON is v as JSON, which has no line breaks.
func oneJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}" // neither events nor problems hold what has no form
	}
	return string(b)
}
