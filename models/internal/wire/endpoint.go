package wire

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// DefaultBaseURL is where OpenAI itself answers.
const DefaultBaseURL = "https://api.openai.com/v1"

// defaultIdle is generous: a reasoning model may think for minutes without a byte.
const defaultIdle = 10 * time.Minute

// Config says where requests go and what authenticates them.
type Config struct {
	// Provider names who fails in errors, and Package who complains of a Config.
	Provider, Package string
	BaseURL           string // "" means DefaultBaseURL; for Azure, the resource's address
	APIKey            string
	Organization      string
	// AzureVersion is the api-version of Azure OpenAI, which addresses the model as
	// a deployment and takes the key in another header; "" for everybody else.
	AzureVersion string
	Headers      map[string]string
	Idle         time.Duration // 0 means ten minutes
	Next         http.RoundTripper
}

// String names the server, and no secret.
func (c Config) String() string {
	base := "(invalid base URL)"
	if u, err := c.base(); err == nil {
		base = u.String()
	}
	if c.AzureVersion != "" {
		base += " (Azure " + c.AzureVersion + ")"
	}
	if len(c.Headers) > 0 {
		base += " headers " + strings.Join(slices.Sorted(maps.Keys(c.Headers)), ",")
	}
	return base
}

// Endpoint is a server that requests go to. It is safe for concurrent use.
type Endpoint struct {
	base    *url.URL
	azure   string
	idle    time.Duration
	next    http.RoundTripper
	headers func(http.Header) // a closure cannot be printed, whatever the verb
	voice   voice
}

// New checks the configuration. It does not connect.
func New(c Config) (*Endpoint, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(c.APIKey, "\r\n") {
		return nil, fmt.Errorf("%s: the API key has a line break in it; check how it is read", c.Package)
	}
	e := &Endpoint{
		base:    base,
		azure:   c.AzureVersion,
		idle:    c.Idle,
		next:    c.Next,
		headers: c.secretHeaders(),
		voice:   voice{provider: c.Provider, host: base.Host, redact: c.redactor()},
	}
	if e.idle <= 0 {
		e.idle = defaultIdle
	}
	return e, nil
}

// BaseURL is what a library is told. The address of a request is set below it.
func (e *Endpoint) BaseURL() string { return e.base.String() }

// Client returns the HTTP client for a library. It follows no redirects: they would
// carry the key to another host.
func (e *Endpoint) Client() *http.Client {
	return &http.Client{
		Transport: &Transport{next: e.next},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// chatURL is where a model is asked.
func (e *Endpoint) chatURL(model string) *url.URL {
	base := *e.base
	if base.Path == "" {
		base.Path = "/" // JoinPath would make a relative one
	}
	if e.azure == "" {
		return base.JoinPath("chat", "completions")
	}
	// Both libraries build this address too, one without escaping the deployment's
	// name and the other after taking dots out of it.
	u := base.JoinPath("openai", "deployments", url.PathEscape(model), "chat", "completions")
	u.RawQuery = url.Values{"api-version": {e.azure}}.Encode()
	return u
}

// base returns the base URL, checked, without a slash at its end.
func (c Config) base() (*url.URL, error) {
	base := c.BaseURL
	if base == "" {
		if c.AzureVersion != "" {
			return nil, fmt.Errorf("%s: Azure OpenAI needs the base URL of the resource, such as https://NAME.openai.azure.com", c.Package)
		}
		base = DefaultBaseURL
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		// The parser's error quotes the text, which may hold a key.
		return nil, fmt.Errorf("%s: the base URL is not a URL; it looks like %s", c.Package, DefaultBaseURL)
	case u.User != nil:
		return nil, fmt.Errorf("%s: the base URL of %s has a user name in it; give the key as API key instead", c.Package, u.Host)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%s: base URL %q must begin with http:// or https:// and a host", c.Package, models.OneLine(u.Redacted(), 200))
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s: the base URL of %s must end with its path; it has a query or a fragment", c.Package, u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if c.AzureVersion != "" {
		// The portal shows the resource's address, samples often more of it.
		u.Path = strings.TrimSuffix(u.Path, "/openai")
	}
	u.RawPath = ""
	return u, nil
}

// secretHeaders returns a function that sets what authenticates a request.
func (c Config) secretHeaders() func(http.Header) {
	key, azure, organization := c.APIKey, c.AzureVersion != "", c.Organization
	headers := maps.Clone(c.Headers)
	return func(h http.Header) {
		// A library that insists on a key was given one that is none.
		h.Del("Authorization")
		h.Del("Api-Key")
		switch {
		case key == "":
		case azure:
			h.Set("Api-Key", key)
		default:
			h.Set("Authorization", "Bearer "+key)
		}
		if organization != "" {
			h.Set("OpenAI-Organization", organization)
		}
		for name, value := range headers {
			h.Set(name, value)
		}
	}
}

// redactor returns a function that removes the secrets from a server's words.
func (c Config) redactor() func(string) string {
	secrets := []string{c.APIKey}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		secrets = append(secrets, c.Headers[name])
	}
	return redactor(secrets)
}

// redactor returns a function that puts another text in place of the secrets, and of
// the token in a "Bearer TOKEN".
func redactor(secrets []string) func(string) string {
	var pairs []string
	add := func(secret string) {
		// Shorter ones are no secrets, and would blank out ordinary words.
		if len(secret) >= 6 {
			pairs = append(pairs, secret, "[secret]")
		}
	}
	for _, secret := range secrets {
		_, token, _ := strings.Cut(secret, " ")
		add(secret)
		add(token)
	}
	return strings.NewReplacer(pairs...).Replace
}
