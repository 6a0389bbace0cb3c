package agents

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Cursor is a place between two events of a run: a text, opaque, that may be kept
// and sent as it is. "" is the run's beginning.
type Cursor string

// ErrCursor is wrapped by the error about a cursor that is none, or of something
// else than the run.
var ErrCursor = errors.New("the cursor does not fit")

// cursorPlace is what a cursor says of one execution that was not left behind.
type cursorPlace struct {
	execution execKey
	events    int // of its history, that were told
	texts     []shownText
}

// execKey is the first half of an execution's id, which is random.
type execKey [8]byte

func keyOf(execution string) (k execKey) {
	if n, err := hex.Decode(k[:], []byte(execution[:min(len(execution), 2*len(k))])); err != nil || n < len(k) {
		copy(k[:], execution) // of another server, whose ids may look otherwise
	}
	return k
}

// shownText is what was told of an answer that is not recorded yet.
type shownText struct {
	task int32  // the number of the call
	try  tryID  // whose text it is
	size int    // bytes that were told and are not void
	hash uint64 // of them
	void bool   // the try was superseded
}

// tryID is when a try began, so that a later one is greater, and something random.
type tryID [12]byte

func (t tryID) String() string { return hex.EncodeToString(t[:]) }

// add notes that more was told.
func (t *shownText) add(s string) {
	t.size += len(s)
	t.hash = hashOn(t.hash, s)
}

// hashOn is FNV-1a, which can be gone on with from its value.
func hashOn(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

const hashStart = 14695981039346656037

// begins reports whether what was told is the beginning of an answer.
func (t *shownText) begins(answer string) bool {
	return t.size <= len(answer) && hashOn(hashStart, answer[:t.size]) == t.hash
}

const cursorVersion = 1

// cursorOf writes the places, that of the root first.
func cursorOf(places []cursorPlace) Cursor {
	b := []byte{cursorVersion}
	b = binary.AppendUvarint(b, uint64(len(places)))
	for i := range places {
		p := &places[i]
		b = append(b, p.execution[:]...)
		b = binary.AppendUvarint(b, uint64(p.events))
		b = binary.AppendUvarint(b, uint64(len(p.texts)))
		for _, t := range p.texts {
			b = binary.AppendUvarint(b, uint64(uint32(t.task)))
			b = append(b, t.try[:]...)
			void := uint64(0)
			if t.void {
				void = 1
			}
			b = binary.AppendUvarint(b, uint64(t.size)<<1|void)
			b = binary.BigEndian.AppendUint64(b, t.hash)
		}
	}
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// places reads a cursor.
func (c Cursor) places() ([]cursorPlace, error) {
	if c == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%w: it is damaged", ErrCursor)
	}
	if b[0] != cursorVersion {
		return nil, fmt.Errorf("%w: it is of another version of the program; begin anew, without one", ErrCursor)
	}
	r := cursorReader{b: b[1:]}
	var list []cursorPlace
	for n := r.number(); n > 0 && !r.bad; n-- {
		p := cursorPlace{execution: execKey(r.bytes(8)), events: r.number()}
		for n := r.number(); n > 0 && !r.bad; n-- {
			t := shownText{task: int32(r.number()), try: tryID(r.bytes(12))}
			size := r.number()
			t.size, t.void = size>>1, size&1 == 1
			t.hash = binary.BigEndian.Uint64(r.bytes(8))
			p.texts = append(p.texts, t)
		}
		list = append(list, p)
	}
	if r.bad || len(r.b) > 0 || len(list) == 0 {
		return nil, fmt.Errorf("%w: it is damaged", ErrCursor)
	}
	return list, nil
}

// cursorReader takes a cursor to pieces.
type cursorReader struct {
	b   []byte
	bad bool
}

func (r *cursorReader) number() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<40 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *cursorReader) bytes(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
