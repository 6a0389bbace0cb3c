package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Describe gives an event in one short line for people: its kind, its number, what it is about, and
// the beginning of its data, such as
//
//	TaskScheduled #5 "search_logs" {"query":"timeout"}
//	TimerCreated #6 until 2026-08-17T10:00:00Z
//	TaskFailed for #5: *url.Error: connection refused
//
// The form is not fixed; programs read the event itself.
func Describe(e *Event) string {
	var s strings.Builder
	s.WriteString(headline(e))
	switch {
	case e.Kind == TimerCreated:
		s.WriteString(" until " + showTime(e.FireAt))
	case !e.FireAt.IsZero() && e.Kind != TimerFired:
		s.WriteString(" at " + showTime(e.FireAt))
	}
	if e.Recurse {
		s.WriteString(" with its children")
	}
	if e.Reason != "" {
		s.WriteString(" because " + excerpt(e.Reason, 0))
	}
	if (e.Data != nil || !e.DataRef.IsZero()) && e.Kind != GenericEvent {
		s.WriteString(" " + showData(e, 0))
	}
	if e.Failure != nil {
		s.WriteString(": " + excerpt(e.Failure.Error(), 0))
	}
	return s.String()
}

// headline is what tells an event from its neighbours, without its data.
func headline(e *Event) string {
	var s strings.Builder
	s.WriteString(e.Kind.String())
	if e.ID != FromOutside {
		s.WriteString(" #" + strconv.Itoa(int(e.ID)))
	}
	if l := e.Kind.layout(); l != nil && l.has(inAnswers) {
		s.WriteString(" for #" + strconv.Itoa(int(e.Answers)))
	}
	if e.Kind == GenericEvent { // has nothing else
		s.WriteString(" " + showData(e, 0))
	}
	if e.Kind == ExecutionCompleted {
		s.WriteString(" " + e.Status.String())
	}
	if e.Name != "" {
		s.WriteString(" " + strconv.Quote(e.Name))
	}
	if e.Version != "" {
		s.WriteString(" version " + plain(e.Version))
	}
	if e.Target != "" {
		s.WriteString(" " + targetWord(e.Kind) + " " + plain(e.Target))
	}
	if len(e.LockSet) > 0 {
		s.WriteString(" of " + showList(e.LockSet))
	}
	return s.String()
}

func targetWord(k Kind) string {
	switch k {
	case ChildCreated:
		return "as"
	case EventSent:
		return "to"
	default:
		return "on"
	}
}

// has reports whether the layout uses a field of Event.
func (l *layout) has(s slot) bool {
	for i := range l.fields {
		if l.fields[i].slot == s {
			return true
		}
	}
	return false
}

func showTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func showList(list []string) string {
	shown := make([]string, len(list))
	for i, s := range list {
		shown[i] = plain(s)
	}
	return strings.Join(shown, ", ")
}

// showData shows an event's data around a byte of it, or by its reference what is stored elsewhere.
func showData(e *Event, at int) string {
	switch {
	case e.Data == nil && !e.DataRef.IsZero():
		return "payload " + e.DataRef.String()
	case e.Data == nil:
		return "nothing"
	case len(e.Data) == 0:
		return `""`
	default:
		return excerpt(e.Data, at)
	}
}

// How much of a long text an excerpt has before and after the byte that it is about.
const (
	excerptBefore = 24
	excerptAfter  = 40
)

// excerpt gives one printable line from around a byte of s, and marks what it leaves out.
func excerpt[T string | Payload](s T, at int) string {
	from, to := max(0, at-excerptBefore), min(len(s), at+excerptAfter)
	for from > 0 && from < len(s) && !utf8.RuneStart(s[from]) {
		from--
	}
	for to < len(s) && !utf8.RuneStart(s[to]) {
		to++
	}
	var line strings.Builder
	if from > 0 {
		line.WriteRune('…')
	}
	line.WriteString(printable(string(s[from:to])))
	if to < len(s) {
		line.WriteRune('…')
	}
	return line.String()
}

// printable writes the characters that a terminal would obey, or not show, as Go escapes.
func printable(s string) string {
	var line strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&line, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			line.WriteRune(r)
		default:
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[size:]
	}
	return line.String()
}

// plain gives an id or a version as it is, and in quotes where that would be misread.
func plain(s string) string {
	if quoted := strconv.Quote(s); s == "" || quoted[1:len(quoted)-1] != s || strings.Contains(s, " ") {
		return quoted
	}
	return s
}
