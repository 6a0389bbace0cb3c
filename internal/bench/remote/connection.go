package remote

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Connection is where a server is, and which of its task hubs is meant.
type Connection struct {
	Target string // host:port, without TLS
	Hub    string // "" says nothing of a hub
}

// form is what ParseConnection takes.
const form = "want Endpoint=http://HOST:PORT;TaskHub=NAME;Authentication=None, or HOST:PORT"

// ParseConnection reads a connection string, of which all three keys are needed and
// no other is known, in any order and case; or HOST:PORT alone, which names no hub.
func ParseConnection(s string) (Connection, error) {
	if !strings.Contains(s, "=") {
		target, err := hostPort(s)
		if err != nil {
			return Connection{}, fmt.Errorf("connection string: %w; %s", err, form)
		}
		return Connection{Target: target}, nil
	}
	values := map[string]string{}
	for piece := range strings.SplitSeq(s, ";") {
		if strings.TrimSpace(piece) == "" {
			continue
		}
		key, value, ok := strings.Cut(piece, "=")
		if !ok {
			return Connection{}, fmt.Errorf("connection string: no value in %q; %s", piece, form)
		}
		key = strings.ToLower(strings.TrimSpace(key))
		if _, twice := values[key]; twice {
			return Connection{}, fmt.Errorf("connection string: %s is given twice", key)
		}
		values[key] = strings.TrimSpace(value)
	}
	for _, key := range []string{"endpoint", "taskhub", "authentication"} {
		if values[key] == "" {
			return Connection{}, fmt.Errorf("connection string: %s is missing; %s", key, form)
		}
	}
	if len(values) > 3 {
		return Connection{}, fmt.Errorf("connection string: a key that means nothing here; %s", form)
	}
	if !strings.EqualFold(values["authentication"], "None") {
		return Connection{}, fmt.Errorf("connection string: authentication %q is not supported here, only None", values["authentication"])
	}
	u, err := url.Parse(values["endpoint"])
	if err != nil {
		return Connection{}, fmt.Errorf("connection string: endpoint: %w", err)
	}
	if u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return Connection{}, fmt.Errorf("connection string: endpoint %q is not http://HOST:PORT", values["endpoint"])
	}
	target, err := hostPort(u.Host)
	if err != nil {
		return Connection{}, fmt.Errorf("connection string: endpoint: %w; %s", err, form)
	}
	return Connection{Target: target, Hub: values["taskhub"]}, nil
}

func hostPort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", err
	}
	if host == "" || strings.ContainsAny(host, "/ \t") {
		return "", errors.New("no host in " + strconv.Quote(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return s, nil
}

// String is what ParseConnection takes for the same connection.
func (c Connection) String() string {
	if c.Hub == "" {
		return c.Target
	}
	return "Endpoint=http://" + c.Target + ";TaskHub=" + c.Hub + ";Authentication=None"
}
