package shelltool

import (
	"fmt"
	"unicode/utf8"
)

// output keeps the beginning and the end of what is written to it, limit bytes together.
type output struct {
	limit int
	head  []byte
	tail  []byte // a ring, once it is full
	next  int    // where the ring goes on
	total int64
}

// Write takes everything.
func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	o.total += int64(n)
	if room := o.limit - o.limit/2 - len(o.head); room > 0 {
		cut := min(room, len(b))
		o.head = append(o.head, b[:cut]...)
		b = b[cut:]
	}
	size := o.limit / 2
	if len(b) > size {
		b = b[len(b)-size:]
	}
	if room := min(size-len(o.tail), len(b)); room > 0 {
		o.tail = append(o.tail, b[:room]...)
		b = b[room:]
	}
	for len(b) > 0 {
		copied := copy(o.tail[o.next:], b)
		o.next = (o.next + copied) % size
		b = b[copied:]
	}
	return n, nil
}

// String is what was kept, with a line in the middle that says what was not. It cuts between characters.
func (o *output) String() string {
	tail := string(o.tail[o.next:]) + string(o.tail[:o.next])
	left := o.total - int64(len(o.head)+len(tail))
	if left == 0 {
		return string(o.head) + tail
	}
	head := string(o.head)
	for i := 1; i < utf8.UTFMax && i <= len(head); i++ { // a character that begins here and does not end
		if last := head[len(head)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRuneInString(last) {
				head = head[:len(head)-i]
			}
			break
		}
	}
	for i := 0; i < utf8.UTFMax-1 && tail != "" && !utf8.RuneStart(tail[0]); i++ {
		tail = tail[1:]
	}
	left = o.total - int64(len(head)+len(tail))
	return fmt.Sprintf("%s\n[%d of %d bytes left out]\n%s", head, left, o.total, tail)
}
