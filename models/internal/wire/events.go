package wire

import (
	"bytes"
	"encoding/json"
	"io"
)

// What a library reads for each event, and at the end. Its choice without content
// makes langchaingo call back, and does nothing else in either library.
const (
	tick = "data: {\"choices\":[{\"index\":0}]}\n\n"
	last = "data: [DONE]\n\n"
)

// eventBody reads a stream of events for its exchange. Lines may have any length and
// end in any way; data is taken line by line, since servers that spread one JSON text
// over several are rare, while some leave out the blank line between two events.
type eventBody struct {
	body     io.ReadCloser
	exchange *Exchange
	buf      [32 << 10]byte
	line     []byte // the beginning of a line whose end is not there yet
	skipping bool   // that line is of no interest
	isError  bool   // the event is called error
	stray    int    // bytes of lines that are not of a stream
	out      []byte // for the library, not read yet
	err      error  // comes after out
}

func (b *eventBody) Close() error { return b.body.Close() }

func (b *eventBody) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		// The clock runs only while the server is waited for, not while the consumer of
		// the answer takes its time.
		if !b.exchange.waiting() {
			return 0, errStopped
		}
		n, err := b.body.Read(b.buf[:])
		b.take(b.buf[:n], err)
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// take splits what was read into lines.
func (b *eventBody) take(p []byte, err error) {
	x := b.exchange
	x.mu.Lock()
	defer x.mu.Unlock()
	x.timer.Stop()
	if room := maxHead - len(x.body); room > 0 && !x.stream() {
		x.body = append(x.body, p[:min(room, len(p))]...)
	}
	for len(p) > 0 && b.err == nil {
		piece, rest, whole := bytes.Cut(p, []byte("\n"))
		p = rest
		b.piece(piece)
		if whole {
			b.endLine()
		}
	}
	switch {
	case b.err != nil:
	case err == io.EOF:
		// Half an event is none, and says nothing of what was malformed.
		if _, value, _ := bytes.Cut(b.line, []byte(":")); json.Valid(value) || string(bytes.TrimSpace(value)) == "[DONE]" {
			b.endLine()
		}
		if b.err == nil {
			b.err = io.EOF
		}
	case err != nil:
		x.readErr, b.err = err, err
	}
}

// piece adds to the line. Comments, which servers send as keep-alive for as long as an
// answer takes, are not kept.
func (b *eventBody) piece(p []byte) {
	if b.skipping || len(p) == 0 {
		return
	}
	if len(b.line) == 0 && p[0] == ':' {
		b.skipping = true
		return
	}
	if len(b.line)+len(p) > maxLine {
		b.fail(errTooLong)
		return
	}
	b.line = append(b.line, p...)
}

// endLine takes a whole line.
func (b *eventBody) endLine() {
	line := bytes.TrimSuffix(b.line, []byte("\r"))
	field, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case b.skipping, b.err != nil:
	case len(line) == 0:
		b.isError = false
	case string(field) == "data":
		if value = bytes.TrimSpace(value); len(value) > 0 {
			b.data(value)
		}
	case string(field) == "event":
		b.isError = string(bytes.TrimSpace(value)) == "error"
	case string(field) == "id", string(field) == "retry":
	default:
		if b.stray += len(line) + 1; b.stray > maxStray {
			b.fail(errTooLong)
		}
	}
	// The room of an unusually long line is not held for the rest of the stream.
	if b.line = b.line[:0]; cap(b.line) > 1<<20 {
		b.line = nil
	}
	b.skipping = false
}

func (b *eventBody) data(value []byte) {
	x := b.exchange
	x.data(value, b.isError)
	switch {
	case x.fail != nil:
		b.out, b.err = append(b.out, tick...), errStopped
	case x.done:
		b.out, b.err = append(b.out, last...), io.EOF
	default:
		b.out = append(b.out, tick...)
	}
}

func (b *eventBody) fail(err error) { b.exchange.fail, b.err = err, errStopped }
