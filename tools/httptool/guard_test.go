package httptool

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"testing"
)

func TestHosts(t *testing.T) {
	list, err := parseHosts([]string{"API.example.com", "*.sub.example.com", "local.test:8080", "[::1]:9", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"https://api.example.com/x": true, "https://API.Example.COM": true, "https://api.example.com.": true, "https://api.example.com:443": true, "http://api.example.com:80": true,
		"https://x.sub.example.com": true, "https://x.y.sub.example.com": true, "http://local.test:8080": true, "http://[::1]:9": true, "http://127.0.0.1": true,
		"https://api.example.com:8443": false, "http://api.example.com:443": false, "https://example.com": false, "https://sub.example.com": false, "https://evilsub.example.com": false,
		"https://x.sub.example.com:8443": false, "https://api.example.com.evil.com": false, "https://evil.com/api.example.com": false, "https://evil.com#api.example.com": false,
		"https://api.example.com@evil.com": false, "https://user@api.example.com": false, "ftp://api.example.com": false, "file:///etc/passwd": false, "https://": false, "//api.example.com": false,
		"https://аpi.example.com": false, "http://[::1]": false, "http://local.test": false, "http://2130706433": false, "https://api.example.com%2eevil.com": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			if want {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err := list.check(u); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", text, err, want)
		}
	}
	for _, bad := range []string{"", "https://example.com", "example.com/x", "a b", "*example.com", "ex*.com", "user@example.com", "bücher.de", "example.com:x"} {
		if _, err := parseHosts([]string{bad}); err == nil {
			t.Errorf("host %q is accepted", bad)
		}
	}
	any, err := parseHosts([]string{"*"})
	if err != nil || any.check(&url.URL{Scheme: "https", Host: "x.org:99"}) != nil || any.check(&url.URL{Scheme: "gopher", Host: "x.org"}) == nil {
		t.Error("* is not any host of the web")
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true, "64:ff9b::101:101": true, "2002:101:101::1": true, "172.32.0.1": true, "100.128.0.1": true,
		"127.0.0.1": false, "127.8.9.1": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "192.0.0.1": false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "203.0.113.9": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false, "fec0::1": false, "2001:db8::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false,
		"2002:7f00:1::": false, "2002:a00:1::1": false, "2001:0:53aa:64c::1": false, "64:ff9b:1::a00:1": false,
		"::ffff:0:10.0.0.1": false, "::ffff:0:7f00:1": false, "200::1": false, "4000::1": false, "2001:10::1": false, "2001:2::1": false, "2001:200::1": true, "3fff:1000::1": true,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %v, want %v", text, got, want)
		}
	}
}

// TestDialer dials a server of this machine by its address and by a name, which is looked at only when it is resolved.
func TestDialer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host    string
		allowed []netip.Prefix
		want    bool
	}{
		{"127.0.0.1", nil, false},
		{"localhost", nil, false},
		{"::ffff:127.0.0.1", nil, false},
		{"127.0.0.1", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, false},
		{"127.0.0.1", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, true},
		{"localhost", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true},
		{"::ffff:127.0.0.1", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true},
	} {
		conn, err := dialer(test.allowed)(context.Background(), "tcp", net.JoinHostPort(test.host, port))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != test.want || !test.want && !errors.Is(err, errPrivate) {
			t.Errorf("%s, %v: %v, want a connection %v", test.host, test.allowed, err, test.want)
		}
	}
}
