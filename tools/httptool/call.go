package httptool

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/agentrun-dev/agentrun/tools"
	"golang.org/x/text/encoding/htmlindex"
)

// Limits that nobody needs to set.
const (
	maxRedirects = 5
	maxErrorBody = 2 << 10 // bytes of a response in an error
	minSecret    = 4       // bytes of a secret that is blotted out; shorter ones are everywhere
)

// call makes the request.
func (c *caller) call(ctx context.Context, arguments json.RawMessage) (tools.Result, error) {
	secrets := secretValues{}
	req, err := c.request(ctx, arguments, &secrets)
	if err != nil {
		return tools.Result{}, err
	}
	var sent atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}))
	resp, err := c.client.Do(req)
	if err != nil {
		err = fmt.Errorf("%s %s: %w", c.Method, req.URL.Hostname(), plain(err))
		if sent.Load() {
			err = c.unknown(err)
		}
		return tools.Result{}, secrets.hide(err)
	}
	defer resp.Body.Close()
	result, err := c.answer(resp)
	result.Content = secrets.blot(result.Content)
	return result, secrets.hide(err)
}

// unknown marks an error of a request that may have taken effect. What may be repeated is not marked by Tool.Call.
func (c *caller) unknown(err error) error {
	if c.safe() {
		return err
	}
	return &tools.UnknownOutcomeError{Err: err}
}

// request builds the request. Its errors are for the model, but for those of secrets.
func (c *caller) request(ctx context.Context, arguments json.RawMessage, secrets *secretValues) (*http.Request, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(arguments, &fields); err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	target, err := c.template.expand(fields)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the arguments make no valid URL")
	}
	if err := c.hosts.check(u); err != nil {
		return nil, err
	}
	var body io.Reader
	if c.hasBody() {
		for _, field := range c.template.fields {
			delete(fields, field)
		}
		encoded, err := json.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("write the body: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, u.String(), body)
	if err != nil {
		return nil, errors.New("the arguments make no valid request")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "agentrun")
	if key := tools.Key(ctx); key != "" && c.KeyHeader != "-" && !c.safe() {
		req.Header.Set(c.KeyHeader, key)
	}
	for name, value := range c.Header {
		req.Header.Set(name, value)
	}
	for name, secret := range c.Secrets {
		value, err := secret(ctx)
		if err != nil {
			return nil, tools.Stop(fmt.Errorf("find the value of header %s: %w", name, err))
		}
		secrets.add(value)
		req.Header.Set(name, value)
	}
	return req, nil
}

// redirect says whether a redirect is followed. Another origin is told nothing that was meant for the first one.
func (c *caller) redirect(req *http.Request, via []*http.Request) error {
	if !c.safe() {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("there are more than %d redirects", maxRedirects)
	}
	first := via[0].URL
	if first.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("it redirects from https to something else")
	}
	if err := c.hosts.check(req.URL); err != nil {
		return fmt.Errorf("it redirects: %w", err)
	}
	req.Header.Del("Referer") // the URL before, which may have a key in it
	if req.URL.Scheme != first.Scheme || !strings.EqualFold(req.URL.Host, first.Host) {
		for name := range c.Header {
			req.Header.Del(name)
		}
		for name := range c.Secrets {
			req.Header.Del(name)
		}
	}
	return nil
}

// plain takes URLs and addresses from an error of the client.
func plain(err error) error {
	if errors.Is(err, errPrivate) {
		return errPrivate
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the name of the host cannot be resolved")
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if wrapped, ok := errors.AsType[*net.OpError](err); ok {
		err = fmt.Errorf("%s: %w", wrapped.Op, wrapped.Err)
	}
	return err
}

// answer makes a result of a response.
func (c *caller) answer(resp *http.Response) (tools.Result, error) {
	status := fmt.Sprintf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	data, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.MaxResponse)+1))
	note := ""
	switch {
	case err != nil && (c.safe() || resp.StatusCode >= 500):
		return tools.Result{}, c.unknown(fmt.Errorf("%s %s: %s: the response is cut off: %w", c.Method, resp.Request.URL.Hostname(), status, plain(err)))
	case err != nil: // the status says what became of it
		note = "\n[the response is cut off]"
	case len(data) > c.MaxResponse:
		data = data[:c.MaxResponse]
		note = fmt.Sprintf("\n[the response is longer than %d bytes, the rest was not read]", c.MaxResponse)
	}
	result := content(resp.Header.Get("Content-Type"), data)
	result.Content += note
	switch {
	case resp.StatusCode >= 500 && !c.safe():
		shown := result.Content
		if page, err := tools.PageOf(shown, 0, maxErrorBody); err == nil {
			shown = page.Text
		}
		return tools.Result{}, c.unknown(fmt.Errorf("%s %s: %s: %s", c.Method, resp.Request.URL.Hostname(), status, strings.TrimSpace(shown)))
	case resp.StatusCode >= 400:
		result.Content = strings.TrimSuffix(status+"\n"+result.Content, "\n")
		result.IsError = true
	case resp.StatusCode >= 300:
		where := strings.Join(strings.Fields(resp.Header.Get("Location")), " ")
		result.Content = strings.TrimSuffix(fmt.Sprintf("%s: it points to %q, which was not asked\n%s", status, where, result.Content), "\n")
	case c.Method == http.MethodHead:
		result = tools.Text(status + head(resp.Header))
	case len(data) == 0 && note == "":
		result.Content = status
	}
	return result, nil
}

func head(h http.Header) string {
	lines := ""
	for _, name := range []string{"Content-Type", "Content-Length", "Last-Modified", "ETag"} {
		if value := h.Get(name); value != "" {
			lines += fmt.Sprintf("\n%s: %s", name, value)
		}
	}
	return lines
}

// content shows a body by its media type.
func content(contentType string, data []byte) tools.Result {
	if kind := tools.ImageType(data); kind != "" {
		return tools.Picture(kind, data)
	}
	if contentType == "" {
		contentType = http.DetectContentType(data)
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = "application/octet-stream"
	}
	if charset := params["charset"]; isText(media) && charset != "" {
		if encoding, err := htmlindex.Get(charset); err == nil {
			if decoded, err := encoding.NewDecoder().Bytes(data); err == nil {
				data = decoded
			}
		}
	}
	if len(data) > 0 && (!isText(media) || bytes.IndexByte(data, 0) >= 0) {
		return tools.Text(fmt.Sprintf("(%d bytes of %s, which cannot be shown)", len(data), media))
	}
	return tools.Text(string(data))
}

func isText(media string) bool {
	kind, sub, _ := strings.Cut(media, "/")
	if i := strings.LastIndexByte(sub, '+'); i >= 0 {
		sub = sub[i+1:]
	}
	return kind == "text" || kind == "application" && slices.Contains([]string{"json", "xml", "yaml", "x-yaml", "toml", "javascript",
		"x-javascript", "ndjson", "x-ndjson", "jsonl", "x-www-form-urlencoded", "graphql", "sql"}, sub)
}

// secretValues are what must not be seen of one call.
type secretValues struct {
	values []string
}

// add notes a value, what follows its scheme ("Bearer abc"), and what a basic one decodes to.
func (s *secretValues) add(value string) {
	s.values = append(s.values, value)
	if scheme, rest, ok := strings.Cut(value, " "); ok {
		s.values = append(s.values, strings.TrimSpace(rest))
		if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil && strings.EqualFold(scheme, "Basic") {
			s.values = append(s.values, string(decoded))
			if _, password, ok := strings.Cut(string(decoded), ":"); ok {
				s.values = append(s.values, password)
			}
		}
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) }) // the longest first, or its end would stay
}

// blot takes the values from a text, also in the forms that JSON and URLs give them.
func (s *secretValues) blot(text string) string {
	for _, value := range s.values {
		if len(value) < minSecret {
			continue
		}
		quoted, err := json.Marshal(value)
		forms := []string{value, url.QueryEscape(value), url.PathEscape(value)}
		if err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
		for _, form := range forms {
			text = strings.ReplaceAll(text, form, "[secret]")
		}
	}
	return text
}

// hide takes the values from an error, keeping what kind of error it is.
func (s *secretValues) hide(err error) error {
	if err == nil || s.blot(err.Error()) == err.Error() {
		return err
	}
	hidden := errors.New(s.blot(err.Error()))
	if _, ok := errors.AsType[*tools.UnknownOutcomeError](err); ok {
		return &tools.UnknownOutcomeError{Err: hidden}
	}
	return hidden
}
