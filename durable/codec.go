package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/codec"
)

// encode makes a payload: JSON, and absent for a nil interface.
func encode(v any) (history.Payload, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case history.Payload:
		return v, nil
	case json.RawMessage:
		if len(v) == 0 {
			return nil, nil
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%T has no JSON form: %w", v, err)
	}
	return b, nil
}

// decode reads a payload; an absent one is the zero value. what says, in the
// error, whose value it is; its parts are joined only there.
func decode[T any](p history.Payload, what ...string) (T, error) {
	var v T
	if p == nil {
		return v, nil
	}
	switch raw := any(&v).(type) {
	case *history.Payload:
		*raw = p
		return v, nil
	case *json.RawMessage:
		*raw = json.RawMessage(p)
		return v, nil
	}
	if err := json.Unmarshal(p, &v); err != nil {
		var zero T // not what was read of it before it went wrong
		return zero, NonRetriable(decodeError(p, strings.Join(what, ""), reflect.TypeFor[T](), err))
	}
	return v, nil
}

// decodeError says which value does not decode into what, where, and shows a piece
// of it: enough to find the mistake, and never so much that it fills a log.
func decodeError(p history.Payload, what string, into reflect.Type, err error) error {
	at := -1
	var wrongType *json.UnmarshalTypeError
	var wrongSyntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		at = int(wrongType.Offset)
	case errors.As(err, &wrongSyntax):
		at = int(wrongSyntax.Offset)
	}
	if at < 0 || at > len(p) { // a decoder of the type's own
		return fmt.Errorf("%s does not decode into %s: %w: %s", what, into, err, excerpt(p, 0))
	}
	return fmt.Errorf("%s does not decode into %s: %w, at byte %d: %s", what, into, err, at, excerpt(p, at))
}

// excerpt shows a payload around one of its bytes, in one printable line.
func excerpt(p history.Payload, at int) string {
	const before, after = 50, 30
	from, to := max(0, at-before), min(len(p), at+after)
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(p[from:to]), ""))
	if from > 0 {
		text = "…" + text
	}
	if to < len(p) {
		text += "…"
	}
	return text
}

// Codec turns what is stored into something else and back: encryption, for instance.
// See [Options.Codec] and package codec.
type Codec = codec.Codec

// HashingCodec is a [Codec] with a key for the hashes of payloads, which tell nobody
// then what the content is.
type HashingCodec = codec.Hasher

// ErrEncoded is wrapped by the error for a store that was written with a [Codec] and
// is opened without it, or without its keys.
var ErrEncoded = codec.ErrEncoded

// withCodec puts the codec of the options on a store.
func (o *Options) withCodec(ctx context.Context, s store.Store) (store.Store, error) {
	if o.Codec == nil {
		return s, codec.Refuse(ctx, s)
	}
	return codec.Wrap(ctx, s, o.Codec)
}
