package openai

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
)

// DefaultBaseURL is where OpenAI itself answers.
const DefaultBaseURL = "https://api.openai.com/v1"

const (
	providerName = "openai"
	// defaultIdle is generous: a reasoning model may think for minutes without a byte.
	defaultIdle = 10 * time.Minute
)

// Options configure a [Client]. The zero value asks OpenAI without a key.
type Options struct {
	// BaseURL is the server's address up to the API's version, "http://host:port/v1".
	// Empty means [DefaultBaseURL].
	BaseURL string
	// APIKey is sent as bearer token; empty sends none, as local servers like it.
	APIKey string
	// Organization is sent as OpenAI-Organization when set.
	Organization string
	// Headers are added to each request and win over the ones set otherwise. Their
	// values are treated as secrets.
	Headers map[string]string
	// Model, if set, is asked for instead of Request.Model.
	Model string
	// IdleTimeout ends an answer during which the server sent nothing for so long,
	// with a retryable error; 0 means 10 minutes. Comments sent as keep-alive count.
	IdleTimeout time.Duration
	// WithoutUsage leaves out stream_options, which some servers refuse. The usage of
	// answers is then zero.
	WithoutUsage bool
	// Transport sends the requests; nil means [http.DefaultTransport].
	Transport http.RoundTripper
}

// String names the server and the model, and no secret.
func (o Options) String() string {
	base := "(invalid base URL)"
	if u, err := parseBase(o.BaseURL); err == nil {
		base = u.String()
	}
	s := "openai " + base
	if o.Model != "" {
		s += " model " + o.Model
	}
	if len(o.Headers) > 0 {
		s += " headers " + strings.Join(slices.Sorted(maps.Keys(o.Headers)), ",")
	}
	return s
}

// GoString is String, for %#v.
func (o Options) GoString() string { return o.String() }

// Client is a [models.Model] for one server.
type Client struct {
	api          *api.Client
	host         string
	model        string
	idle         time.Duration
	withoutUsage bool
	redact       func(string) string
	text         string // what String returns
}

// New returns a client. It does not connect; it fails for a base URL that cannot be.
func New(opts Options) (*Client, error) {
	base, err := parseBase(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(opts.APIKey, "\r\n") {
		return nil, fmt.Errorf("openai: the API key has a line break in it; check how it is read")
	}
	// The library gets no key: whatever it prints or wraps cannot have it.
	config := api.DefaultConfig("")
	config.BaseURL = base.String()
	config.OrgID = opts.Organization
	config.EmptyMessagesLimit = maxEmptyLines
	config.HTTPClient = &http.Client{
		Transport: &transport{next: opts.Transport, headers: secretHeaders(opts)},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	c := &Client{
		api:          api.NewClientWithConfig(config),
		host:         base.Host,
		model:        opts.Model,
		idle:         opts.IdleTimeout,
		withoutUsage: opts.WithoutUsage,
		redact:       redactor(opts),
		text:         opts.String(),
	}
	if c.idle == 0 {
		c.idle = defaultIdle
	}
	return c, nil
}

// String names the server and the model, and no secret.
func (c *Client) String() string { return c.text }

// GoString is String, for %#v.
func (c *Client) GoString() string { return c.text }

// FromEnv returns the provider "openai" as the environment describes it:
// OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_ORG_ID, read through getenv, which is
// [os.Getenv] in programs. It is configured if one of the first two is set. Opened
// models retry as [models.WithRetry] does by default.
func FromEnv(getenv func(string) string) models.Provider {
	opts := Options{
		APIKey:       strings.TrimSpace(getenv("OPENAI_API_KEY")),
		BaseURL:      strings.TrimSpace(getenv("OPENAI_BASE_URL")),
		Organization: strings.TrimSpace(getenv("OPENAI_ORG_ID")),
	}
	return models.Provider{
		Name:       providerName,
		Configured: opts.APIKey != "" || opts.BaseURL != "",
		Setup:      "set OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server",
		Open: func(name string) (models.Model, error) {
			opts := opts
			opts.Model = name
			client, err := New(opts)
			if err != nil {
				return nil, err
			}
			return models.WithRetry(client, models.RetryOptions{}), nil
		},
	}
}

// Generate implements [models.Model].
func (c *Client) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return models.Checked(func(yield func(models.Event, error) bool) {
		if err := c.generate(ctx, req, yield); err != nil {
			yield(models.Event{}, err)
		}
	})
}

// generate runs one exchange with the server. It returns nil when the consumer left.
func (c *Client) generate(ctx context.Context, req *models.Request, yield func(models.Event, error) bool) error {
	request, err := c.request(req)
	if err != nil {
		return err
	}
	x, callCtx, stop := newExchange(ctx, c.idle)
	defer stop()
	stream, err := c.api.CreateChatCompletionStream(callCtx, *request)
	if err != nil {
		return c.failed(ctx, x, err)
	}
	defer stream.Close()
	if x.status >= 300 { // the library takes redirects for answers
		return c.redirected(x)
	}
	answer := answer{turn: models.AssistantTurns(req.Messages) + 1}
	for {
		raw, err := stream.RecvRaw()
		if ctx.Err() != nil || x.timedOut() {
			// Before anything else: a cancelled stream may end in many ways.
			return c.failed(ctx, x, err)
		}
		if len(raw) == 0 && x.errorEvent != nil {
			return c.streamError(x.errorEvent)
		}
		if err != nil {
			if answer.finish != "" {
				break // complete; what was lost after it can only be the usage
			}
			return c.ended(x, &answer, err)
		}
		events, err := answer.add(raw)
		if err != nil {
			return c.badChunk(err)
		}
		for _, ev := range events {
			if !yield(ev, nil) {
				return nil
			}
		}
	}
	resp, err := answer.response()
	if err != nil {
		return c.badChunk(err)
	}
	yield(models.Event{Response: resp}, nil)
	return nil
}

// parseBase returns the base URL, checked, without a slash at its end.
func parseBase(base string) (*url.URL, error) {
	if base == "" {
		base = DefaultBaseURL
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		// The parser's error quotes the text, which may hold a key.
		return nil, fmt.Errorf("openai: the base URL is not a URL; it looks like %s", DefaultBaseURL)
	case u.User != nil:
		return nil, fmt.Errorf("openai: the base URL of %s has a user name in it; give the key as API key instead", u.Host)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("openai: base URL %q must begin with http:// or https:// and a host", models.OneLine(u.Redacted(), 200))
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("openai: the base URL of %s must end with its path; it has a query or a fragment", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// secretHeaders returns a function that sets what authenticates a request. A
// closure cannot be printed, whatever the verb.
func secretHeaders(opts Options) func(http.Header) {
	key, headers := opts.APIKey, maps.Clone(opts.Headers)
	return func(h http.Header) {
		if key != "" {
			h.Set("Authorization", "Bearer "+key)
		}
		for name, value := range headers {
			h.Set(name, value)
		}
	}
}

// redactor returns a function that removes the secrets from a server's words.
func redactor(opts Options) func(string) string {
	var pairs []string
	add := func(secret string) {
		// Shorter ones are no secrets, and would blank out ordinary words.
		if len(secret) >= 6 {
			pairs = append(pairs, secret, "[secret]")
		}
	}
	add(opts.APIKey)
	for _, name := range slices.Sorted(maps.Keys(opts.Headers)) {
		_, token, _ := strings.Cut(opts.Headers[name], " ") // "Bearer TOKEN"
		add(opts.Headers[name])
		add(token)
	}
	return strings.NewReplacer(pairs...).Replace
}
