package dashboard

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy lets a page load its own style and send its own forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard puts before every route what no request may go round.
func (h *handler) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		c := &call{handler: h, w: w, r: r}
		// Probes come under whatever name, and are told nothing that is worth having.
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			if err := h.checkHost(r); err != nil {
				c.fail(err)
				return
			}
		}
		if crossOrigin.Check(r) != nil {
			c.fail(&problem{Status: http.StatusForbidden, Code: "cross_origin",
				Detail: "a page of another site sent this request, so nothing was done; use the form on the page of this server, or a program that is no browser"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, h.MaxBody)
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests that a browser sends here because somebody else's name was made to
// point at this address: to it they are of that somebody's own site, so that pages could be read and
// forms sent. Where the address can be reached from elsewhere, tokens keep such pages out, and the
// names of the server are known to its user alone.
func (h *handler) checkHost(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") || isLoopback(host) ||
		slices.ContainsFunc(h.Hosts, func(known string) bool { return strings.EqualFold(known, host) }) {
		return nil
	}
	if len(h.Hosts) == 0 && !arrivedAtLoopback(r) {
		return nil
	}
	return &problem{Status: http.StatusForbidden, Code: "host",
		Detail: "this server does not answer as " + visible(host) + "; open it as localhost, or let its operator add that name to those it goes by"}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// arrivedAtLoopback reports whether the connection came in at an address of this machine alone; it
// takes that for true where it cannot tell.
func arrivedAtLoopback(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	host, _, err := net.SplitHostPort(at.String())
	if err != nil { // a socket of another kind, such as Unix
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || ip.Unmap().WithZone("").IsLoopback()
}
