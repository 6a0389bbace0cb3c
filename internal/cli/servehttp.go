package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

// pages are what a server shows over HTTP.
func pages(o server.Options) func(*server.Server) http.Handler {
	return func(s *server.Server) http.Handler {
		d := dashboard.Options{
			Hubs: s, Program: "agentrun " + version(), Logger: o.Logger,
			Ready: func(context.Context) error { return s.Health() }, Ending: s.Draining(),
		}
		if o.RequireToken {
			d.Authorize = func(r *http.Request, hub string, role dashboard.Role) error {
				err := s.Authorize(r, hub, access.Role(role)) // they have the same names
				switch {
				case errors.Is(err, server.ErrUnauthenticated):
					return refusal{err, dashboard.ErrUnauthenticated}
				case err != nil:
					return refusal{err, dashboard.ErrForbidden}
				}
				return nil
			}
			d.Identify = func(r *http.Request) string {
				token, ok := s.Caller(r)
				switch {
				case !ok:
					return ""
				case token.Note == "":
					return "token " + token.ID
				}
				return fmt.Sprintf("%s (token %s)", token.Note, token.ID)
			}
		}
		return dashboard.New(d)
	}
}

// refusal is an error of the server that is one of the dashboard's, too, and says it once.
type refusal struct {
	error
	kind error
}

func (r refusal) Unwrap() []error { return []error{r.error, r.kind} }
