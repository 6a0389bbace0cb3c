package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

const apiRoot = "/api/v1/hubs"

func (h *handler) routeAPI() {
	h.mux.HandleFunc("GET "+apiRoot, h.listHubs)
	h.mux.HandleFunc("GET "+apiRoot+"/{hub}/runs/{id}/events", h.follow)
	for _, r := range []struct {
		pattern string
		role    Role
		do      func(*call) error
	}{
		{"GET /instances", Reader, (*call).listInstances},
		{"GET /instances/{id}", Reader, (*call).getInstance},
		{"GET /instances/{id}/history", Reader, (*call).getHistory},
		{"DELETE /instances/{id}", Operator, (*call).deleteInstance},
		{"POST /instances/{id}/events", Operator, (*call).raise},
		{"POST /instances/{id}/terminate", Operator, (*call).terminate},
		{"POST /instances/{id}/suspend", Operator, (*call).suspend},
		{"POST /instances/{id}/resume", Operator, (*call).resume},
		{"POST /instances/{id}/restart", Operator, (*call).restart},
		{"POST /instances/{id}/rewind", Operator, (*call).rewind},
		{"POST /instances/{id}/purge", Operator, (*call).purge},
		{"GET /inbox", Reader, (*call).listInbox},
		{"POST /inbox/{id}/decide", Operator, (*call).decide},
	} {
		method, path, _ := strings.Cut(r.pattern, " ")
		h.mux.HandleFunc(method+" "+apiRoot+"/{hub}"+path, h.in(r.role, r.do))
	}
}

func (h *handler) listHubs(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
	defer cancel()
	c := &call{handler: h, w: w, r: r.WithContext(ctx)}
	names, err := c.names()
	if err != nil {
		c.fail(err)
		return
	}
	type hub struct {
		Name string `json:"name"`
	}
	list := struct {
		Hubs []hub `json:"hubs"`
	}{[]hub{}}
	for _, name := range names {
		list.Hubs = append(list.Hubs, hub{name})
	}
	c.send(http.StatusOK, list)
}

// listed is an instance in a list.
type listed struct {
	scenario.Listed
	RuntimeStatus history.Status    `json:"runtimeStatus"` // in the protocol's words
	Version       string            `json:"version,omitempty"`
	Execution     string            `json:"execution"`
	Parent        string            `json:"parent,omitempty"`
	Updated       time.Time         `json:"updated"`
	StartAt       time.Time         `json:"startAt,omitzero"` // of one that is pending until then
	Tags          map[string]string `json:"tags,omitempty"`
}

// instance is an instance with all but its history.
type instance struct {
	listed
	CustomStatus history.Payload  `json:"customStatus,omitzero"`
	Input        history.Payload  `json:"input,omitzero"`
	Output       history.Payload  `json:"output,omitzero"`
	Failure      *history.Failure `json:"failure,omitempty"`
	Executions   []string         `json:"executions"` // oldest first; the last one is the current
	Children     []listed         `json:"children"`
	MoreChildren bool             `json:"moreChildren,omitempty"` // a list with parent=ID has all
}

func listedOf(s *durable.State, waiting int) listed {
	return listed{
		Listed: scenario.ListedOf(s, waiting), RuntimeStatus: s.Status, Version: s.Version, Execution: s.Execution,
		Parent: s.Parent, Updated: s.Updated, StartAt: s.StartAt, Tags: s.Tags,
	}
}

// How many children come with their parent.
const maxChildren = 100

// read gives an instance with all that a caller sees of it but its history.
func (c *call) read(id string) (*instance, error) {
	s, err := c.client.Get(c.ctx(), id)
	if err != nil {
		return nil, err
	}
	requests, err := c.waiting()
	if err != nil {
		return nil, err
	}
	in := &instance{
		listed: listedOf(s, requests[s.ID]), CustomStatus: s.CustomStatus,
		Input: s.Input, Output: s.Output, Failure: s.Failure, Children: []listed{},
	}
	if in.Executions, err = c.client.Executions(c.ctx(), id); err != nil {
		return nil, err
	}
	children, next, err := c.client.Page(c.ctx(), durable.Query{Parent: id}, maxChildren, "")
	for _, child := range children {
		in.Children = append(in.Children, listedOf(child, 0))
	}
	in.MoreChildren = next != ""
	return in, err
}

// waiting counts the requests that nobody has decided, by their runs.
func (c *call) waiting() (map[string]int, error) {
	list, err := agents.Inbox(c.ctx(), c.client, "", true)
	n := map[string]int{}
	for _, x := range list {
		n[x.Run]++
	}
	return n, err
}

func (c *call) getInstance() error {
	if _, err := c.query(); err != nil {
		return err
	}
	in, err := c.read(c.r.PathValue("id"))
	if err == nil {
		c.send(http.StatusOK, in)
	}
	return err
}

func (c *call) listInstances() error {
	q, err := c.query("status", "prefix", "name", "tag", "parent", "top", "order", "createdFrom", "createdTo", "limit", "token")
	if err != nil {
		return err
	}
	found, err := c.filter(q)
	if err != nil {
		return err
	}
	limit, err := q.number("limit", 50, 500)
	if err != nil {
		return err
	}
	list := struct {
		Instances []listed `json:"instances"`
		Next      string   `json:"next,omitempty"`
	}{Instances: []listed{}}
	list.Instances, list.Next, err = c.list(found, limit, q.Get("token"))
	if err == nil {
		c.send(http.StatusOK, list)
	}
	return err
}

// maxRounds bounds how often list looks for more to fill a page with.
const maxRounds = 10

// list gives a page of instances, without those that are nobody's runs unless they are asked for.
func (c *call) list(q durable.Query, limit int, token string) ([]listed, string, error) {
	waiting, err := c.waiting()
	if err != nil {
		return nil, "", err
	}
	list := []listed{}
	for range maxRounds {
		states, next, err := c.client.Page(c.ctx(), q, limit-len(list), token)
		if err != nil {
			return nil, "", err
		}
		for _, s := range states {
			if !scenario.Internal(s.Name) || slices.Contains(q.Names, s.Name) {
				list = append(list, listedOf(s, waiting[s.ID]))
			}
		}
		if token = next; next == "" || len(list) == limit {
			break
		}
	}
	return list, token, nil
}

// filter reads which instances are asked for.
func (c *call) filter(q query) (durable.Query, error) {
	found := durable.Query{Prefix: q.Get("prefix"), Names: q.Values["name"], Parent: q.Get("parent"), Newest: true}
	switch q.Get("top") {
	case "", "false":
	case "true":
		found.TopLevel = true
	default:
		return found, invalid("top is %q; give true for instances without a parent alone", q.Get("top"))
	}
	switch q.Get("order") {
	case "", "newest":
	case "oldest":
		found.Newest = false
	default:
		return found, invalid("order is %q; give newest or oldest", q.Get("order"))
	}
	for _, word := range q.Values["status"] {
		statuses, ok := statuses[word]
		if !ok {
			return found, invalid("status is %q; give running, pending, suspended, completed, failed or cancelled; what waits for people is in the inbox", word)
		}
		found.Statuses = append(found.Statuses, statuses...)
	}
	for _, tag := range q.Values["tag"] {
		name, value, ok := strings.Cut(tag, "=")
		if !ok || name == "" {
			return found, invalid("tag is %q; write NAME=VALUE", tag)
		}
		if found.Tags == nil {
			found.Tags = map[string]string{}
		}
		found.Tags[name] = value
	}
	var err error
	if found.CreatedFrom, err = q.time("createdFrom"); err != nil {
		return found, err
	}
	found.CreatedTo, err = q.time("createdTo")
	return found, err
}

// statuses are those that a word of the filter stands for.
var statuses = map[string][]history.Status{
	scenario.Running:   {history.Running, history.Pending, history.ContinuedAsNew},
	"pending":          {history.Pending},
	scenario.Suspended: {history.Suspended},
	scenario.Completed: {history.Completed},
	scenario.Failed:    {history.Failed},
	scenario.Cancelled: {history.Terminated, history.Canceled},
}

// query is what an address says after its question mark.
type query struct{ url.Values }

// query reads it; there may be no keys in it but these.
func (c *call) query(keys ...string) (query, error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return query{}, invalid("the query cannot be read: %v", err)
	}
	for key := range values {
		if !slices.Contains(keys, key) {
			if len(keys) == 0 {
				return query{}, invalid("%s is not known here, where no parameters are", key)
			}
			return query{}, invalid("%s is not known here; the parameters are %s", key, strings.Join(keys, ", "))
		}
		if key == "status" || key == "name" || key == "tag" {
			continue
		}
		if len(values[key]) > 1 {
			return query{}, invalid("%s is there %d times; give it once", key, len(values[key]))
		}
	}
	return query{values}, nil
}

// number reads a number from 1 to most; without one it is usual.
func (q query) number(key string, usual, most int) (int, error) {
	s := q.Get(key)
	if s == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, invalid("%s is %q; give a number from 1 to %d", key, s, most)
	}
	return n, nil
}

// time reads a moment; the zero time without one. What a browser's form gives has no zone: UTC.
func (q query) time(key string) (time.Time, error) {
	s := q.Get(key)
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("%s is %q; write it like 2006-01-02T15:04:05Z", key, s)
}
