package dashboard

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
)

// fromHTTP is where decisions come from, in the record.
const fromHTTP = "http"

// requests are a page of the inbox, the oldest first.
type requests struct {
	Requests []agents.Approval `json:"requests"`
	Next     string            `json:"next,omitempty"`
}

// requests lists requests, of one run if run is not "", and with all also those that are settled.
// A page ends where it has limit of them, or many bytes.
func (c *call) requests(run string, all bool, limit int, token string) (*requests, error) {
	after, err := readMark(token)
	if err != nil {
		return nil, err
	}
	list, err := agents.Inbox(c.ctx(), c.client, run, !all)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(x, y agents.Approval) int { return markOf(x).compare(markOf(y)) })
	page, size := &requests{Requests: []agents.Approval{}}, 0
	for _, x := range list {
		if token != "" && markOf(x).compare(after) <= 0 {
			continue
		}
		if len(page.Requests) == limit || size > mostBytes {
			page.Next = markOf(page.Requests[len(page.Requests)-1]).String()
			break
		}
		size += len(x.Arguments) + len(x.Question)
		page.Requests = append(page.Requests, x)
	}
	return page, nil
}

// mark is the place of a request in the inbox.
type mark struct {
	at time.Time
	id string
}

func markOf(a agents.Approval) mark { return mark{a.Requested, a.ID} }

func (m mark) compare(other mark) int {
	return cmp.Or(m.at.Compare(other.at), cmp.Compare(m.id, other.id))
}

func (m mark) String() string { return strconv.FormatInt(m.at.UnixNano(), 36) + "." + m.id }

func readMark(token string) (mark, error) {
	if token == "" {
		return mark{}, nil
	}
	at, id, _ := strings.Cut(token, ".")
	n, err := strconv.ParseInt(at, 36, 64)
	if err != nil {
		return mark{}, invalid("page token %q is not of the inbox; use the one that came with the page before", token)
	}
	return mark{time.Unix(0, n), id}, nil
}

func (c *call) listInbox() error {
	q, err := c.query("run", "all", "limit", "token")
	if err != nil {
		return err
	}
	limit, err := q.number("limit", 100, 500)
	if err != nil {
		return err
	}
	all := q.Get("all")
	if all != "" && all != "true" && all != "false" {
		return invalid("all is %q; give true for those that are settled too", all)
	}
	page, err := c.requests(q.Get("run"), all == "true", limit, q.Get("token"))
	if err == nil {
		c.send(http.StatusOK, page)
	}
	return err
}

// decision is what a caller decides.
type decision struct {
	Decision  string          `json:"decision"` // approve or reject
	Comment   string          `json:"comment"`
	Arguments json.RawMessage `json:"arguments"` // a JSON object
	By        string          `json:"by"`
	Nonce     string          `json:"nonce"`
	Digest    string          `json:"digest"`
}

func (c *call) decide() error {
	var in decision
	if err := c.body(&in); err != nil {
		return err
	}
	a, err := c.decided(c.r.PathValue("id"), in)
	if err == nil {
		c.send(http.StatusOK, a)
	}
	return err
}

// decided gives a decision to the request that it is about; it is on disk then.
func (c *call) decided(id string, in decision) (agents.Approval, error) {
	var none agents.Approval
	d := agents.Decision{Comment: in.Comment, From: fromHTTP, Nonce: in.Nonce, Digest: in.Digest}
	switch in.Decision {
	case "approve":
		d.Approve = true
	case "reject":
	default:
		return none, invalid("decision is %q; give approve or reject", in.Decision)
	}
	if len(in.Arguments) > 0 && string(in.Arguments) != "null" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(in.Arguments, &object); err != nil || object == nil {
			return none, invalid(`arguments are not a JSON object; write them like {"city": "Oslo"}`)
		}
		var short bytes.Buffer
		if err := json.Compact(&short, in.Arguments); err != nil {
			return none, invalid("arguments cannot be read: %v", err)
		}
		d.Arguments = short.String()
	}
	if len(d.Nonce) > 100 {
		return none, invalid("nonce has %d bytes; give one of at most 100", len(d.Nonce))
	}
	if d.Nonce == "" {
		d.Nonce = rand.Text()
	}
	var err error
	if d.By, err = c.by(in.By); err != nil {
		return none, err
	}
	a, err := agents.Decide(c.ctx(), c.client, id, d)
	if errors.Is(err, agents.ErrNotCounted) {
		return a, &problem{Status: http.StatusConflict, Code: "not_counted", Detail: err.Error() + "; the inbox shows what still waits"}
	}
	return a, err
}
