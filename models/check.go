package models

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxAnswerBytes bounds one answer: its text, reasoning, names, ids and arguments
// together. No useful answer comes near it, while a model that repeats itself for
// ever, or a hostile server, would fill the memory and then the store.
const MaxAnswerBytes = 10 << 20

// MaxToolCalls bounds the tool calls of one answer.
const MaxToolCalls = 1024

// Validate reports why nobody could use the answer, as an [*Error], or nil.
//
// An answer without text and calls is refused unless it was cut or filtered: then
// Finish tells what to do, and asking again would give the same. Arguments need not
// be JSON and names need not be known: the agent tells the model about those.
func (r *Response) Validate() error {
	m := &r.Message
	if m.Role != RoleAssistant {
		return malformed("the answer has role %q instead of %q", m.Role, RoleAssistant)
	}
	if len(m.ToolCalls) > MaxToolCalls {
		return tooLarge("the answer has %d tool calls, more than %d", len(m.ToolCalls), MaxToolCalls)
	}
	size := len(m.Content)
	if !utf8.ValidString(m.Content) {
		return malformed("the text of the answer is not valid UTF-8")
	}
	seen := make(map[string]bool, len(m.ToolCalls))
	for i, c := range m.ToolCalls {
		size += len(c.ID) + len(c.Name) + len(c.Arguments)
		switch {
		case !utf8.ValidString(c.ID) || !utf8.ValidString(c.Name) || !utf8.ValidString(c.Arguments):
			return malformed("tool call %d of the answer is not valid UTF-8", i+1)
		case strings.TrimSpace(c.Name) == "":
			return malformed("tool call %d of the answer names no tool", i+1)
		case c.ID == "":
			return malformed("tool call %d of the answer (%s) has no id", i+1, OneLine(c.Name, 80))
		case seen[c.ID]:
			return malformed("two tool calls of the answer have the id %q", OneLine(c.ID, 80))
		}
		seen[c.ID] = true
	}
	if size > MaxAnswerBytes {
		return tooLarge("the answer has %d bytes, more than %d", size, MaxAnswerBytes)
	}
	switch r.Finish {
	case FinishStop, FinishToolCalls:
		if strings.TrimSpace(m.Content) == "" && len(m.ToolCalls) == 0 {
			return malformed("the answer has neither text nor tool calls")
		}
	case FinishLength, FinishContentFilter:
	default:
		return malformed("the answer ends for an unknown reason %q", OneLine(string(r.Finish), 80))
	}
	return nil
}

// Checked passes a model's events on and enforces what [Model] promises. The first
// breach ends the sequence with an [*Error], and ends the model's work with it: more
// than [MaxAnswerBytes] is never waited for, an end without Response is
// KindIncomplete, and the Response passes [Response.Validate] before it is shown.
// What was superseded no longer counts towards the answer's size.
func Checked(seq iter.Seq2[Event, error]) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		size, ended := 0, false
		for ev, err := range seq {
			if err == nil {
				if ev.Superseded != nil {
					size = 0
				}
				size += ev.size()
				switch {
				case size > MaxAnswerBytes:
					err = tooLarge("the answer is longer than %d bytes and was given up", MaxAnswerBytes)
				case ev.ToolCall != nil && (ev.ToolCall.Index < 0 || ev.ToolCall.Index >= MaxToolCalls):
					err = tooLarge("the answer has a tool call number %d, more than %d are not taken", ev.ToolCall.Index+1, MaxToolCalls)
				case ev.Response != nil:
					err = ev.Response.Validate()
				}
			}
			if err != nil {
				ended = true
				yield(Event{}, typed(err))
				break
			}
			ended = ev.Response != nil
			if !yield(ev, nil) {
				return
			}
			if ended {
				break
			}
		}
		if !ended {
			yield(Event{}, &Error{Kind: KindIncomplete, Message: "the model stopped before its answer was complete"})
		}
	}
}

// typed returns err as it is when an [*Error] is in it, and wrapped in one otherwise.
func typed(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Kind: KindOf(err), Message: err.Error(), Err: err}
}

// size is the number of bytes that the event adds to the answer.
func (ev *Event) size() int {
	n := len(ev.Delta) + len(ev.Reasoning)
	if c := ev.ToolCall; c != nil {
		n += len(c.ID) + len(c.Name) + len(c.Arguments)
	}
	return n
}

// Collect reads a stream to its end and returns the whole answer, or the error that
// ended it. It applies [Checked].
func Collect(seq iter.Seq2[Event, error]) (*Response, error) {
	for ev, err := range Checked(seq) {
		if err != nil {
			return nil, err
		}
		if ev.Response != nil {
			return ev.Response, nil
		}
	}
	// Checked ends with one or the other; this only satisfies the compiler.
	return nil, &Error{Kind: KindIncomplete, Message: "the model gave no answer"}
}

// Stream returns the events by which a model would give the answer: its text word by
// word, its tool calls one after the other, and the answer itself. It is for models
// that know their answers whole. The Response of the last event is a copy.
func Stream(resp *Response) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for word := range Words(resp.Message.Content) {
			if !yield(Event{Delta: word}, nil) {
				return
			}
		}
		for i, c := range resp.Message.ToolCalls {
			if !yield(Event{ToolCall: &ToolCallDelta{Index: i, ID: c.ID, Name: c.Name, Arguments: c.Arguments}}, nil) {
				return
			}
		}
		last := *resp
		last.Message.ToolCalls = slices.Clone(resp.Message.ToolCalls)
		yield(Event{Response: &last}, nil)
	}
}

// Words cuts text into pieces of a word each, white space included, so that the
// pieces put together are the text.
func Words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			word := len(text) - len(strings.TrimLeft(text, " \t\n"))
			if end := strings.IndexAny(text[word:], " \t\n"); end >= 0 {
				word += end
			} else {
				word = len(text)
			}
			if !yield(text[:word]) {
				return
			}
			text = text[word:]
		}
	}
}

func malformed(format string, args ...any) *Error {
	return &Error{Kind: KindMalformed, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *Error {
	return &Error{Kind: KindTooLarge, Message: fmt.Sprintf(format, args...)}
}
