package mcp

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what one result brings beside its text.
const (
	maxImages     = 16
	maxImageBytes = 8 << 20
)

// result makes of a server's answer what the model sees.
func result(r *sdk.CallToolResult) tools.Result {
	v := &view{}
	for _, c := range r.Content {
		v.add(c)
	}
	v.structured(r.StructuredContent)
	return tools.Result{Content: strings.Join(v.lines, "\n"), IsError: r.IsError, Images: v.images}
}

// view is a result as it is put together.
type view struct {
	lines  []string
	texts  []string // of lines, what the server wrote
	images []tools.Image
	bytes  int
}

func (v *view) say(format string, args ...any) {
	v.lines = append(v.lines, fmt.Sprintf(format, args...))
}

func (v *view) text(s string) {
	v.lines, v.texts = append(v.lines, s), append(v.texts, s)
}

func (v *view) add(c sdk.Content) {
	switch c := c.(type) {
	case *sdk.TextContent:
		v.text(c.Text)
	case *sdk.ImageContent:
		v.image(c.MIMEType, c.Data)
	case *sdk.AudioContent:
		v.say("[audio, %s, %d bytes: not shown]", c.MIMEType, len(c.Data))
	case *sdk.ResourceLink:
		v.say("[resource %s: %s%s]", c.Name, c.URI, note(c.MIMEType, c.Description))
	case *sdk.EmbeddedResource:
		v.resource(c.Resource)
	default:
		v.say("[content of a kind that is not shown]")
	}
}

// note puts what is known of a resource behind its address.
func note(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p != "" {
			b.WriteString(", " + p)
		}
	}
	return b.String()
}

func (v *view) resource(r *sdk.ResourceContents) {
	switch {
	case r == nil:
		v.say("[an empty resource]")
	case r.Blob == nil:
		v.say("[resource %s%s]", r.URI, note(r.MIMEType))
		v.text(r.Text)
	case strings.HasPrefix(r.MIMEType, "image/"):
		v.say("[resource %s%s]", r.URI, note(r.MIMEType))
		v.image(r.MIMEType, r.Blob)
	default:
		v.say("[resource %s%s, %d bytes: not shown]", r.URI, note(r.MIMEType), len(r.Blob))
	}
}

func (v *view) image(kind string, data []byte) {
	switch {
	case !strings.HasPrefix(kind, "image/"):
		v.say("[image of the type %s: not shown]", kind)
	case len(v.images) == maxImages || v.bytes+len(data) > maxImageBytes:
		v.say("[image, %s, %d bytes: not shown, there are too many]", kind, len(data))
	default:
		v.images = append(v.images, tools.Image{MediaType: kind, Data: data})
		v.bytes += len(data)
	}
}

// structured adds structured content, unless the text says the same: servers are told to send both. The text is the
// better one, since the library has brought the numbers of the other one through float64.
func (v *view) structured(content any) {
	if content == nil {
		return
	}
	for _, t := range v.texts {
		var same any
		if json.Unmarshal([]byte(t), &same) == nil && reflect.DeepEqual(same, content) {
			return
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(content); err == nil {
		v.lines = append(v.lines, strings.TrimSuffix(b.String(), "\n"))
	}
}
