package server

import (
	"errors"
	"io"
	"net"
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
		mux.Handle("/", s.shield(s.options.Handler(s)))
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

// shield lets those requests through that are meant for the server and may be made. Where no token
// is asked for, a page of another origin that a browser shows on this machine is the danger: its
// requests are refused, and so are those by a name that was made to point here.
func (s *Server) shield(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	if s.tokens == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isLocalName(r.Host) {
				text(w, http.StatusMisdirectedRequest, "this server is reached by the address of this machine only, as http://127.0.0.1")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		need := access.Operator
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			need = access.Reader
		}
		const advice = "make one with: agentrun token create --role "
		token, err := s.tokens.Check(secretOf(r))
		switch {
		case errors.Is(err, access.ErrToken):
			w.Header().Set("WWW-Authenticate", `Basic realm="agentrun: any name, and a token as the password", charset="UTF-8"`)
			text(w, http.StatusUnauthorized, "this server asks for a token, as a bearer's or as the password of basic authentication; "+advice+string(need))
		case err != nil:
			s.options.Logger.Error("tokens cannot be checked, so every request is refused", "err", err)
			text(w, http.StatusInternalServerError, "the server cannot read its tokens; its log says why")
		case !token.Role.Includes(need):
			text(w, http.StatusForbidden, "this needs the role "+string(need)+", and token "+token.ID+" has the role "+string(token.Role)+"; "+advice+string(need))
		default:
			next.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), token)))
		}
	})
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

// isLocalName reports whether a host that a client wrote is this machine's own.
func isLocalName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
