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

// What stands for an empty result. Some model APIs refuse a tool message without content.
const (
	noOutput   = "(no output)"
	onlyImages = "(see the image)"
)

// Result is what the model sees of a call, and what its runner keeps of it.
type Result struct {
	// Content is text. A result of [Tool.Call] is never empty, is valid UTF-8 and keeps the tool's limit.
	Content string `json:"content"`
	// IsError says that the call failed.
	IsError bool `json:"isError,omitempty"`
	// Images come after the text, for models that can see. Those of a result of [Tool.Call] are ones that model
	// APIs take, see [Picture].
	Images []Image `json:"images,omitempty"`

	// Whole is the content of which the model is shown only the beginning, or "" if Content is all there is. It
	// ends after [MaxWhole]. Tool.Call sets it, for the runner to keep; see [Result.ReadOn].
	Whole string `json:"-"`
	// Shown is how many bytes of Whole are in Content.
	Shown int `json:"-"`
	// Changes are what the call has changed in the run's state, see [SetState]. Tool.Call sets them, for the
	// runner to merge by [MergeState].
	Changes map[string]json.RawMessage `json:"-"`
}

// Image is a picture in a result.
type Image struct {
	// MediaType says what Data is: "image/png", "image/jpeg", …
	MediaType string `json:"mediaType"`
	Data      []byte `json:"data"`
}

// ReadOn tells the model in the last line of a result that was cut how it gets the rest: from the named tool,
// which gives pages (see [PageOf]) of what the runner has kept under id. A result that was not cut stays as it is.
func (r Result) ReadOn(tool, id string) Result {
	if r.Whole != "" {
		r.Content = fmt.Sprintf("%s\n[the first %d of %d bytes are shown: call %s with id %q and offset %d to read on]",
			r.Whole[:r.Shown], r.Shown, len(r.Whole), tool, id, r.Shown)
	}
	return r
}

// ErrorResult is what the model is shown of an error of [Tool.Call] or of a call that was not made. It has no
// stack traces and is cut like a result, at [DefaultMaxResult] bytes.
//
// Errors that must not go to the model, [*StopError] and [*UnknownOutcomeError], are the caller's to look for
// before.
func ErrorResult(err error) Result {
	return tidy(Result{Content: err.Error(), IsError: true}, DefaultMaxResult)
}

// render turns what a function returned into what the model sees.
func (d *definition) render(out any) (Result, error) {
	if r, ok := out.(Result); ok {
		return tidy(checkImages(r, d.maxImages), d.maxResult), nil
	}
	text, err := text(out)
	if err != nil {
		err = fmt.Errorf("tool %s ran, but its result has no JSON form: %w", d.name, err)
		if !d.effect.Repeatable() {
			err = Stop(err) // told of an error, a model might do it a second time
		}
		return Result{}, err
	}
	return tidy(Result{Content: text}, d.maxResult), nil
}

// Cut makes a result of a text as [Tool.Call] does with a limit of so many bytes.
func Cut(text string, limit int) Result { return tidy(Result{Content: text}, limit) }

// Fit makes of a result what [Tool.Call] would have given if the function had returned it: for runners that let
// others see a result, or change it, before the model does. Where r was cut, the whole counts; Changes stay.
func (t Tool) Fit(r Result) Result {
	changes := r.Changes
	if r.Whole != "" {
		r.Content = r.Whole
	}
	r = tidy(checkImages(r, t.d().maxImages), t.d().maxResult)
	r.Changes = changes
	return r
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
// that says what is missing. What was longer stays in Whole.
func tidy(r Result, limit int) Result {
	content := strings.ToValidUTF8(r.Content, "\uFFFD")
	switch {
	case content != "":
	case len(r.Images) > 0:
		content = onlyImages
	default:
		content = noOutput
	}
	r.Whole, r.Shown, r.Changes = "", 0, nil
	content = truncate(content, MaxWhole)
	r.Content = truncate(content, limit)
	if len(content) > limit {
		r.Whole, r.Shown = content, boundary(content, limit)
	}
	return r
}

func truncate(content string, limit int) string {
	if len(content) <= limit {
		return content
	}
	cut := boundary(content, limit)
	return fmt.Sprintf("%s\n[truncated: %d of %d bytes left out]", content[:cut], len(content)-cut, len(content))
}

// boundary returns at, or where the character begins that at is in the middle of.
func boundary(s string, at int) int {
	if at >= len(s) {
		return len(s)
	}
	for start := at - 1; start >= 0 && start > at-utf8.UTFMax; start-- {
		if utf8.RuneStart(s[start]) {
			if _, size := utf8.DecodeRuneInString(s[start:]); start+size > at {
				return start
			}
			break
		}
	}
	return at
}
