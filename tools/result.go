package tools

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// noOutput stands for an empty result. Some model APIs refuse a tool message without content.
const noOutput = "(no output)"

// Result is what the model sees of a call.
type Result struct {
	// Content is text. A result of [Tool.Call] is never empty, is valid UTF-8 and keeps the tool's limit.
	Content string `json:"content"`
	// IsError says that the call failed.
	IsError bool `json:"isError,omitempty"`
	// Images come after the text, for models that can see.
	Images []Image `json:"images,omitempty"`
}

// Image is a picture in a result.
type Image struct {
	// MediaType says what Data is: "image/png", "image/jpeg", …
	MediaType string `json:"mediaType"`
	Data      []byte `json:"data"`
}

// ErrorResult is what the model is shown of an error of [Tool.Call] or of a call that was not made. It has no
// stack traces and is cut like a result, at [DefaultMaxResult] bytes.
//
// Errors that must not go to the model, [*StopError] and [*UnknownOutcomeError], are the caller's to look for
// before.
func ErrorResult(err error) Result {
	return Result{Content: tidy(err.Error(), DefaultMaxResult), IsError: true}
}

// render turns what a function returned into what the model sees.
func (d *definition) render(out any) (Result, error) {
	if r, ok := out.(Result); ok {
		r.Content = tidy(r.Content, d.maxResult)
		return r, nil
	}
	text, err := text(out)
	if err != nil {
		err = fmt.Errorf("tool %s ran, but its result has no JSON form: %w", d.name, err)
		if !d.effect.Repeatable() {
			err = Stop(err) // told of an error, a model might do it a second time
		}
		return Result{}, err
	}
	return Result{Content: tidy(text, d.maxResult)}, nil
}

func text(out any) (string, error) {
	switch v := out.(type) {
	case nil, struct{}:
		return "", nil
	case string:
		return v, nil
	case json.Marshaler, encoding.TextMarshaler:
		// These know better than their kind does.
	default:
		if rv := reflect.ValueOf(out); rv.Kind() == reflect.String {
			return rv.String(), nil
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // a model reads <, > and & better than their escapes
	if err := enc.Encode(out); err != nil {
		return "", err
	}
	text := strings.TrimSuffix(buf.String(), "\n")
	if text == "null" {
		return "", nil
	}
	return text, nil
}

// tidy makes content that every model API takes: not empty, valid UTF-8, and of at most limit bytes plus a line
// that says what is missing.
func tidy(content string, limit int) string {
	content = strings.ToValidUTF8(content, "\uFFFD")
	if content == "" {
		return noOutput
	}
	if len(content) <= limit {
		return content
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(content[cut]) {
		cut--
	}
	return fmt.Sprintf("%s\n[truncated: %d of %d bytes left out]", content[:cut], len(content)-cut, len(content))
}
