package history

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// SkipRows passes over the first n events of a row without decoding them. It gives what is left of
// the row and of n.
func SkipRows(b []byte, n int) (rest []byte, left int, err error) {
	at := 0
	for ; n > 0 && at < len(b); n-- {
		_, size := protowire.ConsumeBytes(b[at:])
		if size < 0 {
			return nil, n, fmt.Errorf("history: row of %d bytes, at byte %d: %w", len(b), at, protowire.ParseError(size))
		}
		at += size
	}
	return b[at:], n, nil
}
