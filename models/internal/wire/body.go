package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// Body is the JSON object that a library sends, for what it cannot express itself.
type Body map[string]json.RawMessage

// Set gives a field a value, which is one that JSON has.
func (b Body) Set(field string, value any) {
	// Numbers were checked by CheckParams, and nothing else here can fail.
	if raw, err := json.Marshal(value); err == nil {
		b[field] = raw
	}
}

// edit changes the body of a request.
func edit(req *http.Request, change func(Body)) error {
	text, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return err
	}
	var body Body
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	change(body)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return err
	}
	text = bytes.TrimSpace(out.Bytes())
	req.ContentLength = int64(len(text))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	req.Body, _ = req.GetBody()
	return nil
}
