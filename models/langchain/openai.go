package langchain

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/internal/wire"
)

// OpenAIOptions configure an [OpenAI]. The zero value asks OpenAI without a key. They
// mean what those of models/openai do; the library's variables in the environment are
// not read.
type OpenAIOptions struct {
	// BaseURL is the server's address up to the API's version, "http://host:port/v1".
	// Empty means OpenAI's own.
	BaseURL string
	// APIKey is sent as bearer token; empty sends none.
	APIKey string
	// Organization is sent as OpenAI-Organization when set.
	Organization string
	// AzureAPIVersion, such as "2024-10-21", says that the server is Azure OpenAI. The
	// BaseURL is then that of the resource, the model is the name of a deployment, and
	// the key is sent as api-key.
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
func (o OpenAIOptions) String() string {
	s := "langchain openai " + o.wire().String()
	if o.Model != "" {
		s += " model " + o.Model
	}
	return s
}

// GoString is String, for %#v.
func (o OpenAIOptions) GoString() string { return o.String() }

const openAIProvider = "openai"

func (o OpenAIOptions) wire() wire.Config {
	return wire.Config{
		Provider: openAIProvider, Package: "langchain",
		BaseURL: o.BaseURL, APIKey: o.APIKey, Organization: o.Organization, AzureVersion: o.AzureAPIVersion,
		Headers: o.Headers, Idle: o.IdleTimeout, Next: o.Transport,
	}
}

// OpenAI is a [models.Model] for one server that speaks OpenAI's chat completions.
type OpenAI struct {
	llm          llms.Model
	endpoint     *wire.Endpoint
	model        string
	withoutUsage bool
	text         string
}

// NewOpenAI returns a model. It does not connect; it fails for a base URL that cannot be.
func NewOpenAI(opts OpenAIOptions) (*OpenAI, error) {
	endpoint, err := wire.New(opts.wire())
	if err != nil {
		return nil, err
	}
	llm, err := openai.New(
		openai.WithBaseURL(endpoint.BaseURL()),
		openai.WithHTTPClient(endpoint.Client()),
		// The library insists on a key, and would look for the rest in the environment.
		// The real key and the model's name are set below it: it treats some names in
		// ways of its own, such as moving the instructions into the user's message.
		openai.WithToken("none"),
		openai.WithModel(""),
		openai.WithOrganization(""),
	)
	if err != nil {
		return nil, err
	}
	return &OpenAI{llm: llm, endpoint: endpoint, model: opts.Model, withoutUsage: opts.WithoutUsage, text: opts.String()}, nil
}

// String names the server and the model, and no secret.
func (o *OpenAI) String() string { return o.text }

// GoString is String, for %#v.
func (o *OpenAI) GoString() string { return o.text }

// Generate implements [models.Model].
func (o *OpenAI) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return wire.Checked(openAIProvider, func(yield func(models.Event, error) bool) {
		if err := o.generate(ctx, req, yield); err != nil {
			yield(models.Event{}, err)
		}
	})
}

// errLeft stops the library when the consumer has left.
var errLeft = errors.New("the answer is not wanted any more")

// generate runs one exchange with the server. It returns nil when the consumer left.
func (o *OpenAI) generate(ctx context.Context, req *models.Request, yield func(models.Event, error) bool) error {
	messages, options, err := o.request(req)
	if err != nil {
		return refuse(openAIProvider, err)
	}
	model := o.model
	if model == "" {
		model = req.Model
	}
	x, callCtx, stop := o.endpoint.Begin(ctx, wire.Call{
		Model: model, Turn: models.AssistantTurns(req.Messages) + 1,
		Edit: func(b wire.Body) { o.edit(b, model, req) },
	})
	defer stop()
	left := false
	// The library calls back on this goroutine, once for each event, and what it calls
	// with is of no use: the exchange has the event.
	take := func(context.Context, []byte) error {
		for _, ev := range x.Take() {
			if left = !yield(ev, nil); left {
				return errLeft
			}
		}
		return nil
	}
	_, err = o.llm.GenerateContent(callCtx, messages, append(options, llms.WithStreamingFunc(take))...)
	if left || take(ctx, nil) != nil {
		return nil
	}
	resp, err := x.End(ctx, err)
	if err != nil {
		return err
	}
	yield(models.Event{Response: resp}, nil)
	return nil
}

// request translates what the library has words for.
func (o *OpenAI) request(req *models.Request) ([]llms.MessageContent, []llms.CallOption, error) {
	if err := wire.CheckParams(req.Params); err != nil {
		return nil, nil, err
	}
	if err := wire.CheckOutput(req.Output); err != nil {
		return nil, nil, err
	}
	conversation, err := wire.Conversation(req.Messages)
	if err != nil {
		return nil, nil, err
	}
	messages, err := contents(conversation, func(i *models.Image) llms.ContentPart {
		// The library has a form for bytes, which no server of this API knows.
		return llms.ImageURLWithDetailPart(wire.ImageURL(i), i.Detail)
	})
	if err != nil {
		return nil, nil, err
	}
	options, err := toolOptions(req)
	if err != nil {
		return nil, nil, err
	}
	if req.Params.MaxTokens > 0 {
		options = append(options, llms.WithMaxTokens(req.Params.MaxTokens))
	}
	if len(req.Params.Stop) > 0 {
		options = append(options, llms.WithStopWords(req.Params.Stop))
	}
	return messages, options, nil
}

// edit writes what the library has no words for, and takes back what it sends unasked.
func (o *OpenAI) edit(b wire.Body, model string, req *models.Request) {
	p := req.Params
	b.Set("model", model)
	delete(b, "temperature")
	if p.Temperature != nil {
		b.Set("temperature", *p.Temperature)
	}
	if p.TopP != nil {
		b.Set("top_p", *p.TopP)
	}
	if p.Seed != nil {
		b.Set("seed", *p.Seed)
	}
	if p.ReasoningEffort != "" {
		b.Set("reasoning_effort", p.ReasoningEffort)
	}
	if p.ParallelToolCalls != nil && len(req.Tools) > 0 {
		b.Set("parallel_tool_calls", *p.ParallelToolCalls)
	}
	if s := req.Output; s != nil {
		b.Set("response_format", map[string]any{
			"type":        "json_schema",
			"json_schema": map[string]any{"name": wire.SchemaName(s.Name), "strict": true, "schema": s.Schema},
		})
	}
	if o.withoutUsage {
		delete(b, "stream_options")
	}
}
