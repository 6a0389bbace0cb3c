package mcp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Transport says how a server is reached: a [StdioServer] or an [HTTPServer].
type Transport interface {
	check() error
	// dial prepares one connection. end, after the session's own end, waits until nothing of it is left.
	dial(s *Server) (t sdk.Transport, end func(), err error)
	// secrets are what errors must not show.
	secrets() []string
}

// StdioServer is a server that runs as a child process and speaks through its pipes. Its process, and those that it
// starts, are a process group of their own (but on Windows) which ends with the connection.
type StdioServer struct {
	// Command is looked up in PATH; Args are its arguments. The values of those that are called key, token, password
	// and the like ("--api-key=…", "--token …") count as secrets.
	Command string
	Args    []string
	// Dir is where it runs; "": where this program does.
	Dir string
	// Env is what its environment has ("KEY=value") beside PATH, HOME and the like. The values count as secrets.
	Env []string
	// InheritEnv gives it the whole environment of this program, keys and passwords included. What is called so counts
	// as secret.
	InheritEnv bool
	// Grace is how long it has to end after its input was closed, and again after SIGTERM, before it is killed;
	// 0: 2 seconds.
	Grace time.Duration
}

// Stdio is a server that a command starts.
func Stdio(command string, args ...string) StdioServer {
	return StdioServer{Command: command, Args: args}
}

// HTTPServer is a server at a URL, reached by streamable HTTP.
type HTTPServer struct {
	// URL is the endpoint, such as https://example.com/mcp.
	URL string
	// Headers are sent with each request to the endpoint's host, and nowhere else. Their values count as secrets.
	Headers map[string]string
	// Client makes the requests; nil: one of its own. A Timeout in it would cut long calls.
	Client *http.Client
}

// HTTP is a server at a URL. Headers, which may be nil, are where its key goes:
// {"Authorization": "Bearer …"}.
func HTTP(url string, headers map[string]string) HTTPServer {
	return HTTPServer{URL: url, Headers: headers}
}

// String is the command alone: arguments and environment may have secrets.
func (t StdioServer) String() string { return "stdio:" + t.Command }

// String is the URL without what may be secret in it.
func (t HTTPServer) String() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "http:"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

func (t StdioServer) check() error {
	if t.Command == "" {
		return errors.New("it has no command")
	}
	for _, kv := range t.Env {
		if i := strings.IndexByte(kv, '='); i <= 0 {
			return errors.New("an entry of Env is not of the form KEY=value")
		}
	}
	return nil
}

func (t StdioServer) secrets() []string {
	var list []string
	for _, kv := range t.Env {
		_, v, _ := strings.Cut(kv, "=")
		list = append(list, v)
	}
	for i, arg := range t.Args {
		name, v, ok := strings.Cut(arg, "=")
		switch {
		case ok && secretName.MatchString(name):
			list = append(list, v)
		case i > 0 && strings.HasPrefix(t.Args[i-1], "-") && !strings.HasPrefix(arg, "-") && secretName.MatchString(t.Args[i-1]):
			list = append(list, arg)
		}
	}
	if t.InheritEnv {
		for _, kv := range os.Environ() {
			if name, v, _ := strings.Cut(kv, "="); secretName.MatchString(name) {
				list = append(list, v)
			}
		}
	}
	return list
}

// secretName fits the names of flags and variables whose values are secret by custom.
var secretName = regexp.MustCompile(`(?i)key|token|secret|passw|pwd$|credential|auth|dsn$|database_url`)

// harmless are the variables that a program needs to run at all.
var harmless = []string{"HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}

var harmlessOnWindows = []string{"APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT",
	"PROCESSOR_ARCHITECTURE", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE", "WINDIR"}

func (t StdioServer) environment() []string {
	if t.InheritEnv {
		return append(os.Environ(), t.Env...)
	}
	names := harmless
	if runtime.GOOS == "windows" {
		names = harmlessOnWindows
	}
	env := []string{} // not nil, which would be everything
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, t.Env...)
}

func (t HTTPServer) check() error {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("its URL is not one of http or https") // without the URL, which may hold a key
	}
	for name, value := range t.Headers {
		if name == "" || strings.ContainsAny(name+value, "\r\n\x00") {
			return fmt.Errorf("header %q cannot be sent", name)
		}
	}
	return nil
}

func (t HTTPServer) secrets() []string {
	var list []string
	for _, v := range t.Headers {
		list = append(list, v)
		if _, token, ok := strings.Cut(v, " "); ok { // "Bearer …"
			list = append(list, token)
		}
	}
	if u, err := url.Parse(t.URL); err == nil {
		list = append(list, u.RawQuery)
		for _, values := range u.Query() {
			list = append(list, values...)
		}
		if u.User != nil {
			password, _ := u.User.Password()
			list = append(list, u.User.String(), u.User.Username(), password)
		}
	}
	return list
}

// scrub takes secrets out of a text that people or models see.
func scrub(text string, secrets []string) string {
	secrets = slices.Clone(secrets)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first: they contain others
	for _, s := range secrets {
		if len(s) >= 4 { // less is no secret, and would tear words apart
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}
