package openai

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/internal/wire"
)

// DefaultBaseURL is where OpenAI itself answers.
const DefaultBaseURL = wire.DefaultBaseURL

const providerName = "openai"

// Options configure a [Client]. The zero value asks OpenAI without a key.
type Options struct {
	// BaseURL is the server's address up to the API's version, "http://host:port/v1".
	// Empty means [DefaultBaseURL].
	BaseURL string
	// APIKey is sent as bearer token; empty sends none, as local servers like it.
	APIKey string
	// Organization is sent as OpenAI-Organization when set.
	Organization string
	// AzureAPIVersion, such as "2024-10-21", says that the server is Azure OpenAI. The
	// BaseURL is then that of the resource, "https://NAME.openai.azure.com", the model is
	// the name of a deployment, and the key is sent as api-key.
	AzureAPIVersion string
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
	s := "openai " + o.wire().String()
	if o.Model != "" {
		s += " model " + o.Model
	}
	return s
}

// GoString is String, for %#v.
func (o Options) GoString() string { return o.String() }

func (o Options) wire() wire.Config {
	return wire.Config{
		Provider: providerName, Package: "openai",
		BaseURL: o.BaseURL, APIKey: o.APIKey, Organization: o.Organization, AzureVersion: o.AzureAPIVersion,
		Headers: o.Headers, Idle: o.IdleTimeout, Next: o.Transport,
	}
}

// Client is a [models.Model] for one server.
type Client struct {
	api          *api.Client
	endpoint     *wire.Endpoint
	model        string
	withoutUsage bool
	text         string // what String returns
}

// New returns a client. It does not connect; it fails for a base URL that cannot be.
func New(opts Options) (*Client, error) {
	endpoint, err := wire.New(opts.wire())
	if err != nil {
		return nil, err
	}
	// The library gets no key: whatever it prints or wraps cannot have it.
	config := api.DefaultConfig("")
	config.BaseURL = endpoint.BaseURL()
	config.HTTPClient = endpoint.Client()
	return &Client{
		api:          api.NewClientWithConfig(config),
		endpoint:     endpoint,
		model:        opts.Model,
		withoutUsage: opts.WithoutUsage,
		text:         opts.String(),
	}, nil
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
		Open:       opts.open,
	}
}

// AzureFromEnv returns the provider "azure", whose models are the deployments of one
// resource: AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION, read as
// by [FromEnv]. It is configured if all three are set.
func AzureFromEnv(getenv func(string) string) models.Provider {
	opts := Options{
		BaseURL:         strings.TrimSpace(getenv("AZURE_OPENAI_ENDPOINT")),
		APIKey:          strings.TrimSpace(getenv("AZURE_OPENAI_API_KEY")),
		AzureAPIVersion: strings.TrimSpace(getenv("OPENAI_API_VERSION")),
	}
	return models.Provider{
		Name:       "azure",
		Configured: opts.BaseURL != "" && opts.APIKey != "" && opts.AzureAPIVersion != "",
		Setup:      "set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION",
		Open:       opts.open,
	}
}

// open returns a model that retries.
func (o Options) open(name string) (models.Model, error) {
	o.Model = name
	client, err := New(o)
	if err != nil {
		return nil, err
	}
	return models.WithRetry(client, models.RetryOptions{}), nil
}

// Generate implements [models.Model].
func (c *Client) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return wire.Checked(providerName, func(yield func(models.Event, error) bool) {
		if err := c.generate(ctx, req, yield); err != nil {
			yield(models.Event{}, err)
		}
	})
}

// generate runs one exchange with the server. It returns nil when the consumer left.
func (c *Client) generate(ctx context.Context, req *models.Request, yield func(models.Event, error) bool) error {
	request, err := c.request(req)
	if err != nil {
		return &models.Error{Kind: models.KindInvalidRequest, Provider: providerName, Message: err.Error()}
	}
	x, callCtx, stop := c.endpoint.Begin(ctx, wire.Call{
		Model: request.Model, Turn: models.AssistantTurns(req.Messages) + 1, Edit: zeros(req.Params),
	})
	defer stop()
	stream, err := c.api.CreateChatCompletionStream(callCtx, *request)
	if err == nil {
		defer stream.Close()
	}
	// What the library reads only says when there is something to take.
	for err == nil {
		_, err = stream.RecvRaw()
		for _, ev := range x.Take() {
			if !yield(ev, nil) {
				return nil
			}
		}
	}
	resp, err := x.End(ctx, err)
	if err != nil {
		return err
	}
	yield(models.Event{Response: resp}, nil)
	return nil
}
