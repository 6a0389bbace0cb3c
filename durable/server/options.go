package server

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// Addresses that a server has by default.
const (
	DefaultGRPC = "127.0.0.1:8080"
	DefaultHTTP = "127.0.0.1:8082"
)

// Options say what a server serves and to whom.
type Options struct {
	// Store is the URL of the hub default: sqlite:PATH or memory:, see [durable.Open].
	Store string
	// GRPC and HTTP are the addresses to listen on, HOST:PORT. Port 0 is any free one. "": DefaultGRPC
	// and DefaultHTTP.
	GRPC, HTTP string
	// Dev makes every hub that a client names, on first use. It is for development.
	Dev bool
	// TLS is the server's certificate, for both addresses. nil: plaintext.
	TLS *tls.Config
	// RequireToken asks every client for a token of [TokenFile].
	RequireToken bool
	// Limits bound what clients can ask for.
	Limits Limits
	// Grace is how long Close waits for calls under way. 0: 10 s.
	Grace time.Duration
	// Info tells clients which program serves.
	Info taskhub.Info
	// Handler makes the handler of all HTTP requests but those for health. It has to ask
	// [Server.Authorize] what each one may do, and to keep pages of other sites out. nil: there is
	// nothing else.
	Handler func(*Server) http.Handler
	// Durable are the options of every hub's runtime; Hub, Serve and Logger are the server's to set.
	Durable durable.Options
	// Logger is told what an operator should know. nil: slog.Default().
	Logger *slog.Logger
}

// Limits bound what clients can ask for; the zero value fits most. What is beyond is refused with
// RESOURCE_EXHAUSTED, and the text names the flag of "agentrun serve" that raises the limit.
type Limits struct {
	taskhub.Limits
	Hubs      int // that the server opens; 0: 100
	Instances int // of a hub, ended ones included; 0: no limit
	History   int // events of one execution; an instance that goes on beyond fails; 0: no limit
	// InFlight is how many items of a kind a worker has at once that does not say how many it
	// wants, and MaxInFlight bounds those that do; 0: 100 and 10,000.
	InFlight, MaxInFlight int
}

func (o Options) withDefaults() Options {
	if o.GRPC == "" {
		o.GRPC = DefaultGRPC
	}
	if o.HTTP == "" {
		o.HTTP = DefaultHTTP
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.Limits.Hubs <= 0 {
		o.Limits.Hubs = 100
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
