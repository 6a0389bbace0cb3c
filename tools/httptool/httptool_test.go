package httptool_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/httptool"
)

// here lets a tool ask a server of the test.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

type none = struct{}

type noteIn struct {
	ID   string `json:"id"`
	Text string `json:"text,omitempty"`
}

// serve starts a server and returns its URL.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func call(t *testing.T, tool tools.Tool, arguments string) (tools.Result, error) {
	t.Helper()
	return tool.Call(t.Context(), tools.Call{Key: "key-1", Arguments: arguments})
}

func isUnknown(err error) bool {
	_, ok := errors.AsType[*tools.UnknownOutcomeError](err)
	return ok
}

func TestRequest(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s|%s|%s|%s|%s|%s", r.Method, r.URL, body, r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), r.Header.Get("X-Fixed"), r.Header.Get("My-Key"))
	})
	for _, test := range []struct {
		method, url, keyHeader string
		want                   string
		effect                 tools.Effect
	}{
		{"", "/n/{id}?t={text}", "", "GET /n/a%20b?t=%3C|||||", tools.EffectPure},
		{"POST", "/n", "", `POST /n|{"id":"a b","text":"\u003c"}|application/json|key-1|yes|`, tools.EffectUnsafe},
		{"PUT", "/n/{id}", "", `PUT /n/a%20b|{"text":"\u003c"}|application/json|key-1|yes|`, tools.EffectIdempotent},
		{"PATCH", "/n/{id}", "My-Key", `PATCH /n/a%20b|{"text":"\u003c"}|application/json||yes|key-1`, tools.EffectUnsafe},
		{"DELETE", "/n/{id}?t={text}", "-", "DELETE /n/a%20b?t=%3C||||yes|", tools.EffectIdempotent},
	} {
		r := httptool.Request{Method: test.method, URL: at + test.url, Header: map[string]string{"X-Fixed": "yes"}, Private: here, KeyHeader: test.keyHeader}
		tool := httptool.New[noteIn]("note", "", r)
		test.want = strings.Replace(test.want, "|||||", "||||yes|", 1)
		got, err := call(t, tool, `{"id": "a b", "text": "<"}`)
		if err != nil || got.Content != test.want || got.IsError || tool.Effect() != test.effect || tool.Timeout() != httptool.DefaultTimeout {
			t.Errorf("%s: %q, %v, %s, want %q", test.method, got.Content, err, tool.Effect(), test.want)
		}
	}
	schema := json.RawMessage(`{"type": "object", "properties": {"id": {"type": "integer"}, "tag": {}}, "required": ["id"]}`)
	raw, err := httptool.Raw("note", "", schema, httptool.Request{Method: "POST", URL: at + "/n/{id}", Private: here}, tools.Idempotent(), tools.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	got, err := call(t, raw, `{"id": 9007199254740993, "tag": [1.50, null]}`)
	if want := `POST /n/9007199254740993|{"tag":[1.5,null]}|application/json|key-1||`; err != nil || got.Content != want || raw.Effect() != tools.EffectIdempotent || raw.Timeout() != time.Minute {
		t.Errorf("raw: %q, %v, %s, want %q", got.Content, err, raw.Effect(), want)
	}
}

func TestRegistration(t *testing.T) {
	const base = "https://example.com"
	for want, r := range map[string]httptool.Request{
		"use GET, HEAD":                     {Method: "TRACE", URL: base},
		"its URL":                           {URL: "x"},
		"there is no such argument":         {Method: "POST", URL: base + "/{nobody}"},
		"{text}, which is not a required":   {Method: "POST", URL: base + "/{text}"},
		"the argument text goes nowhere":    {URL: base + "/{id}"},
		"argument id goes nowhere":          {Method: "DELETE", URL: base + "?t={text}"},
		"Hosts must say":                    {URL: "{id}"},
		"host example.com is not one":       {Method: "POST", URL: base, Hosts: []string{"other.com"}},
		"use a name such as":                {Method: "POST", URL: base, Hosts: []string{"https://x"}},
		"no name of a header":               {Method: "POST", URL: base, Header: map[string]string{"a b": "x"}},
		"header X-A is declared twice":      {Method: "POST", URL: base, Header: map[string]string{"x-a": "x"}, Secrets: map[string]httptool.Secret{"X-A": httptool.Env("A")}},
		"header Host is not":                {Method: "POST", URL: base, Header: map[string]string{"host": "x"}},
		"Idempotency-Key is declared twice": {Method: "POST", URL: base, Header: map[string]string{"idempotency-key": "x"}},
		"secret is nil":                     {Method: "POST", URL: base, Secrets: map[string]httptool.Secret{"A": nil}},
		"limit must be positive":            {Method: "POST", URL: base, MaxResponse: -1},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, `httptool.New("note")`) || !strings.Contains(got, want) {
					t.Errorf("%+v: panic %q, want one with %q", r, got, want)
				}
			}()
			httptool.New[noteIn]("note", "", r)
		}()
		schema := tools.New("t", "", func(context.Context, noteIn) (string, error) { return "", nil }).Schema()
		if _, err := httptool.Raw("note", "", schema, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", r, err, want)
		}
	}
	if _, err := httptool.Raw("note", "", json.RawMessage(`{"type":"object"}`), httptool.Request{URL: base}, tools.Pure(), tools.Unsafe()); err == nil {
		t.Error("options that contradict each other are accepted")
	}
}

func TestContent(t *testing.T) {
	png := "\x89PNG\r\n\x1a\nrest"
	for _, test := range []struct {
		status            int
		contentType, body string
		want              string
		isError           bool
	}{
		{200, "application/json", `{"a": "<"}`, `{"a": "<"}`, false},
		{200, "application/problem+json; charset=utf-8", "{}", "{}", false},
		{200, "text/html; charset=ISO-8859-1", "caf\xe9", "café", false},
		{200, "text/plain; charset=nonsense", "caf\xe9", "caf\uFFFD", false},
		{200, "text/plain", "a\x00b", "(3 bytes of text/plain, which cannot be shown)", false},
		{200, "application/pdf", "%PDF", "(4 bytes of application/pdf, which cannot be shown)", false},
		{200, "???", "x", "(1 bytes of application/octet-stream, which cannot be shown)", false},
		{200, "image/png", png, "(see the image)", false},
		{200, "text/plain", png, "(see the image)", false},
		{200, "text/plain", strings.Repeat("x", 150), strings.Repeat("x", 100) + "\n[the response is longer than 100 bytes, the rest was not read]", false},
		{204, "", "", "HTTP 204 No Content", false},
		{404, "text/plain", "no such note", "HTTP 404 Not Found\nno such note", true},
		{429, "", "", "HTTP 429 Too Many Requests", true},
		{500, "text/plain", "oops", "HTTP 500 Internal Server Error\noops", true},
		{304, "", "", `HTTP 304 Not Modified: it points to "", which was not asked`, false},
	} {
		at := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{test.contentType}
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		got, err := call(t, httptool.New[none]("get", "", httptool.Request{URL: at, Private: here, MaxResponse: 100}), "")
		if err != nil || got.Content != test.want || got.IsError != test.isError || (len(got.Images) == 1) != (test.body == png) {
			t.Errorf("%d %s: %q, error %v, %d images, %v, want %q", test.status, test.contentType, got.Content, got.IsError, len(got.Images), err, test.want)
		}
	}
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"v1"`) })
	if got, err := call(t, httptool.New[none]("head", "", httptool.Request{Method: "HEAD", URL: at, Private: here}), ""); err != nil || got.Content != "HTTP 200 OK\nETag: \"v1\"" {
		t.Errorf("HEAD: %q, %v", got.Content, err)
	}
}

// TestCompressed has a response that grows when it is read.
func TestCompressed(t *testing.T) {
	at := serve(t, bomb)
	got, err := call(t, httptool.New[none]("get", "", httptool.Request{URL: at, Private: here}), "")
	if err != nil || len(got.Content) > httptool.DefaultMaxResponse+200 || len(got.Whole) > httptool.DefaultMaxResponse+200 || !strings.Contains(got.Whole, "longer than 1048576 bytes") {
		t.Errorf("%d bytes shown, %d kept, %v", len(got.Content), len(got.Whole), err)
	}
}

// TestOutcome breaks requests at each place.
func TestOutcome(t *testing.T) {
	var requests atomic.Int32
	cut := func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.WriteHeader(code)
			io.WriteString(w, "details")
		}
	}
	short := func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "only this")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + listener.Addr().String()
	listener.Close() // nobody is there now
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc // nil: nobody is there
		get     string           // in the error or the result of GET
		put     string
		post    string
		unknown bool // for POST
	}{
		{"nobody", nil, "connection refused", "connection refused", "connection refused", false},
		{"cut off", cut, "EOF", "EOF", "EOF", true},
		{"500", status(500), "HTTP 500 Internal Server Error\ndetails", "HTTP 500 Internal Server Error: details", "HTTP 500 Internal Server Error: details", true},
		{"503", status(503), "HTTP 503", "HTTP 503", "HTTP 503", true},
		{"400", status(400), "HTTP 400 Bad Request\ndetails", "HTTP 400", "HTTP 400", false},
		{"cut answer", short, "the response is cut off", "[the response is cut off]", "only this\n[the response is cut off]", false},
	} {
		at := refused
		if test.handler != nil {
			at = serve(t, test.handler)
		}
		for method, want := range map[string]string{"GET": test.get, "PUT": test.put, "POST": test.post} {
			requests.Store(0)
			got, err := call(t, httptool.New[none]("t", "", httptool.Request{Method: method, URL: at + "/x?key=s3cret", Private: here}), "")
			text := got.Content
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, want) || isUnknown(err) != (test.unknown && method == "POST") {
				t.Errorf("%s of %s: %q, %v, want %q, unknown %v", test.name, method, got.Content, err, want, test.unknown)
			}
			if strings.Contains(text, "s3cret") || strings.Contains(text, strings.TrimPrefix(at, "http://127.0.0.1")) {
				t.Errorf("%s of %s shows too much: %s", test.name, method, text)
			}
			if n := requests.Load(); n > 1 || test.handler != nil && n == 0 {
				t.Errorf("%s of %s: %d requests were made", test.name, method, n)
			}
		}
	}
}

func TestTimeout(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		release := make(chan struct{})
		at := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release })
		tool := httptool.New[none]("t", "", httptool.Request{Method: method, URL: at, Private: here}, tools.Timeout(20*time.Millisecond))
		_, err := call(t, tool, "")
		if _, timeout := errors.AsType[*tools.TimeoutError](err); !timeout || isUnknown(err) != (method == "POST") {
			t.Errorf("%s: %v", method, err)
		}
		close(release)
	}
}

func TestRedirects(t *testing.T) {
	var seen http.Header
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { seen = r.Header; io.WriteString(w, "other "+r.URL.Path) })
	var posts atomic.Int32
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		switch r.URL.Path {
		case "/out":
			http.Redirect(w, r, other+"/there?token=t0ken", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/scheme":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/private":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, "end "+r.Header.Get("X-Token"))
		}
	})
	host := strings.TrimPrefix(at, "http://")
	tool := func(method, path string, hosts ...string) tools.Tool {
		return httptool.New[none]("t", "", httptool.Request{Method: method, URL: at + path, Private: here, Hosts: append(hosts, host), Header: map[string]string{"X-Fixed": "1"},
			Secrets: map[string]httptool.Secret{"X-Token": func(context.Context) (string, error) { return "hush hush", nil }}})
	}
	for _, test := range []struct {
		tool tools.Tool
		want string
	}{
		{tool("GET", "/same"), "end [secret]"},
		{tool("GET", "/out"), "it redirects: host " + strings.TrimPrefix(other, "http://") + " is not one that may be asked"},
		{tool("GET", "/out", strings.TrimPrefix(other, "http://")), "other /there"},
		{tool("GET", "/loop"), "more than 5 redirects"},
		{tool("GET", "/scheme"), "only https and http"},
		{tool("GET", "/private", "10.0.0.1"), "private network"},
		{tool("POST", "/same"), `HTTP 307 Temporary Redirect: it points to "/end", which was not asked`},
	} {
		posts.Store(0)
		got, err := call(t, test.tool, "")
		text := got.Content
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, test.want) || strings.Contains(text, "t0ken") {
			t.Errorf("%q, want %q", text, test.want)
		}
	}
	if posts.Load() != 1 {
		t.Errorf("%d requests for a POST that is redirected", posts.Load())
	}
	if seen == nil || seen.Get("X-Token") != "" || seen.Get("X-Fixed") != "" || seen.Get("Referer") != "" {
		t.Errorf("another origin was told %v", seen)
	}
}

func TestDowngrade(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("asked without TLS") })
	server := httptest.NewUnstartedServer(http.RedirectHandler(plain, http.StatusFound))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client that does not trust it
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	r := httptool.Request{URL: server.URL, Private: here, Hosts: []string{"*"}, TLS: &tls.Config{RootCAs: roots}}
	if got, err := call(t, httptool.New[none]("t", "", r), ""); err == nil || !strings.Contains(err.Error(), "redirects from https") {
		t.Errorf("%q, %v", got.Content, err)
	}
	r.TLS = nil
	if got, err := call(t, httptool.New[none]("t", "", r), ""); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %q, %v", got.Content, err)
	}
}

func TestSecrets(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusBadGateway)
		}
		json.NewEncoder(w).Encode(r.Header) // it says all that it was told
	})
	t.Setenv("AGENTRUN_TEST_SECRET", `Bearer to"ken<1`)
	secrets := map[string]httptool.Secret{
		"Authorization": httptool.Env("AGENTRUN_TEST_SECRET"),
		"X-Basic":       func(context.Context) (string, error) { return "Basic dXNlcjpwYXNzd29yZA==", nil },
	}
	for _, r := range []httptool.Request{{URL: at}, {Method: "POST", URL: at + "/fail"}} {
		r.Private, r.Secrets = here, secrets
		got, err := call(t, httptool.New[none]("t", "", r), "")
		text := got.Content
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, "[secret]") || strings.Contains(text, "ken") || strings.Contains(text, "dXNl") || isUnknown(err) != (r.Method == "POST") {
			t.Errorf("%s: %s, %v", r.Method, text, err)
		}
	}
	missing := httptool.New[none]("t", "", httptool.Request{URL: at, Private: here, Secrets: map[string]httptool.Secret{"A": httptool.Env("AGENTRUN_TEST_NO_SECRET")}})
	_, err := call(t, missing, "")
	if _, stop := errors.AsType[*tools.StopError](err); !stop || !strings.Contains(err.Error(), "AGENTRUN_TEST_NO_SECRET is not set") {
		t.Errorf("a secret that is not there: %v", err)
	}
	bad := httptool.New[none]("t", "", httptool.Request{URL: at, Private: here, Secrets: map[string]httptool.Secret{"A": func(context.Context) (string, error) { return "hidden\r\nX: y", nil }}})
	if _, err := call(t, bad, ""); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a secret that is no header: %v", err)
	}
}

// TestModelGivesURL has all that a model may try.
func TestModelGivesURL(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	type in struct {
		URL string `json:"url"`
	}
	fetch := func(hosts ...string) tools.Tool {
		return httptool.New[in]("fetch", "", httptool.Request{URL: "{url}", Hosts: hosts})
	}
	for target, want := range map[string]string{
		at: "private network",
		strings.Replace(at, "127.0.0.1", "localhost", 1):          "private network",
		strings.Replace(at, "127.0.0.1", "[::ffff:127.0.0.1]", 1): "private network",
		"http://169.254.169.254/latest/meta-data/":                "private network",
		"http://[fe80::1%25lo]/":                                  "private network",
		"file:///etc/passwd":                                      "only https and http",
		"gopher://x":                                              "only https and http",
		"http://user:pw@example.com":                              "user or password",
		"http:///x":                                               "no host",
		"x":                                                       "only https and http",
		"http://a b":                                              "no valid URL",
		"http://\u0430pple.com":                                   "ASCII",
	} {
		encoded, err := json.Marshal(in{target})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := call(t, fetch("*"), string(encoded)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want an error with %q", target, got.Content, err, want)
		}
	}
	if got, err := call(t, fetch("example.com"), `{"url": "http://example.org"}`); err == nil || !strings.Contains(err.Error(), "host example.org is not one") {
		t.Errorf("%q, %v", got.Content, err)
	}
	allowed := httptool.New[in]("fetch", "", httptool.Request{URL: "{url}", Hosts: []string{"*"}, Private: here})
	if got, err := call(t, allowed, `{"url": "`+at+`#x"}`); err != nil || got.Content != "ok" {
		t.Errorf("%q, %v", got.Content, err)
	}
}

// TestProxy has an environment that says to ask somebody else.
func TestProxy(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the proxy was asked") })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	tool := httptool.New[none]("t", "", httptool.Request{URL: "http://agentrun.invalid", Private: here})
	if got, err := call(t, tool, ""); err == nil || !strings.Contains(err.Error(), "GET agentrun.invalid: the name of the host cannot be resolved") {
		t.Errorf("%q, %v", got.Content, err)
	}
}

// TestSentOnce has a server that answers once and then closes the connection: what a client that keeps connections
// takes for one that was closed in the meantime, and asks again.
func TestSentOnce(t *testing.T) {
	var requests atomic.Int32
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			io.WriteString(w, "ok")
			return
		}
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	})
	tool := httptool.New[none]("t", "", httptool.Request{Method: "POST", URL: at, Private: here})
	if got, err := call(t, tool, ""); err != nil || got.Content != "ok" {
		t.Fatalf("%q, %v", got.Content, err)
	}
	if _, err := call(t, tool, ""); !isUnknown(err) {
		t.Errorf("%v, want an unknown outcome", err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests were made for two calls", n)
	}
}
