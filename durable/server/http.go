package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

func (s *Server) serveHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	if s.options.Handler != nil {
		mux.Handle("/", s.options.Handler(s))
	}
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	go func() {
		defer close(s.httpServed)
		var err error
		if s.options.TLS != nil {
			s.http.TLSConfig = s.options.TLS.Clone()
			err = s.http.ServeTLS(s.lisHTTP, "", "")
		} else {
			err = s.http.Serve(s.lisHTTP)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.options.Logger.Error("HTTP is no longer served", "err", err)
		}
	}()
}

func text(w http.ResponseWriter, code int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, words+"\n") // the client may have gone
}

// ready tells whoever looks after the server whether calls would succeed. The reason is for those
// who may see the server's errors: where tokens are asked for it is in the log.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch err := s.Health(); {
	case err == nil:
		text(w, http.StatusOK, "ready")
	case s.tokens != nil:
		s.options.Logger.Warn("not ready", "err", err)
		text(w, http.StatusServiceUnavailable, "not ready; the server's log says why")
	default:
		text(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
	}
}

// Errors of [Server.Authorize] and [Server.Client].
var (
	// ErrUnauthenticated: the request has no valid token.
	ErrUnauthenticated = errors.New("not signed in")
	// ErrDenied: the token of the request is not for this.
	ErrDenied = errors.New("permission denied")
)

// Authorize says whether a request to the server's HTTP handler may do what needs the role in the hub:
// nil, or an error that wraps ErrUnauthenticated or ErrDenied and says how the token is made that is
// lacking. Where no token is asked for, every request may do everything.
func (s *Server) Authorize(r *http.Request, hub string, need access.Role) error {
	if s.tokens == nil {
		return nil
	}
	advice := fmt.Sprintf("one is made with: agentrun token create --role %s --hub %s", need, hub)
	token, err := s.tokens.Check(secretOf(r))
	switch {
	case errors.Is(err, access.ErrToken):
		// The hub may be one of a list: who is not known learns no names.
		return fmt.Errorf("%w: this server asks for a token, as a bearer's or as the password of basic authentication; one is made with: agentrun token create --role %s --hub NAME", ErrUnauthenticated, need)
	case err != nil:
		s.options.Logger.Error("tokens cannot be checked, so every request is refused", "err", err)
		return fmt.Errorf("%w: the server cannot read its tokens; its log says why", ErrDenied)
	case !token.Role.Includes(need):
		return fmt.Errorf("%w: this needs the role %s, and token %s has the role %s; %s", ErrDenied, need, token.ID, token.Role, advice)
	case !token.Covers(hub):
		return fmt.Errorf("%w: token %s is for the task hub %s; %s", ErrDenied, token.ID, token.Hub, advice)
	}
	return nil
}

// Caller gives the token that a request was made with; false if it has none that is valid, or none is
// asked for.
func (s *Server) Caller(r *http.Request) (access.Token, bool) {
	if s.tokens == nil {
		return access.Token{}, false
	}
	token, err := s.tokens.Check(secretOf(r))
	return token, err == nil
}

// secretOf gives the token of a request, "" if it has none.
func secretOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}
