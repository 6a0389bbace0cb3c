package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Role is what a caller must be allowed to do for a request.
type Role string

// The roles that requests need.
const (
	Reader   Role = "reader"   // sees everything of a hub
	Operator Role = "operator" // steers and purges instances, and decides requests
)

// Errors of [Options.Authorize], to be wrapped with a text that says what to do.
var (
	// ErrUnauthenticated: the request does not say who makes it, or not in a way that can be
	// believed. The answer is 401.
	ErrUnauthenticated = errors.New("not signed in")
	// ErrForbidden: whoever makes the request may not do this. The answer is 403.
	ErrForbidden = errors.New("not allowed")
)

// Hubs finds task hubs by their names. Its methods may be called from any goroutine.
type Hubs interface {
	// Names lists the hubs there are.
	Names(ctx context.Context) ([]string, error)
	// Client gives a client of a hub. Where there is none of that name, the error wraps
	// durable.ErrNotFound and says how one is made.
	Client(ctx context.Context, name string) (*durable.Client, error)
}

// Clients are hubs that are known beforehand, by name. The map must not change any more once it is
// in use.
type Clients map[string]*durable.Client

// Names lists the hubs in order.
func (c Clients) Names(context.Context) ([]string, error) { return slices.Sorted(maps.Keys(c)), nil }

// Client gives the client of a hub; an error that wraps durable.ErrNotFound if there is none.
func (c Clients) Client(_ context.Context, name string) (*durable.Client, error) {
	if client := c[name]; client != nil {
		return client, nil
	}
	return nil, noHub(name)
}

// noHub is the error of a hub that there is not.
type noHub string

func (h noHub) Error() string {
	return fmt.Sprintf("there is no task hub %q; /hubs lists those there are", string(h))
}
func (h noHub) Unwrap() error { return durable.ErrNotFound }

// Options say what a dashboard shows, to whom. Only Hubs is needed.
type Options struct {
	// Hubs are the task hubs.
	Hubs Hubs
	// Authorize says whether a request may do what needs the role in the hub: nil, or an error that
	// wraps ErrUnauthenticated or ErrForbidden. Pages answer 401 with a challenge that lets a browser
	// ask for a name and a token (Basic), the API with one for a bearer token; a request may carry
	// either. nil: everybody may do everything.
	Authorize func(r *http.Request, hub string, role Role) error
	// Identify says who makes a request, for the record of decisions. nil: nobody knows, so that
	// whoever decides may give a name, and is "http@ADDRESS" without. "" from Identify: likewise
	// "http@ADDRESS", but a name is not taken.
	Identify func(r *http.Request) string
	// Ready tells why the server cannot work at the moment, for /readyz. nil: it always can.
	Ready func(ctx context.Context) error
	// Hosts are host names, without ports, under which requests may come, beside localhost and
	// loopback addresses. Without any, requests to addresses that are not loopback may come under
	// every name.
	Hosts []string
	// MaxBody bounds what a request may send, in bytes. 0: 1 MiB.
	MaxBody int64
	// Timeout bounds how long a request waits for a hub. 0: 30 s.
	Timeout time.Duration
	// Ending is closed when the server is about to end: then event streams, which would keep it from
	// that, end too, and their readers go on with the next server. nil: they last.
	Ending <-chan struct{}
	// Program is shown at the foot of pages, such as "agentrun 0.5.0".
	Program string
	// Logger is told of errors that are not the caller's. nil: slog.Default().
	Logger *slog.Logger
}

// handler is a dashboard.
type handler struct {
	Options
	mux *http.ServeMux
}

// New makes the handler of a dashboard. It may serve any number of requests at once.
func New(o Options) http.Handler {
	if o.Hubs == nil {
		o.Hubs = Clients{}
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	h := &handler{Options: o, mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /healthz", h.healthz)
	h.mux.HandleFunc("GET /readyz", h.readyz)
	h.routeAPI()
	h.routePages()
	return h.guard(http.HandlerFunc(h.route))
}

// route answers what no route fits in the form that the caller expects.
func (h *handler) route(w http.ResponseWriter, r *http.Request) {
	next, pattern := h.mux.Handler(r)
	if pattern != "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	silent := &answer{header: w.Header()}
	next.ServeHTTP(silent, r)
	c := &call{handler: h, w: w, r: r}
	switch silent.status {
	case http.StatusNotFound:
		c.fail(&problem{Status: http.StatusNotFound, Code: "no_route", Detail: "there is nothing at " + r.URL.Path + "; docs/http-api.md lists what there is"})
	case http.StatusMethodNotAllowed:
		c.fail(&problem{Status: http.StatusMethodNotAllowed, Code: "method", Detail: r.Method + " does not work here; use " + w.Header().Get("Allow")})
	default: // a redirection to the clean form of the path
		w.WriteHeader(silent.status)
	}
}

// answer takes an answer's head, and drops its body.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

// call is a request on its way.
type call struct {
	*handler
	w      http.ResponseWriter
	r      *http.Request
	hub    string          // "": it is for none
	client *durable.Client // of the hub
}

// in makes the handler of a route below a hub, which only callers with the role get to.
func (h *handler) in(role Role, f func(c *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
		defer cancel()
		c := &call{handler: h, w: w, r: r.WithContext(ctx), hub: r.PathValue("hub")}
		err := c.enter(role)
		if err == nil {
			err = f(c)
		}
		if err != nil {
			c.fail(err)
		}
	}
}

// enter asks whether the caller may, before it says whether there is such a hub.
func (c *call) enter(role Role) (err error) {
	if err := c.authorize(c.hub, role); err != nil {
		return err
	}
	c.client, err = c.Hubs.Client(c.ctx(), c.hub)
	if err != nil && errors.Is(err, durable.ErrNotFound) {
		return missing("%v", err)
	}
	return err
}

func (c *call) authorize(hub string, role Role) error {
	if c.Authorize == nil {
		return nil
	}
	return c.Authorize(c.r, hub, role)
}

func (c *call) ctx() context.Context { return c.r.Context() }

// names lists the hubs that the caller may see. It fails if there are some, and the caller may see
// none of them.
func (c *call) names() ([]string, error) {
	all, err := c.Hubs.Names(c.ctx())
	if err != nil {
		return nil, err
	}
	names := []string{}
	var refused error
	for _, name := range all {
		switch err := c.authorize(name, Reader); {
		case err == nil:
			names = append(names, name)
		case errors.Is(err, ErrForbidden), errors.Is(err, ErrUnauthenticated):
			refused = err
		default:
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, refused
	}
	return names, nil
}

// by is who makes the request, for the record; said is the name that it gives itself.
func (c *call) by(said string) (string, error) {
	who := ""
	switch {
	case c.Identify != nil:
		if said != "" {
			return "", invalid("this server knows who decides by itself; leave out by")
		}
		who = c.Identify(c.r)
	case len(said) > 200:
		return "", invalid("the name in by has %d bytes; give one of at most 200", len(said))
	default:
		who = said
	}
	if who != "" {
		return who, nil
	}
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		host = c.r.RemoteAddr
	}
	return "http@" + host, nil
}

// healthz says that the process answers.
func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// readyz says whether the server can work, and to those who came under one of its names also why
// not.
func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ready\n"
	if h.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
		defer cancel()
		if err := h.Ready(ctx); err != nil {
			text = "not ready\n"
			if h.checkHost(r) == nil {
				text = "not ready: " + visible(err.Error()) + "\n"
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	_, _ = w.Write([]byte(text))
}
