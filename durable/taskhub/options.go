package taskhub

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

// ServerOptions tune a [Server]; the zero value serves everybody who can connect.
type ServerOptions struct {
	// Info tells clients who serves.
	Info Info
	// TLS is the server's certificate and what goes with it. nil: plaintext, which is for sockets
	// that no other machine can reach.
	TLS *tls.Config
	// Access checks the bearer tokens of calls. nil: no token is asked for, and every call allowed.
	Access Access
	// Limits bound what clients can ask for.
	Limits Limits
	// Grace is how long Close waits for calls under way. 0: 5 s.
	Grace time.Duration
	// Logger is told of panics and of tokens that cannot be checked. nil: slog.Default().
	Logger *slog.Logger
}

// Access knows the tokens of a server; [access.File] is one.
type Access interface {
	// Check gives the token of a secret. An error that wraps [access.ErrToken] says that the secret
	// is not valid; any other one that it cannot be checked. It is called for every call, and once a
	// second for those that last.
	Check(secret string) (access.Token, error)
}

// Limits bound what clients can ask for. What is beyond is refused with RESOURCE_EXHAUSTED, and the
// text says how to raise the limit.
type Limits struct {
	Message int // bytes of a request; 0: 64 MiB
	Payload int // bytes of an input, event or reason that a client sends; 0: what fits in a message
	Waits   int // waits for an instance that one connection has open at a time; 0: 10,000
}

// withDefaults fills in what is not set.
func (o ServerOptions) withDefaults() ServerOptions {
	if o.Limits.Message <= 0 {
		o.Limits.Message = maxReceive
	}
	if o.Limits.Waits <= 0 {
		o.Limits.Waits = 10_000
	}
	if o.Grace <= 0 {
		o.Grace = closeGrace
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
