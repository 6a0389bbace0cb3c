package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// visible makes a text show what it holds: what would turn its direction, hide, or steer a terminal
// is written as an escape.
func visible(s string) string {
	hidden := func(r rune) bool {
		return r != '\n' && r != '\t' && !unicode.IsGraphic(r) || r == utf8.RuneError
	}
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == utf8.RuneError || !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeID writes an id as a segment of a path.
func escapeID(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

// address is the address of a page.
func address(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func hubAddress(hub, page string, pairs ...string) string {
	return address("/hubs/"+escapeID(hub)+"/"+page, pairs...)
}

// runAddress is the address of a run's page.
func runAddress(hub, id string, pairs ...string) string {
	if id == "." || id == ".." {
		return hubAddress(hub, "runs/", append(pairs, "id", id)...)
	}
	return hubAddress(hub, "runs/"+escapeID(id), pairs...)
}

// How much of a value a page shows, and how much JSON is given lines of its own, in bytes.
const (
	maxValue  = 4 << 10
	maxPretty = 64 << 10
)

// value is a value as a page shows it.
type value struct {
	Text string
	Size int    // in bytes
	Full string // address of the whole value, where the text is not all of it
}

// Bytes says in words how large the value is.
func (v value) Bytes() string {
	switch {
	case v.Size == 1:
		return "1 byte"
	case v.Size < 10_000:
		return fmt.Sprintf("%d bytes", v.Size)
	case v.Size < 10_000_000:
		return fmt.Sprintf("%d kB", v.Size/1000)
	}
	return fmt.Sprintf("%d MB", v.Size/1_000_000)
}

// valueOf shows a payload; nil for an absent one.
func valueOf(p history.Payload, full string) *value {
	if p == nil {
		return nil
	}
	if len(p) > maxValue {
		return textOf(string(p), full)
	}
	return &value{Text: pretty(string(p)), Size: len(p)}
}

// textOf shows a text that is no JSON.
func textOf(s, full string) *value {
	v := &value{Text: visible(cut(s, maxValue)), Size: len(s)}
	if len(s) > maxValue {
		v.Full = full
	}
	return v
}

// pretty gives JSON lines of its own, unless it nests so deep that they would be mostly blank.
func pretty(s string) string {
	var b bytes.Buffer
	if len(s) <= maxPretty && strings.ContainsAny(s, "{[") && nesting(s) <= 20 && json.Indent(&b, []byte(s), "", "  ") == nil {
		s = b.String()
	}
	return visible(unescaped(s))
}

// unescaped writes <, > and & in JSON as they are; what is no JSON stays. Go's encoder escapes them,
// for those who would put JSON into a page as it is; people cannot read that.
func unescaped(s string) string {
	if !strings.Contains(s, `\u00`) || !json.Valid([]byte(s)) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] != '\\':
			b.WriteByte(s[i])
			i++
			continue
		case strings.HasPrefix(s[i:], `\u003c`):
			b.WriteByte('<')
		case strings.HasPrefix(s[i:], `\u003e`):
			b.WriteByte('>')
		case strings.HasPrefix(s[i:], `\u0026`):
			b.WriteByte('&')
		default: // another escape: its second byte begins none
			b.WriteString(s[i : i+2])
			i += 2
			continue
		}
		i += 6
	}
	return b.String()
}

// nesting is how deep JSON nests, or more.
func nesting(s string) (deepest int) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// cut keeps the beginning of a text, at most so many bytes, and no broken character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// line makes a text fit into one line.
func line(s string, limit int) string { return models.OneLine(visible(cut(s, 4*limit)), limit) }

// moment is a time as people read it, who may be anywhere.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// machine is a time as programs read it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// span is a length of time for people.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
