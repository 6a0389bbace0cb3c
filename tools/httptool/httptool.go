// Package httptool makes tools of HTTP requests, without a function to write: the request is declared, the arguments
// go into its URL and its body.
//
//	type issue struct {
//		Owner string   `json:"owner"`
//		Repo  string   `json:"repo"`
//		Title string   `json:"title"`
//		Label []string `json:"labels,omitempty"`
//	}
//
//	var createIssue = httptool.New[issue]("create_issue", "Open an issue.", httptool.Request{
//		Method:  "POST",
//		URL:     "https://api.github.com/repos/{owner}/{repo}/issues",
//		Secrets: map[string]httptool.Secret{"Authorization": httptool.Env("GITHUB_AUTHORIZATION")},
//	})
//
// # Arguments
//
// A {name} in the URL is the argument of that name, escaped so that it stays within its path segment or its query
// parameter. A parameter of the query whose argument is not given is left out; a list gives one for each element. The
// arguments that the URL does not have are the request's body, a JSON object. A URL that is nothing but {name} is given
// whole by the model, and then [Request.Hosts] says which hosts it may name.
//
// # What it keeps to
//
// Only the hosts of the list are asked, after a redirect too, and only at addresses of the public Internet unless
// [Request.Private] allows others. The address is looked at when it is dialed, so a name whose address changes leads
// nowhere else; proxies of the environment are not used, since they would dial instead. Redirects are followed for
// GET and HEAD only, never from https to http, and another origin gets none of the request's headers. Responses are
// bounded, after they were decompressed.
//
// The values of [Request.Secrets] are in no error and no result: where a response repeats one, it is blotted out.
//
// # Effects
//
// A tool is [tools.Pure] for GET and HEAD, [tools.Idempotent] for PUT and DELETE, as RFC 9110 says of these methods,
// and [tools.Unsafe] for the others; options say otherwise. All but GET and HEAD send the call's idempotency key
// ([tools.Key]) in a header. For a service that keeps to it, a POST may be declared idempotent.
//
// When a request of a tool that is not repeatable has gone out and there is no answer, or one of the 500s, nobody
// knows whether it took effect: that is a [*tools.UnknownOutcomeError]. No request is ever sent twice.
package httptool

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// What holds unless a [Request] or an option says otherwise.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxResponse = 1 << 20 // bytes, 1 MiB
	DefaultKeyHeader   = "Idempotency-Key"
)

// Secret finds the value of a header when a request is made. An error stops the run, since no model can help.
type Secret func(ctx context.Context) (string, error)

// Env is a secret that is in an environment variable.
func Env(name string) Secret {
	return func(context.Context) (string, error) {
		value, ok := os.LookupEnv(name)
		if !ok || value == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return value, nil
	}
}

// Request declares the request that a tool makes.
type Request struct {
	// Method is GET, HEAD, POST, PUT, PATCH or DELETE. Empty means GET.
	Method string
	// URL is a template, see the package documentation.
	URL string
	// Header has what is sent as it is.
	Header map[string]string
	// Secrets are values of headers that nobody is to see.
	Secrets map[string]Secret
	// Hosts may be asked: "api.example.com", "*.example.com" for all below it, "api.example.com:8443" for a port that
	// is not the scheme's own, "*" for any. Empty means the host of the URL.
	Hosts []string
	// Private are networks that are not of the public Internet, and may be asked nevertheless.
	Private []netip.Prefix
	// TLS is the configuration of https connections: a private authority, a client certificate. nil means the usual.
	TLS *tls.Config
	// MaxResponse is how many bytes of a response are read. 0 means [DefaultMaxResponse].
	MaxResponse int
	// KeyHeader is the header with the call's idempotency key. Empty means [DefaultKeyHeader], "-" that there is none.
	KeyHeader string
}

// New makes a tool whose arguments are those of In, a struct type as for [tools.New]; what is sent is In as
// encoding/json writes it. opts take the place of what the method and [DefaultTimeout] declare. A Reconcile function
// is one for In and [tools.Result].
//
// It panics on a wrong registration, as tools.New does: a field that the URL has and In has not, or the other way
// round if the method has no body, or a field of the path that is not required.
func New[In any](name, description string, r Request, opts ...tools.Option) tools.Tool {
	c, err := compile(r)
	if err != nil {
		panic(fmt.Sprintf("httptool.New(%q): %v", name, err))
	}
	tool := tools.New(name, description, func(ctx context.Context, in In) (tools.Result, error) {
		arguments, err := json.Marshal(in)
		if err != nil {
			return tools.Result{}, err
		}
		return c.call(ctx, arguments)
	}, c.defaults()...)
	if err = c.fits(tool); err == nil {
		tool, err = override(tool, opts)
	}
	if err != nil {
		panic(fmt.Sprintf("httptool.New(%q): %v", name, err))
	}
	return tool
}

// Raw makes a tool from a JSON Schema that is known only at run time, as [tools.Raw] does.
func Raw(name, description string, schema json.RawMessage, r Request, opts ...tools.Option) (tools.Tool, error) {
	c, err := compile(r)
	if err != nil {
		return tools.Tool{}, fmt.Errorf("tool %q: %w", name, err)
	}
	tool, err := tools.Raw(name, description, schema, func(ctx context.Context, arguments json.RawMessage) (tools.Result, error) {
		return c.call(ctx, arguments)
	}, c.defaults()...)
	if err != nil {
		return tools.Tool{}, err
	}
	if err := c.fits(tool); err != nil {
		return tools.Tool{}, fmt.Errorf("tool %q: %w", name, err)
	}
	return override(tool, opts)
}

// override applies the user's options over those of the method.
func override(tool tools.Tool, opts []tools.Option) (tools.Tool, error) {
	if len(opts) == 0 {
		return tool, nil
	}
	return tool.With(opts...)
}

// caller is a request that was checked.
type caller struct {
	Request
	template *template
	hosts    hosts
	client   *http.Client
}

func compile(r Request) (*caller, error) {
	c := &caller{Request: r}
	c.Header, c.Secrets = maps.Clone(r.Header), maps.Clone(r.Secrets)
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, c.Method) {
		return nil, fmt.Errorf("method %q: use GET, HEAD, POST, PUT, PATCH or DELETE", r.Method)
	}
	if c.KeyHeader == "" {
		c.KeyHeader = DefaultKeyHeader
	}
	if c.MaxResponse == 0 {
		c.MaxResponse = DefaultMaxResponse
	}
	if c.MaxResponse < 0 {
		return nil, fmt.Errorf("a response of %d bytes: the limit must be positive", r.MaxResponse)
	}
	var err error
	if c.template, err = parseTemplate(r.URL); err != nil {
		return nil, fmt.Errorf("its URL: %w", err) // not the URL itself, which may have a key in it
	}
	if c.hosts, err = parseHosts(r.Hosts); err != nil {
		return nil, err
	}
	if err := c.checkHost(); err != nil {
		return nil, err
	}
	if err := c.checkHeaders(); err != nil {
		return nil, err
	}
	c.client = &http.Client{
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			DialContext:            dialer(slices.Clone(r.Private)),
			TLSClientConfig:        r.TLS.Clone(),
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			// A request on a connection that was used before is sent again when the server has just closed it, and one
			// with an idempotency key is, too. Each call has a connection of its own instead.
			DisableKeepAlives: true,
		},
	}
	return c, nil
}

func (c *caller) checkHost() error {
	if c.template.whole != "" {
		if len(c.hosts) == 0 {
			return errors.New("the model gives the URL, so Hosts must say which ones it may name")
		}
		return nil
	}
	u, err := url.Parse(c.template.base)
	if err != nil {
		return errors.New("its URL has no valid host")
	}
	if len(c.hosts) == 0 {
		own, err := parseHosts([]string{u.Host})
		if err != nil {
			return err
		}
		if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
			own[0] = strings.TrimSuffix(own[0], ":"+u.Port())
		}
		c.hosts = own
	}
	return c.hosts.check(u)
}

func (c *caller) checkHeaders() error {
	seen := map[string]bool{}
	names := append(slices.Collect(maps.Keys(c.Header)), slices.Collect(maps.Keys(c.Secrets))...)
	if c.KeyHeader != "-" {
		names = append(names, c.KeyHeader)
	}
	for _, name := range names {
		key := http.CanonicalHeaderKey(name)
		switch {
		case !token(name):
			return fmt.Errorf("header %q: it is no name of a header", name)
		case seen[key]:
			return fmt.Errorf("header %s is declared twice", key)
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer"}, key):
			return fmt.Errorf("header %s is not for a tool to set", key)
		}
		seen[key] = true
	}
	for name, secret := range c.Secrets {
		if secret == nil {
			return fmt.Errorf("header %s: its secret is nil", name)
		}
	}
	return nil
}

// token reports whether a name is one by RFC 9110, section 5.6.2.
func token(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

func (c *caller) defaults() []tools.Option {
	effect := tools.Unsafe()
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		effect = tools.Pure()
	case http.MethodPut, http.MethodDelete:
		effect = tools.Idempotent()
	}
	return []tools.Option{effect, tools.Timeout(DefaultTimeout)}
}

// fits checks that the URL's places have arguments, and the arguments a place.
func (c *caller) fits(tool tools.Tool) error {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if err := json.Unmarshal(tool.Schema(), &schema); err != nil {
		return fmt.Errorf("read its schema: %w", err)
	}
	for _, field := range c.template.fields {
		if _, ok := schema.Properties[field]; !ok {
			return fmt.Errorf("its URL has {%s}, and there is no such argument", field)
		}
	}
	for _, p := range append(slices.Clone(c.template.path), part{field: c.template.whole}) {
		if p.field != "" && !slices.Contains(schema.Required, p.field) {
			return fmt.Errorf("its URL needs {%s}, which is not a required argument", p.field)
		}
	}
	if !c.hasBody() {
		for _, field := range slices.Sorted(maps.Keys(schema.Properties)) {
			if !slices.Contains(c.template.fields, field) {
				return fmt.Errorf("the argument %s goes nowhere: a %s has no body, so put {%s} into the URL", field, c.Method, field)
			}
		}
	}
	return nil
}

func (c *caller) hasBody() bool {
	return c.Method == http.MethodPost || c.Method == http.MethodPut || c.Method == http.MethodPatch
}

// safe reports whether the method only reads.
func (c *caller) safe() bool { return c.Method == http.MethodGet || c.Method == http.MethodHead }
