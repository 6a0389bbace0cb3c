package modeltest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// Server is where a provider for OpenAI's chat completions is sent by [RunChat].
type Server struct {
	// BaseURL is the address up to the API's version, or that of an Azure resource if
	// AzureAPIVersion is set.
	BaseURL         string
	AzureAPIVersion string
	APIKey          string
	Headers         map[string]string
	// Model is asked for instead of the request's, unless it is "".
	Model string
	// IdleTimeout is how long the server may say nothing; 0 means the provider's choice.
	IdleTimeout time.Duration
	// Transport sends the requests; nil means http.DefaultTransport.
	Transport http.RoundTripper
}

// OpenChat returns a provider's model of a server.
type OpenChat func(t *testing.T, s Server) models.Model

// testKey is looked for wherever it must not be.
const testKey = "sk-test-0123456789abcdef"

// RunChat runs the suite for providers of OpenAI's chat completions: [Run] and more
// against a server that others wrote, and streams, failures and waits that this server
// cannot show, byte by byte as real ones have sent them.
func RunChat(t *testing.T, open OpenChat) {
	t.Run("aimock", func(t *testing.T) { againstAimock(t, open) })
	t.Run("azure", func(t *testing.T) { azure(t, open) })
	t.Run("streams", func(t *testing.T) { wholeStreams(t, open) })
	t.Run("broken streams", func(t *testing.T) { brokenStreams(t, open) })
	t.Run("endless", func(t *testing.T) { endless(t, open) })
	t.Run("failures", func(t *testing.T) { failures(t, open) })
	t.Run("retry after", func(t *testing.T) { retryAfter(t, open) })
	t.Run("unreachable", func(t *testing.T) { unreachable(t, open) })
	t.Run("redirect", func(t *testing.T) { redirect(t, open) })
	t.Run("secrets", func(t *testing.T) { secrets(t, open) })
	t.Run("waits", func(t *testing.T) { waits(t, open) })
	t.Run("cancel", func(t *testing.T) { cancelInMidStream(t, open) })
	t.Run("sent", func(t *testing.T) { sent(t, open) })
	t.Run("refused", func(t *testing.T) { refused(t, open) })
}

// Delta is one event of a stream, with choices[0].delta as given.
func Delta(d string) string {
	return fmt.Sprintf("data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}\n\n", d)
}

// Finish is the event that ends an answer, and Done the one that ends a stream.
func Finish(reason string) string {
	return fmt.Sprintf("data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":%q}]}\n\n", reason)
}

// Done ends a stream. What follows it is not read.
const Done = "data: [DONE]\n\n"

const eventStream = "text/event-stream"

// serve opens a model of a server that answers every request with the same bytes.
func (open OpenChat) serve(t *testing.T, status int, contentType, body string) models.Model {
	t.Helper()
	return open.handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// handle opens a model of a server that answers as h does.
func (open OpenChat) handle(t *testing.T, h http.HandlerFunc) models.Model {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return open(t, Server{BaseURL: server.URL + "/v1", APIKey: testKey})
}

// RoundTrip is an [http.RoundTripper] that is a function.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// streamed is a response whose body is a stream of events.
func streamed(r *http.Request, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {eventStream}}, Body: body, Request: r}
}

func hello() *models.Request {
	return &models.Request{Model: "gpt-4.1", Messages: []models.Message{models.UserMessage("hello")}}
}

func collect(t *testing.T, m models.Model) (*models.Response, error) {
	t.Helper()
	return models.Collect(m.Generate(t.Context(), hello()))
}

// typed demands an error of a kind that is one line and says what it should.
func typed(t *testing.T, err error, kind models.ErrorKind, retry bool, says ...string) *models.Error {
	t.Helper()
	e, ok := asError(err)
	if !ok {
		t.Fatalf("error is %v; want a *models.Error of kind %s", err, kind)
	}
	if e.Kind != kind || e.Retryable() != retry {
		t.Errorf("kind %s, retryable %t (%v); want %s, %t", e.Kind, e.Retryable(), e, kind, retry)
	}
	if e.Provider == "" || strings.ContainsAny(e.Error(), "\r\n") {
		t.Errorf("error %q must be one line and name its provider", e)
	}
	for _, says := range says {
		if !strings.Contains(e.Error(), says) {
			t.Errorf("error %q must say %q", e, says)
		}
	}
	return e
}
