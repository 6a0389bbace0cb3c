package httptool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// hosts is a list of hosts that may be asked.
type hosts []string

// parseHosts checks the entries of an allow-list: "example.com", "example.com:8443", "*.example.com", "*".
func parseHosts(entries []string) (hosts, error) {
	list := make(hosts, 0, len(entries))
	for _, entry := range entries {
		e := strings.ToLower(entry)
		name := strings.TrimPrefix(e, "*.")
		if e != "*" {
			u, err := url.Parse("https://" + name)
			if err != nil || u.Host != name || u.Hostname() == "" || strings.ContainsAny(name, "*@") || !ascii(name) {
				return nil, fmt.Errorf("host %q: use a name such as api.example.com, *.example.com or api.example.com:8443, or * for all", entry)
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// check refuses a URL whose scheme is not that of the web or whose host is not on the list. Its error is for the model.
func (h hosts) check(u *url.URL) error {
	if u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("only https and http URLs are allowed")
	}
	if u.User != nil {
		return errors.New("a URL must not have a user or password")
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if name == "" || !ascii(name) {
		return errors.New("the URL has no host that is written in ASCII")
	}
	port := u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	full := name
	if strings.Contains(name, ":") {
		full = "[" + name + "]"
	}
	if port != "" {
		full += ":" + port
	}
	for _, entry := range h {
		if entry == "*" || entry == full {
			return nil
		}
		if suffix, ok := strings.CutPrefix(entry, "*"); ok && strings.HasSuffix(full, suffix) && len(full) > len(suffix) {
			return nil
		}
	}
	return fmt.Errorf("host %s is not one that may be asked", full)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// notPublic are networks that are not of the public Internet and that netip has no method for. See the IANA registries
// of special-purpose addresses (RFC 6890). 2001::/23 has Teredo (RFC 4380) in it, which hides the address that packets
// go to.
var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20")

// global is all of IPv6 that is assigned as global unicast (RFC 4291, section 2.4, and IANA's registry). What is beside
// it leads to IPv4 by some mechanism (::ffff:0:a.b.c.d), into an overlay, or nowhere.
var global = netip.MustParsePrefix("2000::/3")

// Networks whose addresses have one of IPv4 in them, and where.
var embedded = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // RFC 3056
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public reports whether an address is one of the public Internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() { // loopback and link-local are no global unicast
		return false
	}
	for _, p := range notPublic {
		if p.Contains(addr) {
			return false
		}
	}
	for _, e := range embedded {
		if b := addr.AsSlice(); e.prefix.Contains(addr) {
			inner, _ := netip.AddrFromSlice(b[e.at : e.at+4])
			return public(inner)
		}
	}
	return addr.Is4() || global.Contains(addr)
}

// errPrivate says that a name leads into a network that is not to be reached. It does not say where: the model is not
// to map the network by it.
var errPrivate = errors.New("the host has an address in a private network, which may not be asked")

// dialer connects to public addresses only, and those that are allowed. It looks at the address that is dialed, after
// the name was resolved, so that a name which resolves differently the second time gets no further.
func dialer(allowed []netip.Prefix) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout: 10 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return errPrivate
			}
			addr := to.Addr().Unmap().WithZone("")
			if public(addr) {
				return nil
			}
			for _, p := range allowed {
				if p.Contains(addr) {
					return nil
				}
			}
			return errPrivate
		},
	}
	return d.DialContext
}
