package dashboard

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

// inboxView is the page of the inbox.
type inboxView struct {
	Requests []requestView
	Run      *link // of one run alone
	All      bool
	Other    link         // to the inbox with, or without, what is settled
	Decided  *requestView // what a form that led here was about
	First    string
	Next     string
}

// requestView is a request on a page.
type requestView struct {
	agents.Approval
	Text  string
	Shown string // the arguments, in full
	For   string
	At    string // fragment
	From  link   // the run
	Asker *link  // the instance, where that is not the run
	Form  string // address to decide at; "" for one that is settled
	Nonce string
	Edit  bool // its arguments may be replaced
	Named bool // whoever decides gives a name
	Needs int  // how many more must agree
}

// Last is the latest decision about it.
func (v requestView) Last() agents.Decision { return v.Decisions[len(v.Decisions)-1] }

const requestsOnPage = 50

func (c *call) inboxPage() error {
	q, err := c.query("run", "all", "decided", "token")
	if err != nil {
		return err
	}
	run, all, token := q.Get("run"), q.Get("all") != "", q.Get("token")
	page, err := c.requests(run, all, requestsOnPage, token)
	if err != nil {
		return err
	}
	v := inboxView{All: all}
	every := ""
	if all {
		every = "true"
	}
	if run != "" {
		v.Run = &link{run, runAddress(c.hub, run)}
	}
	if all {
		v.Other = link{"Show only what waits", hubAddress(c.hub, "inbox", "run", run)}
	} else {
		v.Other = link{"Show settled requests too", hubAddress(c.hub, "inbox", "run", run, "all", "true")}
	}
	if token != "" {
		v.First = hubAddress(c.hub, "inbox", "run", run, "all", every)
	}
	if page.Next != "" {
		v.Next = hubAddress(c.hub, "inbox", "run", run, "all", every, "token", page.Next)
	}
	for _, x := range page.Requests {
		v.Requests = append(v.Requests, c.requestOf(x))
	}
	if id := q.Get("decided"); id != "" {
		if v.Decided, err = c.find(id); err != nil {
			return err
		}
	}
	c.render(http.StatusOK, "inbox", view{Title: "Inbox", Section: "inbox", Body: v})
	return nil
}

// find gives a request that somebody decided about; nil if there is none: the address of a page may
// say what it likes.
func (c *call) find(id string) (*requestView, error) {
	e, err := c.client.Entity(c.ctx(), agents.ApprovalPrefix+id)
	if durable.IsNotFound(err) || errors.Is(err, durable.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var a agents.Approval
	if err := json.Unmarshal(e.State, &a); err != nil || len(a.Decisions) == 0 {
		return nil, nil
	}
	v := c.requestOf(a)
	return &v, nil
}

func (c *call) requestOf(a agents.Approval) requestView {
	v := requestView{
		Approval: a, Text: scenario.Question(a), Shown: pretty(a.Arguments), For: strings.Join(a.By, ", "), At: fragment(a.ID),
		From: link{a.Run, runAddress(c.hub, a.Run)}, Named: c.Identify == nil,
	}
	if a.Instance != a.Run {
		v.Asker = &link{a.Instance, runAddress(c.hub, a.Instance)}
	}
	if a.Status == agents.Waiting {
		v.Form, v.Nonce = hubAddress(c.hub, "inbox/"+escapeID(a.ID)), rand.Text()
		v.Edit = a.Kind == agents.KindTool && a.Arguments != ""
		v.Needs = a.Needed - a.Agreed()
	}
	return v
}

// decideForm takes the decision of the inbox's form.
func (c *call) decideForm() error {
	if _, err := c.query(); err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return &problem{Status: http.StatusUnsupportedMediaType, Code: "content_type", Detail: "this takes the form of the inbox; programs use " + apiRoot}
	}
	if err := c.r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return invalid("the form cannot be read: %v", err)
	}
	form := c.r.PostForm
	for key := range form {
		switch key {
		case "decision", "comment", "arguments", "by", "nonce", "digest":
		default:
			return invalid("%s is not a field of the form", key)
		}
	}
	id := c.r.PathValue("id")
	_, err := c.decided(id, decision{
		Decision: form.Get("decision"), Comment: strings.TrimSpace(form.Get("comment")), By: strings.TrimSpace(form.Get("by")),
		Arguments: json.RawMessage(strings.TrimSpace(form.Get("arguments"))), Nonce: form.Get("nonce"), Digest: form.Get("digest"),
	})
	if err != nil {
		return err
	}
	http.Redirect(c.w, c.r, hubAddress(c.hub, "inbox", "decided", id), http.StatusSeeOther)
	return nil
}
