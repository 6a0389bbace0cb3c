package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

type serveFlags struct {
	o         server.Options
	cert, key string
	live      bool
	program   string
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve task hubs to programs of all languages",
		Long: `Serve task hubs to programs of all languages, by the durable task protocol.

Clients and workers connect with the connection string that is printed; other
shells go on using this store with the usual commands. A program of agents runs
its own definitions here too: give its directory with --program, or call "serve" of
its own binary.

On addresses of this machine nobody is asked who he is, unless --require-token is
given. Any other address needs --tls-cert, --tls-key and --require-token, and
clients a token:

  agentrun token create --role operator --hub default

The first Ctrl-C, or SIGTERM, lets calls under way finish; the second one ends the
process at once, which loses nothing either.`,
		Example: `  agentrun serve
  agentrun serve --grpc 127.0.0.1:0 --http 127.0.0.1:0 --dev -o json
  agentrun serve --grpc :8080 --http :8082 --tls-cert cert.pem --tls-key key.pem --require-token`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), f) },
	}
	flags, l := c.Flags(), &f.o.Limits
	flags.StringVar(&f.o.GRPC, "grpc", server.DefaultGRPC, "`ADDRESS` of the protocol; port 0 is any that is free")
	flags.StringVar(&f.o.HTTP, "http", server.DefaultHTTP, "`ADDRESS` of the pages of runs, a JSON API, /healthz and /readyz")
	flags.BoolVar(&f.o.Dev, "dev", false, "make every task hub that a client names")
	flags.StringVar(&f.cert, "tls-cert", "", "`FILE` with the server's certificate, PEM")
	flags.StringVar(&f.key, "tls-key", "", "`FILE` with the certificate's key, PEM")
	flags.BoolVar(&f.o.RequireToken, "require-token", false, "ask every client for a token")
	flags.BoolVar(&f.live, "live", false, "ask real models, which may cost money")
	flags.StringVar(&f.program, "program", "", "`DIR` of the Go program whose definitions run here")
	flags.DurationVar(&f.o.Grace, "grace", 10*time.Second, "`TIME` for calls under way when the server is ended")
	flags.IntVar(&l.Message, "max-message", 64<<20, "`BYTES` of a request")
	flags.IntVar(&l.Payload, "max-payload", 0, "`BYTES` of an input or event; 0: as a request")
	flags.IntVar(&l.Instances, "max-instances", 0, "`N` instances in a hub; 0: no limit")
	flags.IntVar(&l.History, "max-history", 0, "`N` events in the history of an execution, which fails beyond; 0: no limit")
	flags.IntVar(&l.Waits, "max-waits", 10_000, "`N` waits of one connection at a time")
	flags.IntVar(&l.InFlight, "max-work-items", 100, "`N` orchestrations, activities and entities each that a worker has at once which asks for no number")
	flags.IntVar(&l.Hubs, "max-hubs", 100, "`N` task hubs open")
	return c
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	if f.program != "" && !a.ownsDefinitions() {
		return a.become(ctx, f.program)
	}
	if err := f.check(); err != nil {
		return err
	}
	o := f.o
	o.Store, o.Info = a.store, taskhub.Info{Program: "agentrun", Version: version()}
	if (f.cert == "") != (f.key == "") {
		return usagef("--tls-cert and --tls-key belong together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return setupf("--tls-cert %s, --tls-key %s: %w", f.cert, f.key, err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	o.Handler = pages(o)
	own, err := a.program.Serve(f.live)
	if err != nil {
		return setupf("the program is wrong: %w", err)
	}
	s, err := server.Open(ctx, o, own)
	if err != nil {
		return a.serveError(err)
	}
	if err := a.printReady(s, o); err != nil {
		return errors.Join(err, s.Close())
	}
	select {
	case <-ctx.Done():
		a.term.printf("ending: calls under way may finish for %v; a second signal ends them\n", o.Grace)
	case <-s.Done():
	}
	why := s.Err()
	if err := s.Close(); err != nil {
		return err // it has why in it
	}
	return why
}

// check refuses limits that would let nothing through.
func (f *serveFlags) check() error {
	for _, x := range []struct {
		flag     string
		n, least int
	}{
		{"--max-message", f.o.Limits.Message, 1}, {"--max-payload", f.o.Limits.Payload, 0}, {"--max-instances", f.o.Limits.Instances, 0},
		{"--max-history", f.o.Limits.History, 0}, {"--max-waits", f.o.Limits.Waits, 1}, {"--max-work-items", f.o.Limits.InFlight, 1}, {"--max-hubs", f.o.Limits.Hubs, 1}, {"--grace", int(f.o.Grace), 1},
	} {
		if x.n < x.least {
			return usagef("%s must be at least %d", x.flag, x.least)
		}
	}
	return nil
}

// serveError says of a store that is held how to go on.
func (a *app) serveError(err error) error {
	var held *durable.HeldError
	if !errors.As(err, &held) || held.PID == 0 {
		return err
	}
	return setupf("%w; use its hubs through that process, or end it: kill %d", err, held.PID)
}

// ready is what is known of a server that is there.
type ready struct {
	Ready            bool   `json:"ready"`
	ConnectionString string `json:"connectionString"`
	GRPC             string `json:"grpc"`
	HTTP             string `json:"http"`
	Store            string `json:"store"`
	PID              int    `json:"pid"`
}

func (a *app) printReady(s *server.Server, o server.Options) error {
	r := ready{Ready: true, ConnectionString: s.ConnectionString(), Store: a.store, PID: os.Getpid()}
	r.GRPC, r.HTTP = s.Addresses()
	if a.format != formatTable {
		return a.printJSON(r)
	}
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	}
	lines := []string{"ready: " + r.ConnectionString}
	if o.RequireToken {
		lines = append(lines, "  token: each call needs the header authorization: Bearer TOKEN; one is made with "+a.typed("token", "create", "--role", "operator"))
	}
	lines = append(lines,
		fmt.Sprintf("  pages: %s://%s", scheme, r.HTTP),
		"  store: "+r.Store,
		fmt.Sprintf("  stop:  Ctrl-C, or kill %d", r.PID))
	return a.printText(strings.Join(lines, "\n"))
}
