package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func (t HTTPServer) dial(s *Server) (sdk.Transport, func(), error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, nil, errors.New("its URL cannot be read")
	}
	client := &http.Client{}
	if t.Client != nil {
		*client = *t.Client
	}
	next, end := client.Transport, func() {}
	if next == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		next, end = own, own.CloseIdleConnections
	}
	client.Transport = &guard{next: next, home: u, headers: t.Headers, limit: int64(s.opts.MaxMessage)}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != u.Host || req.URL.Scheme != u.Scheme || len(via) >= 5 {
			return http.ErrUseLastResponse // which is no success
		}
		return nil
	}
	return &sdk.StreamableClientTransport{
		Endpoint: t.URL, HTTPClient: client, MaxRetries: 2, MaxEventSize: s.opts.MaxMessage,
	}, end, nil
}

// guard puts the headers on requests to the server, bounds what comes back, and notes what becomes of calls.
type guard struct {
	next    http.RoundTripper
	home    *url.URL
	headers map[string]string
	limit   int64
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	d := deliveryOf(ctx)
	if req.Method != http.MethodPost {
		d = nil // a stream that is taken up again
	}
	if d != nil {
		// A connection that was got is where the request goes next.
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { d.left() }})
	}
	req = req.Clone(ctx)
	if req.URL.Host == g.home.Host && req.URL.Scheme == g.home.Scheme {
		for name, value := range g.headers {
			req.Header.Set(name, value)
		}
	}
	res, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if d != nil {
		d.status(res.StatusCode)
		if code := res.StatusCode; code >= 400 && code < 500 && code != http.StatusTooManyRequests && answers(req, res) {
			d.accepted()
		}
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		// The library reads these whole. The events of a stream have a limit of their own.
		res.Body = &bounded{ReadCloser: res.Body, left: g.limit, limit: g.limit}
	}
	return res, nil
}

// answers reports whether a response of failure is the protocol's own answer to the request: an error with its id.
// Then the server has looked at the call. Errors about the session come with no id, or one that they make up.
func answers(req *http.Request, res *http.Response) bool {
	if req.GetBody == nil {
		return false
	}
	sent, err := req.GetBody()
	if err != nil {
		return false
	}
	defer sent.Close()
	const most = 64 << 10 // of an error
	begun, err := io.ReadAll(io.LimitReader(res.Body, most))
	var rest io.Reader = res.Body
	if err != nil {
		rest = failing{err}
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(begun), rest), res.Body}
	var asked, answer struct {
		ID    any             `json:"id"`
		Error json.RawMessage `json:"error"`
	}
	return json.NewDecoder(sent).Decode(&asked) == nil && json.Unmarshal(begun, &answer) == nil &&
		answer.ID != nil && answer.ID == asked.ID && len(answer.Error) > 0
}

// failing is a body that broke.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// bounded is a body of limit bytes at most.
type bounded struct {
	io.ReadCloser
	left, limit int64
}

// Read fails where the body is too long, instead of ending as if it were whole.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the server's answer is longer than %d bytes", b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("the server's answer is longer than %d bytes", b.limit)
	}
	return n, err
}
