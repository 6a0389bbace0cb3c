package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// body reads a request's JSON object into v. Nothing at all is an empty object.
func (c *call) body(v any) error {
	if _, err := c.query(); err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &problem{Status: http.StatusUnsupportedMediaType, Code: "content_type", Detail: "the request needs the header Content-Type: application/json, and a JSON object as its body"}
	}
	text, err := io.ReadAll(c.r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return invalid("the body cannot be read: %v", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil
	}
	if text[0] != '{' {
		return invalid("the body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("the body cannot be used: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return invalid("the body has something after its JSON object")
	}
	return nil
}

// accepted answers that a change is on disk; what follows from it comes when it comes.
func (c *call) accepted(id string) {
	c.w.Header().Set("Location", apiRoot+"/"+url.PathEscape(c.hub)+"/instances/"+escapeID(id))
	c.send(http.StatusAccepted, struct {
		ID string `json:"id"`
	}{id})
}

func (c *call) raise() error {
	var in struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	if in.Name == "" {
		return invalid(`the event has no name; send {"name": "…", "data": …}`)
	}
	id := c.r.PathValue("id")
	if err := c.client.RaiseEvent(c.ctx(), id, in.Name, in.Data); err != nil {
		return err
	}
	c.accepted(id)
	return nil
}

func (c *call) terminate() error {
	var in struct {
		Output    json.RawMessage `json:"output"`
		Recursive bool            `json:"recursive"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if err := c.client.Terminate(c.ctx(), id, in.Output, in.Recursive); err != nil {
		return err
	}
	c.accepted(id)
	return nil
}

func (c *call) suspend() error {
	return c.because(func(id, reason string) error { return c.client.Suspend(c.ctx(), id, reason) })
}

func (c *call) resume() error {
	return c.because(func(id, reason string) error { return c.client.Resume(c.ctx(), id, reason) })
}

func (c *call) rewind() error {
	return c.because(func(id, reason string) error { return c.client.Rewind(c.ctx(), id, reason) })
}

// because does what takes a reason.
func (c *call) because(do func(id, reason string) error) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if err := do(id, in.Reason); err != nil {
		return err
	}
	c.accepted(id)
	return nil
}

func (c *call) restart() error {
	var in struct {
		NewID bool `json:"newId"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	id, err := c.client.Restart(c.ctx(), c.r.PathValue("id"), in.NewID)
	if err != nil {
		return err
	}
	c.accepted(id)
	return nil
}

func (c *call) purge() error {
	var in struct {
		Recursive bool `json:"recursive"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	return c.purged(in.Recursive)
}

func (c *call) deleteInstance() error {
	q, err := c.query("recursive")
	if err != nil {
		return err
	}
	switch q.Get("recursive") {
	case "", "false":
		return c.purged(false)
	case "true":
		return c.purged(true)
	}
	return invalid("recursive is %q; give true to purge the descendants too", q.Get("recursive"))
}

func (c *call) purged(recursive bool) error {
	n, err := c.client.Purge(c.ctx(), c.r.PathValue("id"), recursive)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, struct {
		Purged int `json:"purged"`
	}{n})
	return nil
}
