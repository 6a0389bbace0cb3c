package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

//go:embed assets
var assets embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"visible": visible, "line": line, "moment": moment, "machine": machine,
}).ParseFS(assets, "assets/*.html"))

// styleTag changes with the style, so that browsers may keep it for good.
var styleTag = func() string {
	b, err := assets.ReadFile("assets/style.css")
	if err != nil {
		panic("dashboard: " + err.Error()) // it is embedded just above
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}()

func (h *handler) routePages() {
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/hubs/default/runs", http.StatusSeeOther)
	})
	h.mux.HandleFunc("GET /assets/{name}", h.asset)
	h.mux.HandleFunc("GET /hubs", h.hubsPage)
	for _, r := range []struct {
		pattern string
		role    Role
		do      func(*call) error
	}{
		{"GET /{$}", Reader, (*call).hubPage},
		{"GET /runs", Reader, (*call).runsPage},
		{"GET /runs/{$}", Reader, (*call).runPage},
		{"GET /runs/{id}", Reader, (*call).runPage},
		{"GET /value", Reader, (*call).wholeValue},
		{"GET /inbox", Reader, (*call).inboxPage},
		{"POST /inbox/{id}", Operator, (*call).decideForm},
	} {
		method, path, _ := strings.Cut(r.pattern, " ")
		h.mux.HandleFunc(method+" /hubs/{hub}"+path, h.in(r.role, r.do))
	}
}

// asset gives a file that pages load.
func (h *handler) asset(w http.ResponseWriter, r *http.Request) {
	kinds := map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
	name := r.PathValue("name")
	b, err := assets.ReadFile("assets/" + name)
	if kinds[name] == "" || err != nil {
		c := &call{handler: h, w: w, r: r}
		c.fail(&problem{Status: http.StatusNotFound, Code: "no_route", Detail: "there is no file " + name})
		return
	}
	w.Header().Set("Content-Type", kinds[name])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(b)
}

// view is what every page is made of.
type view struct {
	Title   string
	Hub     string // "": the page is of none
	Section string // of the navigation: runs or inbox
	Program string
	Style   string
	Now     time.Time
	Body    any // the page's own
}

// Runs is the address of the hub's runs.
func (v view) Runs() string { return hubAddress(v.Hub, "runs") }

// Inbox is the address of the hub's inbox.
func (v view) Inbox() string { return hubAddress(v.Hub, "inbox") }

// render answers with a page.
func (c *call) render(status int, page string, v view) {
	v.Program, v.Style, v.Now = c.Program, styleTag, time.Now()
	if c.client != nil {
		v.Hub = c.hub
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, page, v); err != nil {
		c.Logger.Error("page cannot be made", "page", page, "path", c.r.URL.Path, "error", err)
		http.Error(c.w, "this page cannot be made; the server's log says why", http.StatusInternalServerError)
		return
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes()) // the caller may have gone
}

func (c *call) hubPage() error {
	http.Redirect(c.w, c.r, hubAddress(c.hub, "runs"), http.StatusSeeOther)
	return nil
}

// link is a word that leads somewhere.
type link struct{ Text, To string }

func (h *handler) hubsPage(w http.ResponseWriter, r *http.Request) {
	c := &call{handler: h, w: w, r: r}
	names, err := c.names()
	if err != nil {
		c.fail(err)
		return
	}
	var hubs []link
	for _, name := range names {
		hubs = append(hubs, link{name, hubAddress(name, "runs")})
	}
	c.render(http.StatusOK, "hubs", view{Title: "Task hubs", Body: hubs})
}

// row is an instance in a table.
type row struct {
	listed
	To    string
	Took  string
	Parts string // how many children, if that is known
	Of    *link  // its parent
}

// Pending reports whether nothing of it has run.
func (r row) Pending() bool { return r.RuntimeStatus == history.Pending }

func (c *call) rowOf(s listed) row {
	r := row{listed: s, To: runAddress(c.hub, s.ID), Took: took(s)}
	if s.Parent != "" {
		r.Of = &link{s.Parent, runAddress(c.hub, s.Parent)}
	}
	return r
}

func took(s listed) string {
	if s.Ended == nil {
		return span(time.Since(s.Started)) + " so far"
	}
	return span(s.Ended.Sub(s.Started))
}

// choice is an entry of a list in a form.
type choice struct {
	Value, Text string
	Chosen      bool
}

// runsView is the page of the runs.
type runsView struct {
	Runs     []row
	Filter   query
	Filtered bool
	Statuses []choice
	Top      bool
	First    string // address of the first page; "" there
	Next     string // "" at the end
}

const runsOnPage = 50

func (c *call) runsPage() error {
	q, err := c.query("status", "prefix", "name", "tag", "parent", "parts", "createdFrom", "createdTo", "token")
	if err != nil {
		return err
	}
	// A form sends its empty fields too.
	for key, values := range q.Values {
		kept := values[:0]
		for _, value := range values {
			if value != "" {
				kept = append(kept, value)
			}
		}
		if q.Values[key] = kept; len(kept) == 0 {
			q.Del(key)
		}
	}
	v := runsView{Filter: q, Filtered: len(q.Values) > 0 && !(len(q.Values) == 1 && q.Get("token") != "")}
	v.Top = q.Get("parts") == "" && q.Get("parent") == ""
	found, err := c.filter(q)
	if err != nil {
		return err
	}
	found.TopLevel = v.Top
	list, next, err := c.list(found, runsOnPage, q.Get("token"))
	if err != nil {
		return err
	}
	for _, s := range list {
		r := c.rowOf(s)
		if r.Parts, err = c.countParts(s.ID); err != nil {
			return err
		}
		v.Runs = append(v.Runs, r)
	}
	for _, word := range []string{"running", "pending", "suspended", "completed", "failed", "cancelled"} {
		v.Statuses = append(v.Statuses, choice{word, word, q.Get("status") == word})
	}
	page := func(token string) string {
		q.Del("token")
		if token != "" {
			q.Set("token", token)
		}
		if len(q.Values) == 0 {
			return hubAddress(c.hub, "runs")
		}
		return hubAddress(c.hub, "runs") + "?" + q.Encode()
	}
	if q.Get("token") != "" {
		v.First = page("")
	}
	if next != "" {
		v.Next = page(next)
	}
	c.render(http.StatusOK, "runs", view{Title: "Runs", Section: "runs", Body: v})
	return nil
}

// countParts tells how many children an instance has, up to a number that fits a table.
func (c *call) countParts(id string) (string, error) {
	const most = 20
	children, next, err := c.client.Page(c.ctx(), durable.Query{Parent: id}, most, "")
	switch {
	case err != nil || len(children) == 0:
		return "", err
	case next != "":
		return "20 or more", nil
	}
	return itoa(len(children)), nil
}
